//! Snapshots: states, so that long streams need not be read from the start.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{Mark, Payload, Position, Sequence, StoreError, StreamId};

/// Keeps the latest snapshot of each stream.
///
/// A snapshot saves time and nothing else: it can be made anew from the events
/// at any time, so it may be lost, and whoever loads one makes sure that it
/// fits before it is used.
///
/// Every adapter passes `contract::snapshot_store`, which states what these
/// methods promise beyond their types.
#[async_trait]
pub trait SnapshotStore: Debug + Send + Sync {
    /// The snapshot that was saved last for a stream, if there is one.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError>;

    /// Keeps a snapshot, in place of the one that is there.
    ///
    /// # Errors
    ///
    /// If the store cannot be written to, or has more to do than it can take
    /// on.
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError>;
}

/// An aggregate's state after one of its events.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Whose state it is.
    pub stream: StreamId,
    /// The sequence of the last event that is part of it.
    pub sequence: Sequence,
    /// The position of that event.
    pub position: Position,
    /// The mark of that event. `None` if it was saved before there were marks.
    pub mark: Option<Mark>,
    /// Names the code that made it. Other code may make something else of the
    /// same events.
    pub fingerprint: String,
    /// The state itself.
    pub state: Payload,
}
