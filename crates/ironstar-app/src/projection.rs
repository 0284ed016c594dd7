//! Projections: read models that are folded from the log.
//!
//! A projection turns events into documents, which contain data as pages show it. A
//! [`Projection`] defines only its own fold. The rest is the same for all projections:
//!
//! - The documents are stored together with their position. So a crash neither loses an event
//!   nor folds it twice.
//! - Each projection is a task of its own. A projection that fails stops alone, keeps its
//!   position, tries again, and reports the event that it cannot fold.
//! - When the version of the code changes, or on request, a new read model is built beside the
//!   live one. The live one serves queries until the new one replaces it. A live read model of
//!   another version gets no updates meanwhile, because the code that made it is gone.
//!
//! [`ReadModel`] is the interface for the rest of the application.

mod build;
mod changes;
mod documents;
mod error;
mod follower;
mod next;
mod origin;
mod projector;
mod read_model;
mod registered;
mod runner;

use std::fmt::Debug;

use ironstar_ports::{Envelope, Place};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::DecodeError;

pub use build::{Progress, build};
pub use changes::{Changes, News};
pub use documents::{Changed, Documents};
pub use error::BuildError;
pub(crate) use error::chain;
pub use read_model::{Behind, ReadError, ReadModel, Snapshot};
pub use registered::{BuildJob, Registered};
pub use runner::Projections;

/// The fold of a projection over the log.
///
/// A fold is pure: the same at every time and place. The documents are all that it knows.
pub trait Projection: Debug + Send + Sync + 'static {
    /// The name of the projection. Operators see it, and the store contains it.
    const NAME: &'static str;

    /// The version of the code. Raise it when the result of `fold` changes; then a new read
    /// model is built.
    const VERSION: u32;

    /// The types of the aggregates whose events it folds.
    const AGGREGATES: &'static [&'static str];

    /// True if the projection contains the steps of a process manager.
    const IS_PROCESS: bool = false;

    /// A document. A projection with several kinds of documents uses an `enum`.
    type Document: Clone + Debug + DeserializeOwned + PartialEq + Send + Serialize + Sync + 'static;

    /// Folds an event into the documents.
    ///
    /// It may run more than once for an event. Only a run without an error counts: the changes
    /// of a failed run are undone.
    ///
    /// # Errors
    ///
    /// If the event cannot be read, or its documents are not loaded.
    fn fold(event: &Envelope, documents: &mut Documents<Self::Document>) -> Result<(), FoldError>;

    /// Returns true if it folds events of aggregates of this type.
    fn is_about(aggregate_type: &str) -> bool {
        Self::AGGREGATES.contains(&aggregate_type)
    }

    /// The place of a document in a collection, if it is listed.
    fn place(document: &Self::Document) -> Option<Place>;
}

/// The reason why an event was not folded.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// A document must be loaded first; then the event is folded again.
    #[error("the document {0:?} has not been loaded")]
    NotLoaded(String),
    /// The event cannot be read.
    #[error(transparent)]
    Unreadable(#[from] DecodeError),
    /// The event can be read, but the projection cannot make sense of it.
    #[error("{0}")]
    Senseless(String),
}
