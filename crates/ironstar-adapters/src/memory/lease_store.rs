//! Leases in maps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ironstar_ports::{Clock, Lease, LeaseStore, NodeId, NodeReport, NodeStatus, StoreError};
use parking_lot::Mutex;
use time::OffsetDateTime;

use crate::leases::{Assigned, Member, assign};

/// Leases that are lost when the process ends.
#[derive(Debug)]
pub struct MemoryLeaseStore {
    term: Duration,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    nodes: Vec<Node>,
    leases: BTreeMap<String, Held>,
}

#[derive(Debug)]
struct Node {
    report: NodeReport,
    started_at: OffsetDateTime,
    seen: Instant,
}

#[derive(Debug, Default)]
struct Held {
    holder: Option<NodeId>,
    epoch: u64,
}

impl MemoryLeaseStore {
    /// Creates a store without nodes. A node counts as running for the term after each report.
    #[must_use]
    pub fn new(term: Duration, clock: Arc<dyn Clock>) -> Self {
        let state = Mutex::default();
        Self { term, clock, state }
    }
}

impl State {
    fn report(&mut self, report: &NodeReport, term: Duration, now: OffsetDateTime) -> Vec<Lease> {
        let seen = Instant::now();
        match self
            .nodes
            .iter_mut()
            .find(|node| node.report.id == report.id)
        {
            Some(node) => {
                node.report = report.clone();
                node.seen = seen;
            }
            None => self.nodes.push(Node {
                report: report.clone(),
                started_at: now,
                seen,
            }),
        }
        for name in &report.wanted {
            self.leases.entry(name.clone()).or_default();
        }
        self.assign(term);
        let held = self.leases.iter();
        let held = held.filter(|(_, held)| held.holder.as_ref() == Some(&report.id));
        held.map(|(name, held)| Lease {
            name: name.clone(),
            epoch: held.epoch,
        })
        .collect()
    }

    fn assign(&mut self, term: Duration) {
        let running = self.nodes.iter().filter(|node| node.seen.elapsed() < term);
        let members = running.map(|node| Member {
            id: node.report.id.clone(),
            wanted: node.report.wanted.iter().cloned().collect(),
        });
        let members: Vec<Member> = members.collect();
        let leases = self.leases.iter().map(|(name, held)| Assigned {
            name: name.clone(),
            holder: held.holder.clone(),
        });
        let leases: Vec<Assigned> = leases.collect();
        for (lease, holder) in assign(&members, &leases) {
            let held = self.leases.entry(leases[lease].name.clone()).or_default();
            held.holder = holder.map(|holder| members[holder].id.clone());
            held.epoch += 1;
        }
    }
}

#[async_trait]
impl LeaseStore for MemoryLeaseStore {
    fn term(&self) -> Duration {
        self.term
    }

    async fn report(&self, report: &NodeReport) -> Result<Vec<Lease>, StoreError> {
        let now = self.clock.now();
        Ok(self.state.lock().report(report, self.term, now))
    }

    async fn leave(&self, node: &NodeId) -> Result<(), StoreError> {
        self.state.lock().nodes.retain(|it| it.report.id != *node);
        Ok(())
    }

    async fn nodes(&self) -> Result<Vec<NodeStatus>, StoreError> {
        let state = self.state.lock();
        let status = |node: &Node| {
            let held = state.leases.iter();
            let held = held.filter(|(_, held)| held.holder.as_ref() == Some(&node.report.id));
            NodeStatus {
                id: node.report.id.clone(),
                about: node.report.about.clone(),
                started_at: node.started_at,
                silent_for: node.seen.elapsed(),
                is_running: node.seen.elapsed() < self.term,
                position: node.report.position,
                leases: held.map(|(name, _)| name.clone()).collect(),
            }
        };
        Ok(state.nodes.iter().map(status).collect())
    }
}
