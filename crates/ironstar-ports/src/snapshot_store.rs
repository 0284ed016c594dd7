//! Snapshots of states, so that a long stream need not be read from its start.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{Mark, Payload, Position, Sequence, StoreError, StreamId};

/// Keeps the latest snapshot of each stream.
///
/// A snapshot only saves time. It can be made again from the events, so it may be lost. The
/// reader of a snapshot checks that it fits before it is used.
///
/// Every adapter passes `contract::snapshot_store`, which states all promises beyond the types.
#[async_trait]
pub trait SnapshotStore: Debug + Send + Sync {
    /// Returns the latest saved snapshot of a stream, if there is one.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError>;

    /// Saves a snapshot, and replaces the stream's former snapshot.
    ///
    /// # Errors
    ///
    /// If the store cannot be written to, or is overloaded.
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError>;
}

/// The state of an aggregate after one of its events.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The stream of the aggregate.
    pub stream: StreamId,
    /// The sequence of the last event in the state.
    pub sequence: Sequence,
    /// The position of that event.
    pub position: Position,
    /// The mark of that event. `None` if the snapshot was saved before there were marks.
    pub mark: Option<Mark>,
    /// The fingerprint of the code that made the state. Other code might fold another state from
    /// the same events.
    pub fingerprint: String,
    /// The state, as JSON.
    pub state: Payload,
}
