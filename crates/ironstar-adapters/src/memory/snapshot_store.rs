//! Snapshots in a map.

use std::collections::HashMap;

use async_trait::async_trait;
use ironstar_ports::{Snapshot, SnapshotStore, StoreError, StreamId};
use parking_lot::Mutex;

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
}

#[async_trait]
impl SnapshotStore for MemorySnapshotStore {
    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.snapshots.lock().get(stream).cloned())
    }

    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.snapshots
            .lock()
            .insert(snapshot.stream.clone(), snapshot);
        Ok(())
    }
}
