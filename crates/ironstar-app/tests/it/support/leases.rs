//! Leases whose holder the test names.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ironstar_app::Leases;
use ironstar_ports::{
    Lease, LeaseStore, NodeAbout, NodeId, NodeReport, NodeStatus, Position, StoreError,
};
use parking_lot::Mutex;
use tokio::time::Instant;

/// A store that gives all leases to the node that the test names.
#[derive(Debug, Default)]
pub(crate) struct Appointed {
    holders: Mutex<Vec<&'static str>>,
    failing_until: Mutex<Option<Instant>>,
}

impl Appointed {
    /// Gives all leases to another node, or to none if there is no node with this name.
    pub(crate) fn appoint(&self, holder: &'static str) {
        self.holders.lock().push(holder);
    }

    /// Lets all reports fail for a while.
    pub(crate) fn fail_for(&self, time: Duration) {
        *self.failing_until.lock() = Some(Instant::now() + time);
    }
}

#[async_trait]
impl LeaseStore for Appointed {
    fn term(&self) -> Duration {
        Duration::from_millis(60)
    }

    async fn report(&self, report: &NodeReport) -> Result<Vec<Lease>, StoreError> {
        if self
            .failing_until
            .lock()
            .is_some_and(|until| Instant::now() < until)
        {
            return Err(StoreError::unavailable("as it was told to"));
        }
        let appointed = self.holders.lock();
        let is_holder = appointed.last() == Some(&report.id.as_str());
        let held = report.wanted.iter().filter(|_| is_holder);
        let epoch = appointed.len() as u64;
        let held = held.map(|name| Lease {
            name: name.clone(),
            epoch,
        });
        Ok(held.collect())
    }

    async fn leave(&self, _: &NodeId) -> Result<(), StoreError> {
        Ok(())
    }

    async fn nodes(&self) -> Result<Vec<NodeStatus>, StoreError> {
        Ok(Vec::new())
    }
}

/// The leases of a node with this name.
pub(crate) fn join(store: Arc<dyn LeaseStore>, name: &str) -> Leases {
    let about = NodeAbout::default();
    Leases::join(store, NodeId::new(name), about, || Position::START)
}
