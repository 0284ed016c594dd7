//! Broken snapshot stores.

use std::sync::Arc;

use async_trait::async_trait;
use ironstar_adapters::memory::MemorySnapshotStore;
use ironstar_ports::contract::snapshot_store::RULES;
use ironstar_ports::{Snapshot, SnapshotStore, StoreError, StreamId};

use crate::contract::broken_rules;

/// Each rule, and what is broken to see it fail.
const MUTANTS: &[(&str, Mutation)] = &[
    ("snapshot-round-trip", Mutation::ForgetsTheFingerprint),
    ("snapshot-of-each-stream", Mutation::IgnoresTheType),
    ("snapshot-saved-last", Mutation::KeepsTheHighest),
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mutation {
    ForgetsTheFingerprint,
    IgnoresTheType,
    KeepsTheHighest,
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mutant_breaks_its_rule_and_no_other() {
    let rules: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
    let covered: Vec<&str> = MUTANTS.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(covered, rules);
    for &(rule, mutation) in MUTANTS {
        let broken = broken_rules(RULES, async || {
            let inner = MemorySnapshotStore::new();
            Arc::new(Mutant { mutation, inner }) as Arc<dyn SnapshotStore>
        })
        .await;
        assert_eq!(broken, [rule], "{mutation:?}");
    }
}

/// A snapshot store with one mutation.
#[derive(Debug)]
struct Mutant {
    mutation: Mutation,
    inner: MemorySnapshotStore,
}

impl Mutant {
    /// What the store takes for the stream.
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
