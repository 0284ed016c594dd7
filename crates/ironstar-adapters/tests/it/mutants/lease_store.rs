//! Broken lease stores.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ironstar_adapters::memory::MemoryLeaseStore;
use ironstar_adapters::system::SystemClock;
use ironstar_ports::contract::lease_store::RULES;
use ironstar_ports::{Lease, LeaseStore, NodeId, NodeReport, NodeStatus, Position, StoreError};
use parking_lot::Mutex;

mutants! {
    dyn LeaseStore, around MemoryLeaseStore::new(Duration::from_millis(300), Arc::new(SystemClock));
    "lease-has-one-holder" => GivesAFirstLeaseToAll,
    "lease-of-those-who-want-it" => ForgetsWhatIsWanted,
    "lease-stays" => RaisesEpochs,
    "leases-are-spread" => HeapsOnOne,
    "leases-are-rebalanced" => KeepsEpochsOfMovedLeases,
    "lease-of-a-node-that-leaves" => IgnoresLeaving,
    "lease-of-a-silent-node" => WaitsForSilentNodes,
    "lease-no-longer-wanted" => KeepsTheFirstWishes,
    "nodes-are-listed" => ListsTheFirstPosition,
}

type Mutant = super::Mutant<Mutation, MemoryLeaseStore, Notes>;

#[derive(Debug, Default)]
struct Notes {
    reports: Mutex<Vec<NodeReport>>,
}

impl Notes {
    /// The first report of a node.
    fn first(&self, node: &NodeId) -> Option<NodeReport> {
        let reports = self.reports.lock();
        reports.iter().find(|report| report.id == *node).cloned()
    }
}

fn lease_x() -> Lease {
    Lease {
        name: "x".to_owned(),
        epoch: 1,
    }
}

#[async_trait]
impl LeaseStore for Mutant {
    fn term(&self) -> Duration {
        self.inner.term()
    }

    async fn report(&self, report: &NodeReport) -> Result<Vec<Lease>, StoreError> {
        self.notes.reports.lock().push(report.clone());
        let mut report = report.clone();
        let wanted = report.wanted.len();
        let reports = self.notes.reports.lock().len();
        let node = report.id.as_str();
        if self.is(Mutation::GivesAFirstLeaseToAll) && node == "d" {
            return Ok(vec![lease_x()]);
        }
        if self.is(Mutation::HeapsOnOne) && wanted == 20 && node != "a" {
            return Ok(Vec::new());
        }
        if self.is(Mutation::WaitsForSilentNodes)
            && node == "b"
            && reports > 6
            && let Some(silent) = self.notes.first(&NodeId::new("a"))
        {
            self.inner.report(&silent).await?;
        }
        if self.is(Mutation::KeepsTheFirstWishes) {
            let first = self.notes.first(&report.id);
            report.wanted = first.map_or_else(Vec::new, |first| first.wanted);
        }
        if self.is(Mutation::ListsTheFirstPosition) {
            report.position = Position::START;
        }
        let mut held = self.inner.report(&report).await?;
        if self.is(Mutation::ForgetsWhatIsWanted) && report.wanted == ["y", "z"] {
            held.insert(0, lease_x());
        }
        for lease in &mut held {
            if self.is(Mutation::RaisesEpochs) && wanted == 3 {
                lease.epoch += reports as u64;
            }
            if self.is(Mutation::KeepsEpochsOfMovedLeases) && wanted == 4 {
                lease.epoch = 1;
            }
        }
        Ok(held)
    }

    async fn leave(&self, node: &NodeId) -> Result<(), StoreError> {
        let first = self.notes.first(node);
        if self.is(Mutation::IgnoresLeaving) && first.is_some_and(|it| it.wanted == ["x"]) {
            return Ok(());
        }
        self.inner.leave(node).await
    }

    async fn nodes(&self) -> Result<Vec<NodeStatus>, StoreError> {
        self.inner.nodes().await
    }
}
