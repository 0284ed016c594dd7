//! Nodes, and leases for what only one of them may do at a time.

use std::fmt::{self, Debug, Display};
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{Position, StoreError};

/// Knows the nodes that share a database, and assigns leases to them.
///
/// A node that is paused may believe for a while that it still holds a lease. So a lease alone
/// protects nothing: each write that depends on it must compare its [epoch](Lease::epoch) in the
/// write's own transaction, as a [fenced](crate::ProjectionStore::fenced) store does.
///
/// Every adapter passes `contract::lease_store`, which states all promises beyond the types.
#[async_trait]
pub trait LeaseStore: Debug + Send + Sync {
    /// The time for which a node counts as running after its last report. After that, its leases
    /// go to other nodes.
    fn term(&self) -> Duration;

    /// Reports that a node runs, and returns the leases that it holds, ordered by name.
    ///
    /// If the running nodes or the leases that they want have changed since the last report of any
    /// node, the leases are assigned again. Each lease that a running node wants gets a holder. A
    /// lease moves to another running node only if that node holds at least two leases fewer.
    ///
    /// # Errors
    ///
    /// If the store is not available.
    async fn report(&self, report: &NodeReport) -> Result<Vec<Lease>, StoreError>;

    /// Reports that a node has stopped. Other nodes get its leases with their next reports.
    ///
    /// # Errors
    ///
    /// If the store is not available.
    async fn leave(&self, node: &NodeId) -> Result<(), StoreError>;

    /// Returns the nodes that run, and those that stopped without a word a short time ago, ordered
    /// by the time of their start.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    async fn nodes(&self) -> Result<Vec<NodeStatus>, StoreError>;
}

/// The id of a node: of one run of a server.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId(String);

/// The report of a node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeReport {
    /// The id of the node.
    pub id: NodeId,
    /// The description of the node, for operators. It does not change.
    pub about: NodeAbout,
    /// The names of the leases that the node can hold, in no particular order. No name occurs
    /// twice.
    pub wanted: Vec<String>,
    /// The number of changes of `wanted` so far.
    pub revision: u32,
    /// The position up to which the node has read the log.
    pub position: Position,
}

/// A node, as operators see it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NodeAbout {
    /// The version of the program.
    pub version: String,
    /// The name of the machine.
    pub host: String,
    /// The address that the node listens on.
    pub address: String,
}

/// The right to be the only node that does something.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Lease {
    /// The name of the work that the holder does.
    pub name: String,
    /// The number of changes of the holder so far. An older epoch is over for good.
    pub epoch: u64,
}

/// The state of a node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeStatus {
    /// The id of the node.
    pub id: NodeId,
    /// The description of the node.
    pub about: NodeAbout,
    /// The time of the first report, by the clock of the store.
    pub started_at: OffsetDateTime,
    /// The time since the last report.
    pub silent_for: Duration,
    /// True if that is less than the [term](LeaseStore::term).
    pub is_running: bool,
    /// The position up to which the node had read the log at its last report.
    pub position: Position,
    /// The names of the leases that the node holds, ordered.
    pub leases: Vec<String>,
}

impl NodeId {
    /// The node with this id.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_id_prints_as_its_text() {
        assert_eq!(NodeId::new("a").to_string(), "a");
        assert_eq!(NodeId::new("a").as_str(), "a");
    }
}
