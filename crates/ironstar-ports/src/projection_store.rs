//! Read models: documents that projections make of the log, and how far each
//! projection has got.

use std::fmt::{self, Debug, Display};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{LogPlace, Payload, Position, StoreError};

/// Keeps the documents of projections, and their checkpoints.
///
/// What a version of a projection's code makes of the log is a [`Build`]. Of
/// each projection, one build is live: that is the one that queries see. Another
/// one may be under way beside it, and takes its place when it has got as far.
///
/// All of it can be made anew from the log, so it need not be durable: after a
/// power cut, a checkpoint and its documents may be back where they were before,
/// but always both of them.
///
/// Every adapter passes `contract::projection_store`, which states what these
/// methods promise beyond their types.
#[async_trait]
pub trait ProjectionStore: Debug + Send + Sync {
    /// Every build that has not ended, by name, the live one first.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    async fn builds(&self) -> Result<Vec<Build>, StoreError>;

    /// The build under way of a projection, which goes on if it was cancelled.
    /// If there is none, one begins, without documents, at
    /// [`Position::START`]. One of another version is ended first.
    ///
    /// # Errors
    ///
    /// If the store cannot be written to.
    async fn begin(&self, name: &str, version: u32) -> Result<Build, StoreError>;

    /// Changes what becomes of a build.
    ///
    /// # Errors
    ///
    /// If the build is not in a state for it; then nothing was changed.
    async fn update(&self, build: BuildId, update: BuildUpdate) -> Result<(), UpdateError>;

    /// Changes a build's documents and moves its checkpoint, both or neither,
    /// if the checkpoint is where the caller believes it to be, in the history that
    /// the caller believes in. A failure that was reported is over then.
    ///
    /// # Errors
    ///
    /// See [`CommitError`]; then nothing was changed.
    async fn commit(&self, batch: DocumentBatch) -> Result<(), CommitError>;

    /// Documents of a build, and the checkpoint that they belong to, all as of
    /// the same moment. Nothing, if there is no such build, or no longer.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    async fn find(
        &self,
        source: &DocumentSource,
        query: &DocumentQuery,
    ) -> Result<Option<Found>, StoreError>;
}

/// Names a build. A number is never used again.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct BuildId(u64);

/// What a version of a projection's code makes of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Build {
    /// Which build.
    pub id: BuildId,
    /// The projection's name.
    pub name: String,
    /// The version of its code.
    pub version: u32,
    /// What is being done with it.
    pub state: BuildState,
    /// What has been fully processed: all events up to here, of this history. It
    /// has no mark if it was stored before there were marks.
    pub checkpoint: LogPlace,
    /// Why it does not get any further, if so.
    pub failure: Option<Failure>,
    /// The events that it has left out, because somebody decided so; by
    /// position.
    pub skipped: Vec<Skipped>,
}

/// What is being done with a build that has not ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BuildState {
    /// It is under way.
    Building,
    /// It was under way, and somebody has stopped it.
    Cancelled,
    /// It is the one that queries see.
    Live,
}

/// An event that a build does not get over.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Failure {
    /// Which event.
    pub position: Position,
    /// What it is said to be.
    pub event_type: String,
    /// What is wrong.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was tried last, in UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub failed_at: OffsetDateTime,
}

/// An event that a build has left out.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Skipped {
    /// Which event.
    pub position: Position,
    /// What it is said to be.
    pub event_type: String,
    /// What was wrong.
    pub reason: String,
}

/// A change to what becomes of a build.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BuildUpdate {
    /// A build under way becomes the live one, if it has got at least as far as
    /// the one that is. That one ends.
    Promote,
    /// A build under way stops, and may go on later.
    Cancel,
    /// It does not get over an event. Takes the place of what failed before.
    /// Changes nothing if that event is left out, or behind the checkpoint: then
    /// whoever has failed there is late, and somebody has got past it.
    Fail(Failure),
    /// What failed is to be tried again: there is no failure for now.
    Retry,
    /// The event at this position, which is what failed, is left out.
    Skip(Position),
    /// It is made of another history than the log's, so it ends, live or not. Only
    /// if its checkpoint is still this one; otherwise it is in no state for that.
    Discard(LogPlace),
}

/// Why a build was not updated.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// There is no such build, or no longer.
    #[error("there is no such build")]
    NoSuchBuild,
    /// It is not in a state for that.
    #[error("the build is not in a state for that")]
    WrongState,
    /// The live build has got further.
    #[error("the build is behind the live one, which is at position {live}")]
    Behind {
        /// Where the live one is.
        live: Position,
    },
    /// The store cannot do it now.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Changes to documents, and how far they bring a build.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentBatch {
    /// Whose documents.
    pub build: BuildId,
    /// Where the caller believes the checkpoint to be.
    pub from: LogPlace,
    /// Where it is afterwards: not before `from`.
    pub to: LogPlace,
    /// What changes; no key twice.
    pub changes: Vec<DocumentChange>,
}

/// A change to one document.
#[derive(Clone, Debug, PartialEq)]
pub enum DocumentChange {
    /// The document is like this from now on.
    Put(Document),
    /// There is no document with this key from now on.
    Remove(String),
}

/// A document of a read model.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Names it within its build.
    pub key: String,
    /// Where it is listed, if it is.
    pub place: Option<Place>,
    /// What it says: one JSON value.
    pub body: Payload,
}

/// Where a document is listed.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// In which collection.
    pub collection: String,
    /// Where in it: collections are ordered by this text, byte by byte, and
    /// then by key.
    pub sort: String,
}

/// Which build to look into.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DocumentSource {
    /// The live one of the projection with this name.
    Live(String),
    /// This one.
    Build(BuildId),
}

/// Which documents to find. The default is none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DocumentQuery {
    /// Those with these keys.
    pub keys: Vec<String>,
    /// And some that are listed.
    pub page: Option<DocumentPage>,
}

/// A part of some collections, as if they were one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DocumentPage {
    /// Which collections; none twice.
    pub collections: Vec<String>,
    /// After which place: the sort text and the key of a document. `None`: from
    /// the first.
    pub after: Option<(String, String)>,
    /// At the most how many. Fewer mean that there are no more.
    pub limit: usize,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The build that it was found in.
    pub build: BuildId,
    /// The version of the code that made it.
    pub version: u32,
    /// What it is made of: all events up to here.
    pub checkpoint: LogPlace,
    /// The documents with the keys, as far as there are any; in no particular
    /// order.
    pub keyed: Vec<Document>,
    /// The documents of the page, in order.
    pub page: Vec<Document>,
}

/// Why documents were not changed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The checkpoint is elsewhere: somebody else moves it, too.
    #[error("the checkpoint is at {checkpoint}")]
    Moved {
        /// Where it is.
        checkpoint: LogPlace,
    },
    /// The build is neither live nor under way, or there is none.
    #[error("the build has ended, or was cancelled")]
    Ended,
    /// The store cannot do it now.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BuildId {
    /// The build with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_is_shown_by_its_number() {
        assert_eq!(BuildId::new(17).to_string(), "17");
        assert_eq!(BuildId::new(17).get(), 17);
    }
}
