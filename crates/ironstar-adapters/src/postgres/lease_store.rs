//! The lease store of a database.

use std::time::Duration;

use async_trait::async_trait;
use ironstar_ports::{Lease, LeaseStore, NodeId, NodeReport, NodeStatus, StoreError};

use super::database::Pools;
use super::leases;

/// The time for which a node counts as running after its last report.
const TERM: Duration = Duration::from_secs(3);

/// The nodes that share a database, and their leases.
#[derive(Debug)]
pub struct PostgresLeaseStore {
    pools: Pools,
    term: Duration,
}

impl PostgresLeaseStore {
    pub(super) const fn new(pools: Pools) -> Self {
        Self { pools, term: TERM }
    }

    /// Uses another term. All stores of a database need the same.
    #[must_use]
    pub const fn with_term(mut self, term: Duration) -> Self {
        self.term = term;
        self
    }
}

#[async_trait]
impl LeaseStore for PostgresLeaseStore {
    fn term(&self) -> Duration {
        self.term
    }

    async fn report(&self, report: &NodeReport) -> Result<Vec<Lease>, StoreError> {
        Ok(leases::report(&self.pools.nodes, report, self.term).await?)
    }

    async fn leave(&self, node: &NodeId) -> Result<(), StoreError> {
        Ok(leases::leave(&self.pools.nodes, node).await?)
    }

    async fn nodes(&self) -> Result<Vec<NodeStatus>, StoreError> {
        Ok(leases::nodes(&self.pools.readers, self.term).await?)
    }
}
