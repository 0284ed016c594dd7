//! Projections: read models, folded from the log.
//!
//! A projection turns events into documents: what a page shows, as it shows it.
//! [`Projection`] is all that one has to say; the rest is the same for all:
//!
//! - The documents and the position that they belong to are stored together, so
//!   a crash neither loses an event nor folds it twice.
//! - Each projection is a task of its own. One that fails stops alone, keeps its
//!   place, tries again, and says which event it cannot digest.
//! - When the version of its code changes, or on request, a new read model is
//!   built beside the live one, which goes on serving until the new one takes
//!   its place. One of another version stands still meanwhile, since the code
//!   that made it is gone.
//!
//! [`ReadModel`] is what the rest of the application sees.

mod build;
mod documents;
mod folder;
mod follower;
mod origin;
mod read_model;
mod registered;
mod runner;

use std::fmt::Debug;

use ironstar_ports::{Envelope, Place};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::DecodeError;

pub use build::{BuildError, Progress, build};
pub use documents::{Changed, Documents};
pub(crate) use folder::chain;
pub use follower::{Changes, News};
pub use read_model::{Behind, ReadError, ReadModel, Snapshot};
pub use registered::{BuildJob, Registered};
pub use runner::Projections;

/// What a projection makes of the log.
///
/// It is a fold: pure, and the same at every time and place. Its documents are
/// all that it knows.
pub trait Projection: Debug + Send + Sync + 'static {
    /// Names the projection, for people and in the store.
    const NAME: &'static str;

    /// The version of its code. Whoever changes what it makes of the log counts
    /// it up, and a new read model is built.
    const VERSION: u32;

    /// The types of the aggregates whose events it is about.
    const AGGREGATES: &'static [&'static str];

    /// Whether it is what a process manager has to do.
    const IS_PROCESS: bool = false;

    /// A document. One projection may have several sorts, as an `enum`.
    type Document: Clone + Debug + DeserializeOwned + PartialEq + Send + Serialize + Sync + 'static;

    /// Takes an event into account.
    ///
    /// It may be called more than once for an event, and only counts when it
    /// succeeds: what it has changed before it fails is undone.
    ///
    /// # Errors
    ///
    /// If the event cannot be read, or its documents not be had.
    fn fold(event: &Envelope, documents: &mut Documents<Self::Document>) -> Result<(), FoldError>;

    /// Whether it takes note of events of aggregates of this type.
    fn is_about(aggregate_type: &str) -> bool {
        Self::AGGREGATES.contains(&aggregate_type)
    }

    /// Where a document is listed, if it is.
    fn place(document: &Self::Document) -> Option<Place>;
}

/// Why an event was not taken into account.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// A document has to be loaded first; then the event is folded again.
    #[error("the document {0:?} has not been loaded")]
    NotLoaded(String),
    /// The event cannot be read.
    #[error(transparent)]
    Unreadable(#[from] DecodeError),
    /// The event can be read, and makes no sense to the projection.
    #[error("{0}")]
    Senseless(String),
}
