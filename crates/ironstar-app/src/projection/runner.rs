//! Runs projections side by side: keeps the live build of each up to date, and builds new ones
//! beside it.
//!
//! A projection's runner looks at its builds, and carries out what [`next`] decides. It works on
//! builds in tasks of their own, so that following the log does not wait for a build.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ironstar_ports::{Build, BuildState, Clock, EventStore, ProjectionStore, Skipped, StoreError};
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::build::build;
use super::error::BuildError;
use super::follower::{Announcer, Following, Reached, follow};
use super::next::{Action, RETRY, Task, Tasks, gives_way, next};
use super::origin::of_this_log;
use super::{Projection, ReadModel};
use crate::feed::EventFeed;
use crate::leases::{Hold, Leases, Wanted};

/// The interval at which builds are read from the store: to find a new build, another build
/// that another process has made live, and an operator's decision about a failed build.
const LOOK: Duration = Duration::from_millis(500);

/// The number of news items that a listener may be behind.
const NEWS: usize = 1_024;

/// Runs projections on a feed.
#[derive(Clone, Debug)]
pub struct Projections {
    store: Arc<dyn ProjectionStore>,
    pub(crate) events: Arc<dyn EventStore>,
    feed: EventFeed,
    pub(crate) clock: Arc<dyn Clock>,
    leases: Leases,
    /// The read models of the running projections, by projection.
    running: Arc<Mutex<HashMap<TypeId, Box<dyn Any + Send + Sync>>>>,
    /// The runners.
    runners: TaskTracker,
}

impl Projections {
    /// Runs projections of this log, on this store, which no other node uses.
    #[must_use]
    pub fn new(
        store: Arc<dyn ProjectionStore>,
        events: Arc<dyn EventStore>,
        feed: EventFeed,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            store,
            events,
            feed,
            clock,
            leases: Leases::unshared(),
            running: Arc::default(),
            runners: TaskTracker::new(),
        }
    }

    /// Shares the store with other nodes: each projection is folded by the node that holds its
    /// lease. The other nodes show the documents that it stores.
    #[must_use]
    pub fn shared_by(mut self, leases: Leases) -> Self {
        self.leases = leases;
        self
    }

    /// The lease of this projection, for this version of its code.
    pub(crate) fn lease<P: Projection>(&self) -> Wanted {
        self.leases
            .want(&format!("{}, version {}", P::NAME, P::VERSION))
    }

    /// Waits until all projections have stored their checkpoints, after the feed was stopped.
    /// Close their store only after that.
    pub async fn stopped(&self) {
        self.runners.close();
        self.runners.wait().await;
    }

    /// The read model of a projection. The first call starts the projection.
    #[must_use]
    pub fn model<P: Projection>(&self) -> ReadModel<P> {
        let mut running = self.running.lock();
        let model = running
            .entry(TypeId::of::<P>())
            .or_insert_with(|| Box::new(self.start::<P>()))
            .downcast_ref::<ReadModel<P>>();
        model.expect("a model is stored under its own type").clone()
    }

    /// Starts a projection. It runs until the feed is stopped.
    #[must_use]
    pub fn start<P: Projection>(&self) -> ReadModel<P> {
        let (reached, position) = watch::channel(Reached::default());
        let (news, _) = broadcast::channel(NEWS);
        let model = ReadModel::new(Arc::clone(&self.store), position, news.downgrade());
        let mut lease = self.lease::<P>();
        let hold = lease.hold();
        let runner = Runner::<P> {
            projections: self.clone(),
            lease,
            hold: hold.clone(),
            announcer: Arc::new(Announcer { reached, news }),
            tasks: Tasks {
                is_holder: hold.is_here(),
                ..Tasks::default()
            },
            skipped: Vec::new(),
            following: JoinSet::new(),
            building: JoinSet::new(),
            leave: CancellationToken::new(),
        };
        self.runners.spawn(runner.run());
        model
    }
}

/// Runs one projection.
struct Runner<P: Projection> {
    projections: Projections,
    lease: Wanted,
    /// The state of the lease under which the tasks work.
    hold: Hold,
    announcer: Arc<Announcer<P::Document>>,
    tasks: Tasks,
    /// The task that follows the live build, if there is one.
    following: JoinSet<Result<(), BuildError>>,
    /// The task that continues a build in progress, if there is one.
    building: JoinSet<Result<(), BuildError>>,
    /// The events that this task skips.
    skipped: Vec<Skipped>,
    /// Tells the task that follows a build to end.
    leave: CancellationToken,
}

impl<P: Projection> Runner<P> {
    async fn run(mut self) {
        loop {
            let builds = tokio::select! {
                biased;
                () = self.projections.feed.stopped() => break,
                builds = self.look() => builds,
            };
            self.renew(&builds);
            if gives_way(&builds, P::VERSION, &self.tasks) {
                // Another node may begin a build, if its operator wants that.
                self.lease.decline();
            }
            self.tasks.has_had_one |= builds.iter().any(|build| build.version == P::VERSION);
            match next(&builds, P::VERSION, &self.tasks, Instant::now()) {
                Action::Follow(live) => {
                    self.follow(live.clone());
                    continue;
                }
                Action::Build(build) => {
                    self.build(build.clone());
                    continue;
                }
                Action::Begin => {
                    if self.begin().await {
                        self.tasks.has_had_one = true;
                        continue;
                    }
                }
                Action::Leave => {
                    tracing::info!(projection = P::NAME, "another read model is live now");
                    self.leave.cancel();
                }
                Action::Wait => {}
            }
            tokio::select! {
                Some(ended) = self.following.join_next() => {
                    let result = result(ended);
                    self.decline_if_stuck(&result);
                    self.tasks.following.end(&result, Instant::now());
                }
                Some(ended) = self.building.join_next() => {
                    self.tasks.building.end(&result(ended), Instant::now());
                }
                () = sleep(LOOK) => {}
                () = self.lease.changed() => {}
                () = self.projections.feed.stopped() => {}
            }
        }
        self.building.shutdown().await;
        // The task stores its checkpoint at last.
        while self.following.join_next().await.is_some() {}
    }

    /// Ends the tasks that work under an earlier state of the lease, or without an event that an
    /// operator has skipped. They begin again.
    fn renew(&mut self, builds: &[Build]) {
        let hold = self.lease.hold();
        if hold != self.hold {
            self.tasks.is_holder = hold.is_here();
            self.hold = hold;
            self.leave.cancel();
            self.building.abort_all();
        }
        let mut followed = builds
            .iter()
            .filter(|build| self.tasks.following == Task::Running(build.id));
        if followed.any(|build| build.skipped != self.skipped) {
            self.leave.cancel();
        }
    }

    /// Lets another node try an event that this one cannot fold. During an upgrade, newer nodes
    /// know events that older ones do not.
    fn decline_if_stuck(&self, result: &Result<(), BuildError>) {
        if self.hold.is_here() && matches!(result, Err(BuildError::Stuck { .. })) {
            self.lease.decline();
        }
    }

    /// The store for the changes of this node.
    fn store(&self) -> Arc<dyn ProjectionStore> {
        let store = &self.projections.store;
        let fenced = match &self.hold {
            Hold::Held(lease) => store.fenced(lease),
            Hold::Unshared | Hold::Elsewhere => None,
        };
        fenced.unwrap_or_else(|| Arc::clone(store))
    }

    fn follow(&mut self, live: Build) {
        self.leave = CancellationToken::new();
        self.tasks.following = Task::Running(live.id);
        self.skipped.clone_from(&live.skipped);
        let following = Following::<P> {
            feed: self.projections.feed.clone(),
            store: self.store(),
            clock: Arc::clone(&self.projections.clock),
            announcer: Arc::clone(&self.announcer),
            is_watching: !self.hold.is_here(),
            leave: self.leave.clone(),
        };
        self.following
            .spawn(async move { follow(&live, following).await });
    }

    fn build(&mut self, todo: Build) {
        self.tasks.building = Task::Running(todo.id);
        let store = self.store();
        let Projections { events, clock, .. } = self.projections.clone();
        self.building.spawn(async move {
            let tell = |progress| {
                tracing::debug!(projection = P::NAME, ?progress, "building a read model");
            };
            let built = build::<P>(&todo, events, &*store, &*clock, tell).await;
            log_end::<P>(&built);
            built
        });
    }

    /// Begins a build. Returns true if that has succeeded.
    async fn begin(&self) -> bool {
        let begun = self.store().begin(P::NAME, P::VERSION).await;
        match &begun {
            Ok(_) => tracing::info!(
                projection = P::NAME,
                version = P::VERSION,
                "building a read model"
            ),
            Err(error) => log_store::<P>(error),
        }
        begun.is_ok()
    }

    /// The projection's builds, once the store can be read.
    async fn look(&self) -> Vec<Build> {
        loop {
            match self.try_to_look().await {
                Ok(builds) => return builds,
                Err(error) => {
                    log_store::<P>(&error);
                    sleep(RETRY.first).await;
                }
            }
        }
    }

    /// The projection's builds. While none is followed, they are checked: those that do not
    /// belong to this log are discarded.
    async fn try_to_look(&self) -> Result<Vec<Build>, StoreError> {
        let Projections { store, events, .. } = &self.projections;
        let mut builds = store.builds().await?;
        builds.retain(|build| build.name == P::NAME);
        if matches!(self.tasks.following, Task::Running(_)) {
            return Ok(builds);
        }
        let mut checked = Vec::with_capacity(builds.len());
        for build in builds {
            checked.extend(of_this_log(build, &**events, &**store).await?);
        }
        self.announcer.check();
        let mut ours = checked.iter().filter(|build| build.version == P::VERSION);
        if !ours.clone().any(|build| build.state == BuildState::Live) {
            // Another task or process is building it.
            let is_stuck = ours.any(|build| build.failure.is_some());
            self.announcer.stick(is_stuck);
        }
        Ok(checked)
    }
}

/// The result of a task. After a panic, the task is tried again.
fn result(ended: Result<Result<(), BuildError>, JoinError>) -> Result<(), BuildError> {
    ended.unwrap_or_else(|error| Err(StoreError::unavailable(error).into()))
}

/// Logs the end of a build in progress.
fn log_end<P: Projection>(built: &Result<(), BuildError>) {
    match built {
        Ok(()) => {
            tracing::info!(
                projection = P::NAME,
                version = P::VERSION,
                "a read model was built, and is live"
            );
        }
        // Another process builds it, and will finish some time.
        Err(
            BuildError::Moved
            | BuildError::Ended
            | BuildError::LeaseOver
            | BuildError::OtherHistory,
        ) => {}
        Err(BuildError::Store(error)) => log_store::<P>(error),
        Err(error @ BuildError::Log(_)) => {
            error.log::<P>("a projection cannot read the log; trying again")
        }
        Err(error @ BuildError::Stuck { .. }) => {
            error.log::<P>("a read model cannot be built; trying again later")
        }
    }
}

fn log_store<P: Projection>(error: &StoreError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        projection = P::NAME,
        "the store of a projection fails; trying again"
    );
}
