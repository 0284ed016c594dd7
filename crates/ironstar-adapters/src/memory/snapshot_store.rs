//! Snapshots in a map.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ironstar_ports::{Snapshot, SnapshotStore, StoreError, StreamId};

/// Snapshots that are lost when the process ends.
#[derive(Debug, Default)]
pub struct MemorySnapshotStore {
    snapshots: Mutex<HashMap<StreamId, Snapshot>>,
}

impl MemorySnapshotStore {
    /// Creates a store without snapshots.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn snapshots(&self) -> MutexGuard<'_, HashMap<StreamId, Snapshot>> {
        // The map is consistent between any two calls, so a poisoned lock is safe to use.
        self.snapshots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SnapshotStore for MemorySnapshotStore {
    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.snapshots().get(stream).cloned())
    }

    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.snapshots().insert(snapshot.stream.clone(), snapshot);
        Ok(())
    }
}
