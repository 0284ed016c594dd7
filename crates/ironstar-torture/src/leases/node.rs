//! A node: the leases and read models of a server, in a runtime of its own, which can be killed.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use ironstar_adapters::postgres::{PostgresLeaseStore, PostgresUrl};
use ironstar_app::projection::{Projection, ReadModel};
use ironstar_app::{EventFeed, FeedOptions, Leases, Projections};
use ironstar_ports::{
    Lease, LeaseStore, NodeAbout, NodeId, NodeReport, NodeStatus, Position, StoreError,
};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::audit::{Audit, Audited};
use super::tally::Tally;
use super::{MemoryEventBus, PostgresEventStore, SystemClock, TERM, open};
use crate::Bug;

/// A running node.
pub(super) struct Node {
    /// One thread, so that a node can be frozen.
    runtime: Runtime,
    name: String,
    shared: Arc<Shared>,
    leave: CancellationToken,
    left: tokio::task::JoinHandle<()>,
}

/// The name and the current position of a read model.
type Place = Box<dyn Fn() -> (&'static str, Position) + Send>;

#[derive(Default)]
struct Shared {
    /// Until then, the node's reports wait.
    silent_until: Mutex<Option<Instant>>,
    positions: Mutex<Vec<Place>>,
}

/// The lease store of a node, which can be silent.
struct SilentLeases {
    inner: PostgresLeaseStore,
    shared: Arc<Shared>,
}

impl Node {
    pub(super) fn start(
        name: String,
        url: PostgresUrl,
        bug: Option<Bug>,
        audit: Arc<Audit>,
    ) -> Self {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a thread can be started");
        let shared = Arc::new(Shared::default());
        let leave = CancellationToken::new();
        let left = runtime.spawn({
            let (name, shared, leave) = (name.clone(), Arc::clone(&shared), leave.clone());
            async move {
                loop {
                    // Its session can be cut off.
                    if let Ok(log) = open(&url).await {
                        return run(name, log, bug, audit, shared, leave).await;
                    }
                    sleep(TERM / 10).await;
                }
            }
        });
        Self {
            runtime,
            name,
            shared,
            leave,
            left,
        }
    }

    /// Ends the node in the middle of all that it does.
    pub(super) fn kill(self) {
        self.runtime.shutdown_background();
    }

    /// Ends the node cleanly.
    pub(super) async fn leave(self) {
        self.leave.cancel();
        // A frozen node is not waited for.
        let _ = tokio::time::timeout(2 * TERM, self.left).await;
        self.runtime.shutdown_background();
    }

    /// Freezes all that the node does.
    pub(super) fn freeze(&self, time: Duration) {
        self.runtime.spawn(async move { thread::sleep(time) });
    }

    /// Delays the node's reports. All else goes on.
    pub(super) fn silence(&self, time: Duration) {
        *self.shared.silent_until.lock() = Some(Instant::now() + time);
    }

    /// The read models of the node that are behind a position, as text.
    pub(super) fn behind(&self, head: Position) -> Option<String> {
        let positions = self.shared.positions.lock();
        if positions.is_empty() {
            return Some(format!("{} has not started", self.name));
        }
        let positions = positions.iter().map(|position| position());
        let behind = positions.filter(|(_, position)| *position < head);
        let behind: Vec<String> = behind
            .map(|(name, position)| format!("{name} at {position}"))
            .collect();
        (!behind.is_empty()).then(|| format!("{} has {}", self.name, behind.join(", ")))
    }
}

/// Runs a node until it is told to leave.
async fn run(
    name: String,
    log: PostgresEventStore,
    bug: Option<Bug>,
    audit: Arc<Audit>,
    shared: Arc<Shared>,
    leave: CancellationToken,
) {
    let log = Arc::new(log);
    let options = FeedOptions {
        poll: TERM / 20,
        ..FeedOptions::default()
    };
    let feed = loop {
        match EventFeed::start(log.clone(), &MemoryEventBus::new(), options).await {
            Ok(feed) => break feed,
            Err(_) => sleep(TERM / 10).await,
        }
    };
    // With the bug, other nodes wait for a node that is silent.
    let term = match bug {
        Some(Bug::WaitsForSilentNodes) => Duration::from_secs(3_600),
        _ => TERM,
    };
    let store = SilentLeases {
        inner: log.leases().with_term(term),
        shared: Arc::clone(&shared),
    };
    let position = feed.clone();
    let leases = Leases::join(
        Arc::new(store),
        NodeId::new(name),
        NodeAbout::default(),
        move || position.head(),
    );
    let store = Arc::new(Audited {
        inner: Arc::new(log.projections()),
        bug,
        lease: None,
        audit,
    });
    let clock = Arc::new(SystemClock);
    let projections = Projections::new(store, log.clone(), feed.clone(), clock);
    let projections = projections.shared_by(leases.clone());
    *shared.positions.lock() = vec![
        position_of(projections.start::<Tally<0>>()),
        position_of(projections.start::<Tally<1>>()),
        position_of(projections.start::<Tally<2>>()),
        position_of(projections.start::<Tally<3>>()),
        position_of(projections.start::<Tally<4>>()),
    ];
    leave.cancelled().await;
    feed.stop();
    feed.stopped().await;
    projections.stopped().await;
    // If that fails, the node's leases end with its term.
    let _ = leases.leave().await;
    log.close().await;
}

fn position_of<P: Projection>(model: ReadModel<P>) -> Place {
    Box::new(move || (P::NAME, model.position()))
}

#[async_trait]
impl LeaseStore for SilentLeases {
    fn term(&self) -> Duration {
        TERM
    }

    async fn report(&self, report: &NodeReport) -> Result<Vec<Lease>, StoreError> {
        let until = *self.shared.silent_until.lock();
        if let Some(until) = until {
            sleep_until(until).await;
        }
        self.inner.report(report).await
    }

    async fn leave(&self, node: &NodeId) -> Result<(), StoreError> {
        self.inner.leave(node).await
    }

    async fn nodes(&self) -> Result<Vec<NodeStatus>, StoreError> {
        self.inner.nodes().await
    }
}

impl std::fmt::Debug for SilentLeases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SilentLeases").finish_non_exhaustive()
    }
}
