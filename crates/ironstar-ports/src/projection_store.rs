//! Read models: the documents that projections fold from the log, and the projections'
//! checkpoints.

use std::fmt::{self, Debug, Display};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{Lease, LogPlace, Payload, Position, StoreError};

/// Stores the documents of projections, and their checkpoints.
///
/// A [`Build`] is a read model that one version of a projection's code folds from the log. Each
/// projection has at most one live build, which answers queries. Another build may be in progress
/// beside it. It replaces the live build when it has reached at least the same position.
///
/// All of this can be folded again from the log, so it need not be durable. After a power cut, a
/// checkpoint and its documents may be back at an earlier state, but always both together.
///
/// Every adapter passes `contract::projection_store`, which states all promises beyond the types.
#[async_trait]
pub trait ProjectionStore: Debug + Send + Sync {
    /// Returns all builds that have not ended, ordered by name, the live one first.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    async fn builds(&self) -> Result<Vec<Build>, StoreError>;

    /// Begins a build of a projection, or continues the build in progress, even if it was
    /// cancelled. A new build begins without documents, at [`Position::START`]. A build in
    /// progress of another version ends first.
    ///
    /// # Errors
    ///
    /// If the store cannot be written to.
    async fn begin(&self, name: &str, version: u32) -> Result<Build, StoreError>;

    /// Changes the state of a build.
    ///
    /// # Errors
    ///
    /// If the build's state does not allow the update. Nothing was changed in that case.
    async fn update(&self, build: BuildId, update: BuildUpdate) -> Result<(), UpdateError>;

    /// Changes a build's documents and moves its checkpoint, both or neither. The commit succeeds
    /// only if the checkpoint is at the place that the caller expects, in the same history. It
    /// clears a reported failure.
    ///
    /// # Errors
    ///
    /// See [`CommitError`]. Nothing was changed in that case.
    async fn commit(&self, batch: DocumentBatch) -> Result<(), CommitError>;

    /// Returns documents of a build, with the checkpoint to which they belong, all as of the same
    /// moment. Returns `None` if the build does not exist, or has ended.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    async fn find(
        &self,
        source: &DocumentSource,
        query: &DocumentQuery,
    ) -> Result<Option<Found>, StoreError>;

    /// Returns this store for the holder of a lease: each of its changes is refused once the lease
    /// has another epoch. The comparison is part of the change's own transaction, so not even a
    /// node that was paused in the middle of a change can do damage. Returns `None` if no other
    /// node has a lease on this store.
    fn fenced(&self, _lease: &Lease) -> Option<Arc<dyn ProjectionStore>> {
        None
    }
}

/// The number of a build. A number is never used again.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct BuildId(u64);

/// A read model that one version of a projection's code folds from the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Build {
    /// The number of the build.
    pub id: BuildId,
    /// The projection's name.
    pub name: String,
    /// The version of the projection's code.
    pub version: u32,
    /// The state of the build.
    pub state: BuildState,
    /// The place of the last processed event. All events up to it, in this history, are part of
    /// the documents. It has no mark if it was stored before there were marks.
    pub checkpoint: LogPlace,
    /// The failure that stops the build, if there is one.
    pub failure: Option<Failure>,
    /// The events that the build has skipped at an operator's request, ordered by position.
    pub skipped: Vec<Skipped>,
}

/// The state of a build that has not ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BuildState {
    /// The build is in progress.
    Building,
    /// The build was in progress, and an operator has cancelled it.
    Cancelled,
    /// The build answers queries.
    Live,
}

/// An event that a build cannot process.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Failure {
    /// The position of the event.
    pub position: Position,
    /// The stored type of the event.
    pub event_type: String,
    /// The reason of the failure, as a sentence.
    pub reason: String,
    /// The number of attempts so far.
    pub attempts: u32,
    /// The time of the last attempt, in UTC. In JSON, RFC 3339.
    #[serde(with = "time::serde::rfc3339")]
    pub failed_at: OffsetDateTime,
}

/// An event that a build has skipped.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Skipped {
    /// The position of the event.
    pub position: Position,
    /// The stored type of the event.
    pub event_type: String,
    /// The reason of the failure, as a sentence.
    pub reason: String,
}

/// A change of a build's state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BuildUpdate {
    /// Makes the build in progress the live build, if it has reached at least the live build's
    /// position. The former live build ends.
    Promote,
    /// Cancels the build in progress. It may continue later.
    Cancel,
    /// Reports that the build cannot process an event. The failure replaces an earlier one.
    /// Nothing changes if the event is skipped, or if the checkpoint has already passed it: then
    /// the report is late.
    Fail(Failure),
    /// Clears the failure, so that the event is tried again.
    Retry,
    /// Skips the event at this position, which must be the one of the failure.
    Skip(Position),
    /// Ends the build, live or not, because it belongs to another history than the log. The
    /// update is refused unless the checkpoint is still this one.
    Discard(LogPlace),
}

/// The reasons why a build was not updated.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The build does not exist, or has ended.
    #[error("there is no such build")]
    NoSuchBuild,
    /// The build's state does not allow the update.
    #[error("the state of the build does not allow this change")]
    WrongState,
    /// The build has not reached the live build's position.
    #[error("the build is behind the live one, which is at position {live}")]
    Behind {
        /// The position of the live build.
        live: Position,
    },
    /// The [fenced](ProjectionStore::fenced) store's lease has another epoch.
    #[error("the change was refused, because this node no longer holds the lease")]
    LeaseOver,
    /// The store is not available.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Changes of documents, and the new checkpoint of their build.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentBatch {
    /// The build of the documents.
    pub build: BuildId,
    /// The checkpoint that the caller expects.
    pub from: LogPlace,
    /// The new checkpoint, which is not before `from`.
    pub to: LogPlace,
    /// The changes. No key occurs twice.
    pub changes: Vec<DocumentChange>,
}

/// A change of one document.
#[derive(Clone, Debug, PartialEq)]
pub enum DocumentChange {
    /// Stores the document, and replaces the one with the same key.
    Put(Document),
    /// Removes the document with this key, if there is one.
    Remove(String),
}

/// A document of a read model.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The key of the document, unique in its build.
    pub key: String,
    /// The place in a list, if the document is listed.
    pub place: Option<Place>,
    /// The content: one JSON value.
    pub body: Payload,
}

/// The place of a listed document.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The collection that lists the document.
    pub collection: String,
    /// The sort text. A collection is ordered by this text, byte by byte, and then by key.
    pub sort: String,
}

/// The build that a query reads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DocumentSource {
    /// The live build of the projection with this name.
    Live(String),
    /// The build with this number.
    Build(BuildId),
}

/// A query for documents. The default finds none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DocumentQuery {
    /// The documents with these keys.
    pub keys: Vec<String>,
    /// A page of listed documents, in addition.
    pub page: Option<DocumentPage>,
}

/// A page of some collections, which are listed as if they were one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DocumentPage {
    /// The names of the collections. No name occurs twice.
    pub collections: Vec<String>,
    /// The sort text and the key after which the page begins; `None` means at the first document.
    pub after: Option<(String, String)>,
    /// The most documents in the page. Fewer documents mean that there are no more.
    pub limit: usize,
}

/// The answer to a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The build that was read.
    pub build: BuildId,
    /// The version of the projection's code.
    pub version: u32,
    /// The place up to which all events are part of the documents.
    pub checkpoint: LogPlace,
    /// The documents with the requested keys, in no particular order. A missing key has none.
    pub keyed: Vec<Document>,
    /// The documents of the page, in order.
    pub page: Vec<Document>,
}

/// The reasons why documents were not changed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The checkpoint is not at the expected place, because another writer has moved it.
    #[error("the checkpoint is at {checkpoint}")]
    Moved {
        /// The current checkpoint.
        checkpoint: LogPlace,
    },
    /// The build does not exist, was cancelled, or has ended.
    #[error("the build has ended, or was cancelled")]
    Ended,
    /// The [fenced](ProjectionStore::fenced) store's lease has another epoch.
    #[error("the change was refused, because this node no longer holds the lease")]
    LeaseOver,
    /// The store is not available.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BuildId {
    /// The build with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
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
    fn build_id_prints_as_its_number() {
        assert_eq!(BuildId::new(17).to_string(), "17");
        assert_eq!(BuildId::new(17).get(), 17);
    }
}
