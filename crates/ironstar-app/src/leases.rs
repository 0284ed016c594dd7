//! The leases of this node, for what only one of the nodes that share a database does.
//!
//! A node reports several times in each term that it runs, and learns which leases it holds. A
//! lease is a hint about who does the work: a node that was paused learns too late that its lease
//! is over. What makes two holders harmless is the comparison of epochs in every write
//! ([`ProjectionStore::fenced`](ironstar_ports::ProjectionStore::fenced)).

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use ironstar_ports::{Lease, LeaseStore, NodeAbout, NodeId, NodeReport, Position, StoreError};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// The number of reports in a term. If some are lost or late, the node keeps its leases.
const REPORTS: u32 = 6;

/// The time for which wishes are gathered before they are reported together.
const GATHER: Duration = Duration::from_millis(5);

/// The leases of this node.
#[derive(Clone, Debug)]
pub struct Leases(Option<Arc<Node>>);

/// The state of a lease, as this node knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Hold {
    /// No other node uses the database, so this node does everything.
    Unshared,
    /// This node holds the lease.
    Held(Lease),
    /// Another node holds the lease, or none does.
    Elsewhere,
}

/// A lease that this node wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    hold: watch::Receiver<Hold>,
    name: String,
    /// `None` if no other node uses the database.
    shared: Option<Arc<Shared>>,
}

/// A node among others.
#[derive(Debug)]
struct Node {
    shared: Arc<Shared>,
    reporting: TaskTracker,
    stop: CancellationToken,
    /// Ends the task when the last copy of the leases is dropped.
    _stop: DropGuard,
}

/// The state that the task and its callers share.
struct Shared {
    store: Arc<dyn LeaseStore>,
    id: NodeId,
    about: NodeAbout,
    position: Box<dyn Fn() -> Position + Send + Sync>,
    wanted: Mutex<HashMap<String, Wish>>,
    /// Tells the task of a new wish.
    has_new: Notify,
}

/// The wish for a lease.
#[derive(Debug)]
struct Wish {
    hold: watch::Sender<Hold>,
    /// Until then, other nodes may try.
    declined_until: Option<Instant>,
}

impl Hold {
    /// Returns true if this node does the work.
    #[must_use]
    pub fn is_here(&self) -> bool {
        !matches!(self, Self::Elsewhere)
    }
}

impl Leases {
    /// Every lease is held here, because no other node uses the database.
    #[must_use]
    pub const fn unshared() -> Self {
        Self(None)
    }

    /// Joins the nodes that share a database, under a new id. `position` returns the position up
    /// to which this node has read the log.
    #[must_use]
    pub fn join(
        store: Arc<dyn LeaseStore>,
        id: NodeId,
        about: NodeAbout,
        position: impl Fn() -> Position + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            store,
            id,
            about,
            position: Box::new(position),
            wanted: Mutex::default(),
            has_new: Notify::new(),
        });
        let stop = CancellationToken::new();
        let reporting = TaskTracker::new();
        reporting.spawn(report(Arc::clone(&shared), stop.clone()));
        reporting.close();
        Self(Some(Arc::new(Node {
            shared,
            reporting,
            _stop: stop.clone().drop_guard(),
            stop,
        })))
    }

    /// Wants a lease from now on.
    #[must_use]
    pub fn want(&self, name: &str) -> Wanted {
        let name = name.to_owned();
        let Some(node) = &self.0 else {
            return Wanted {
                hold: watch::channel(Hold::Unshared).1,
                name,
                shared: None,
            };
        };
        let mut wanted = node.shared.wanted.lock();
        let wish = wanted.entry(name.clone()).or_insert_with(|| {
            node.shared.has_new.notify_one();
            Wish {
                hold: watch::channel(Hold::Elsewhere).0,
                declined_until: None,
            }
        });
        Wanted {
            hold: wish.hold.subscribe(),
            name,
            shared: Some(Arc::clone(&node.shared)),
        }
    }

    /// Gives all leases back, so that other nodes need not wait for the end of their term. Call it
    /// when the work has ended.
    ///
    /// # Errors
    ///
    /// If the store is not available.
    pub async fn leave(&self) -> Result<(), StoreError> {
        let Some(node) = &self.0 else {
            return Ok(());
        };
        node.stop.cancel();
        node.reporting.wait().await;
        node.shared.hold(&[]);
        node.shared.store.leave(&node.shared.id).await
    }
}

impl Wanted {
    /// The state of the lease.
    #[must_use]
    pub fn hold(&mut self) -> Hold {
        self.hold.borrow_and_update().clone()
    }

    /// Waits until the state changes after the last call of [`hold`](Self::hold).
    pub async fn changed(&mut self) {
        if self.hold.changed().await.is_err() {
            // The state will not change any more.
            std::future::pending::<()>().await;
        }
    }

    /// Leaves the lease to other nodes for one term, because this node cannot do the work. If none
    /// of them wants it, this node gets it again.
    pub fn decline(&self) {
        let Some(shared) = &self.shared else {
            return;
        };
        if let Some(wish) = shared.wanted.lock().get_mut(&self.name) {
            wish.declined_until = Some(Instant::now() + shared.store.term());
        }
        shared.has_new.notify_one();
    }
}

/// Reports that this node runs, until it stops.
async fn report(shared: Arc<Shared>, stop: CancellationToken) {
    let term = shared.store.term();
    let mut known = Vec::new();
    let mut revision = 0;
    let mut reported_at = Instant::now();
    let mut is_failing = false;
    loop {
        sleep(GATHER).await;
        let start = Instant::now();
        let wanted = shared.names();
        if wanted != known {
            revision += 1;
            known = wanted;
        }
        let report = NodeReport {
            id: shared.id.clone(),
            about: shared.about.clone(),
            wanted: known.clone(),
            revision,
            position: (shared.position)(),
        };
        let reporting = timeout(term, shared.store.report(&report));
        tokio::pin!(reporting);
        let told = tokio::select! {
            told = &mut reporting => told,
            () = stop.cancelled() => {
                // A report that arrives after the node has left would bring it back. It is not
                // waited for any longer than a node may take to stop.
                let _ = timeout(term / REPORTS / 2, reporting).await;
                return;
            }
        };
        let failure = match told {
            Ok(Ok(held)) => {
                reported_at = start;
                shared.hold(&held);
                None
            }
            Ok(Err(error)) => Some(error),
            Err(late) => Some(StoreError::unavailable(late)),
        };
        if let Some(error) = &failure
            && !is_failing
        {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "this node cannot report that it runs; trying again"
            );
        }
        is_failing = failure.is_some();
        if reported_at.elapsed() >= term {
            shared.hold(&[]);
        }
        tokio::select! {
            () = sleep(term / REPORTS) => {}
            () = shared.has_new.notified() => {}
            () = stop.cancelled() => return,
        }
    }
}

impl Shared {
    /// The names of the leases that this node wants.
    fn names(&self) -> Vec<String> {
        let now = Instant::now();
        let wanted = self.wanted.lock();
        let names = wanted
            .iter()
            .filter(|(_, wish)| wish.declined_until.is_none_or(|until| until <= now));
        let mut names: Vec<String> = names.map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names
    }

    /// Notes which leases this node holds.
    fn hold(&self, held: &[Lease]) {
        let held: HashMap<&str, &Lease> = held.iter().map(|lease| (&*lease.name, lease)).collect();
        for (name, wish) in &*self.wanted.lock() {
            let hold = held.get(&**name).copied();
            let hold = hold.map_or(Hold::Elsewhere, |lease| Hold::Held(lease.clone()));
            wish.hold.send_if_modified(|before| {
                let is_new = *before != hold;
                if is_new {
                    tracing::debug!(lease = name, ?hold, "a lease has changed");
                    *before = hold;
                }
                is_new
            });
        }
    }
}

impl Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("id", &self.id)
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}
