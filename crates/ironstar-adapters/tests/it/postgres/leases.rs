//! Leases, and the writes of nodes that no longer hold them.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ironstar_adapters::postgres::{PostgresEventStore, PostgresLeaseStore, PostgresUrl};
use ironstar_cluster::Cluster;
use ironstar_ports::{
    Build, BuildState, BuildUpdate, CommitError, DocumentBatch, Lease, LeaseStore, LogPlace,
    NodeAbout, NodeId, NodeReport, Position, ProjectionStore, UpdateError,
};

use super::{TERM, fresh_url, name, open};

const LEASE: &str = "notes, version 1";

fn report(node: &str, wanted: &[String]) -> NodeReport {
    NodeReport {
        id: NodeId::new(node),
        about: NodeAbout::default(),
        wanted: wanted.to_vec(),
        revision: 1,
        position: Position::START,
    }
}

/// A node among others, with the lease store and the read models of one process.
struct Node {
    report: NodeReport,
    leases: PostgresLeaseStore,
    log: PostgresEventStore,
}

impl Node {
    async fn join(url: &PostgresUrl, name: &str) -> Self {
        let log = open(url).await;
        Self {
            report: report(name, &[LEASE.to_owned()]),
            leases: log.leases().with_term(TERM),
            log,
        }
    }

    async fn pair(url: &PostgresUrl) -> (Self, Self) {
        (Self::join(url, "one").await, Self::join(url, "other").await)
    }

    /// Reports, and returns the lease if this node holds it.
    async fn lease(&self) -> Option<Lease> {
        let held = self.leases.report(&self.report).await.expect("reported");
        held.into_iter().next()
    }

    /// The read models, for the holder of a lease.
    fn fenced(&self, lease: &Lease) -> Arc<dyn ProjectionStore> {
        let fenced = self.log.projections().fenced(lease);
        fenced.expect("the database is shared")
    }
}

fn batch(build: &Build, from: u64) -> DocumentBatch {
    DocumentBatch {
        build: build.id,
        from: LogPlace::unmarked(Position::new(from)),
        to: LogPlace::unmarked(Position::new(from + 1)),
        changes: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn former_holder_changes_nothing() {
    let Some(cluster) = Cluster::shared("former_holder_changes_nothing") else {
        return;
    };
    let (one, other) = Node::pair(&fresh_url(cluster).await).await;
    let old = one.lease().await.expect("the only node holds the lease");
    let store = one.fenced(&old);
    let build = store.begin("notes", 1).await.expect("begun");
    store.commit(batch(&build, 0)).await.expect("stored");
    one.leases.leave(&one.report.id).await.expect("left");
    let new = other.lease().await.expect("it has moved");

    // The first node does not know yet.
    let commit = store.commit(batch(&build, 1)).await;
    assert!(matches!(commit, Err(CommitError::LeaseOver)), "{commit:?}");
    for update in [
        BuildUpdate::Promote,
        BuildUpdate::Cancel,
        BuildUpdate::Retry,
    ] {
        let update = store.update(build.id, update).await;
        assert!(matches!(update, Err(UpdateError::LeaseOver)), "{update:?}");
    }
    store
        .begin("notes", 2)
        .await
        .expect_err("the lease is over");
    let builds = store.builds().await.expect("read");
    assert_eq!(
        (builds.len(), builds[0].checkpoint.position),
        (1, Position::new(1))
    );

    let store = other.fenced(&new);
    store.commit(batch(&build, 1)).await.expect("stored");
    store
        .update(build.id, BuildUpdate::Promote)
        .await
        .expect("live");
    let builds = store.builds().await.expect("read");
    assert_eq!(builds[0].state, BuildState::Live);
    // A node that gets the lease back has a new epoch, and the old one stays over.
    other.leases.leave(&other.report.id).await.expect("left");
    let newest = one.lease().await.expect("it has moved back");
    assert!(newest.epoch > new.epoch);
    let commit = one.fenced(&old).commit(batch(&build, 2)).await;
    assert!(matches!(commit, Err(CommitError::LeaseOver)), "{commit:?}");
}

/// Another node asks for the lease after the comparison of its epoch and before the commit. The
/// lease moves only after the commit.
#[tokio::test(flavor = "multi_thread")]
async fn lease_moves_before_or_after_a_commit_but_not_within() {
    let Some(cluster) = Cluster::shared("lease_moves_before_or_after_a_commit_but_not_within")
    else {
        return;
    };
    let url = fresh_url(cluster).await;
    let (one, other) = Node::pair(&url).await;
    let lease = one.lease().await.expect("the only node holds the lease");
    let store = one.fenced(&lease);
    let build = store.begin("notes", 1).await.expect("begun");
    // The statement of the commit has compared the epoch, and waits for the row of the build.
    let database = name(&url);
    let holding = tokio::spawn({
        let sql = format!(
            "BEGIN; SELECT FROM projections WHERE id = {} FOR UPDATE; SELECT pg_sleep(1); COMMIT",
            build.id
        );
        async move { cluster.execute(&database, &sql).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let committing = tokio::spawn({
        let store = Arc::clone(&store);
        let batch = batch(&build, 0);
        async move { store.commit(batch).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    one.leases.leave(&one.report.id).await.expect("left");
    let moved = other.lease().await.expect("it has moved");
    // By then the commit is over.
    let builds = store.builds().await.expect("read");
    assert_eq!(builds[0].checkpoint.position, Position::new(1));
    committing.await.expect("no panic").expect("stored");
    holding.await.expect("no panic").expect("executed");
    assert!(moved.epoch > lease.epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn node_that_was_replaced_does_not_get_its_lease_back() {
    let Some(cluster) = Cluster::shared("node_that_was_replaced_does_not_get_its_lease_back")
    else {
        return;
    };
    let (one, other) = Node::pair(&fresh_url(cluster).await).await;
    let old = one.lease().await.expect("the only node holds the lease");
    tokio::time::sleep(TERM + Duration::from_millis(200)).await;
    assert!(other.lease().await.is_some());
    let nodes = other.leases.nodes().await.expect("read");
    let is_running = nodes.iter().map(|node| node.is_running);
    assert_eq!(is_running.collect::<Vec<_>>(), [false, true]);
    assert_eq!(one.lease().await, None);
    let held = other.lease().await.expect("it stays");
    assert!(held.epoch > old.epoch);
}

/// A row that several nodes would take at the same time goes to one of them, and all leases are
/// spread over the nodes, within a bounded time.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_leases_are_spread_over_nodes_that_start_together() {
    let Some(cluster) =
        Cluster::shared("ten_thousand_leases_are_spread_over_nodes_that_start_together")
    else {
        return;
    };
    let url = fresh_url(cluster).await;
    let wanted: Vec<String> = (0..10_000)
        .map(|number| format!("lease {number}"))
        .collect();
    let nodes = join_all((0..4).map(|_| open(&url))).await;
    let term = Duration::from_secs(60);
    let stores: Vec<_> = nodes
        .iter()
        .map(|node| node.leases().with_term(term))
        .collect();
    let reports: Vec<_> = (0..4)
        .map(|node| report(&format!("node-{node}"), &wanted))
        .collect();
    for _ in 0..2 {
        let told = stores
            .iter()
            .zip(&reports)
            .map(|(store, report)| store.report(report));
        for told in join_all(told).await {
            told.expect("reported");
        }
    }
    let told = stores
        .iter()
        .zip(&reports)
        .map(|(store, report)| store.report(report));
    let held = join_all(told)
        .await
        .into_iter()
        .map(|held| held.expect("reported"));
    let held: Vec<_> = held.collect();
    assert_eq!(held.iter().map(Vec::len).collect::<Vec<_>>(), [2_500; 4]);
    let mut names: Vec<_> = held.into_iter().flatten().map(|lease| lease.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), wanted.len(), "no lease has two holders");
}
