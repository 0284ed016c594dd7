//! Broken snapshot stores.

use async_trait::async_trait;
use ironstar_adapters::memory::MemorySnapshotStore;
use ironstar_ports::contract::snapshot_store::RULES;
use ironstar_ports::{Snapshot, SnapshotStore, StoreError, StreamId};

mutants! {
    dyn SnapshotStore, around MemorySnapshotStore::new();
    "snapshot-round-trip" => ForgetsTheFingerprint,
    "snapshot-of-each-stream" => IgnoresTheType,
    "snapshot-saved-last" => KeepsTheHighest,
}

type Mutant = super::Mutant<Mutation, MemorySnapshotStore>;

impl Mutant {
    /// The stream under which the mutant stores a snapshot.
    fn stream(&self, stream: &StreamId) -> StreamId {
        match self.mutation {
            Mutation::IgnoresTheType => StreamId::new("", &*stream.aggregate_id),
            Mutation::ForgetsTheFingerprint | Mutation::KeepsTheHighest => stream.clone(),
        }
    }
}

#[async_trait]
impl SnapshotStore for Mutant {
    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        let loaded = self.inner.load_snapshot(&self.stream(stream)).await?;
        Ok(loaded.map(|mut snapshot| {
            snapshot.stream = stream.clone();
            if self.mutation == Mutation::ForgetsTheFingerprint {
                snapshot.fingerprint.clear();
            }
            snapshot
        }))
    }

    async fn save_snapshot(&self, mut snapshot: Snapshot) -> Result<(), StoreError> {
        snapshot.stream = self.stream(&snapshot.stream);
        let kept = self.inner.load_snapshot(&snapshot.stream).await?;
        let is_higher = kept.is_none_or(|kept| kept.sequence < snapshot.sequence);
        if is_higher || self.mutation != Mutation::KeepsTheHighest {
            self.inner.save_snapshot(snapshot).await?;
        }
        Ok(())
    }
}
