//! Runs projections side by side: keeps the live build of each up to date, and builds new ones
//! beside it.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ironstar_ports::{
    Build, BuildId, BuildState, BuildUpdate, Clock, EventStore, ProjectionStore, StoreError,
};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use super::build::{BuildError, build};
use super::folder::Halt;
use super::follower::{Announcer, Left, Reached, follow};
use super::origin::of_this_log;
use super::{Projection, ReadModel};
use crate::feed::EventFeed;

/// The interval at which builds are read from the store: to find a new build, another build
/// that another process has made live, and an operator's decision about a failed build.
const LOOK: Duration = Duration::from_millis(500);

/// The pause before a failure is tried again: the first and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The number of news items that a listener may be behind.
const NEWS: usize = 1_024;

/// The build that was last seen to be live, of any version.
type SeenLive = watch::Sender<Option<BuildId>>;

/// Runs projections on a feed.
#[derive(Clone, Debug)]
pub struct Projections {
    store: Arc<dyn ProjectionStore>,
    pub(crate) events: Arc<dyn EventStore>,
    feed: EventFeed,
    pub(crate) clock: Arc<dyn Clock>,
    /// The read models of the running projections, by projection.
    running: Arc<Mutex<HashMap<TypeId, Box<dyn Any + Send + Sync>>>>,
    /// The tasks that keep live builds up to date.
    following: TaskTracker,
}

impl Projections {
    /// Runs projections of this log, on this store.
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
            running: Arc::default(),
            following: TaskTracker::new(),
        }
    }

    /// Waits until all projections have stored their checkpoints, after the feed was stopped.
    /// Close their store only after that.
    pub async fn stopped(&self) {
        self.following.close();
        self.following.wait().await;
    }

    /// The read model of a projection. The first call starts the projection.
    #[must_use]
    pub fn model<P: Projection>(&self) -> ReadModel<P> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
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
        let announcer = Announcer { reached, news };
        let runner = self.clone();
        let live = Arc::new(watch::Sender::new(None));
        let building = tokio::spawn(runner.clone().keep_building::<P>(Arc::clone(&live)));
        let following = runner.keep_following::<P>(announcer, live, building);
        self.following.spawn(following);
        model
    }

    /// Keeps the live build up to date.
    async fn keep_following<P: Projection>(
        self,
        announcer: Announcer<P::Document>,
        seen_live: Arc<SeenLive>,
        building: JoinHandle<()>,
    ) {
        let mut seen_live = seen_live.subscribe();
        while let Some(live) = self
            .unless_stopped(self.live::<P>(&announcer, &mut seen_live))
            .await
        {
            let replaced = replaced(&live, &mut seen_live);
            let left = follow::<P>(&live, &self.feed, &*self.store, &announcer, replaced).await;
            if matches!(left, Left::Stopped) {
                break;
            }
            let waiting = self.wait_after_leaving::<P>(&live, left, &announcer);
            if self.unless_stopped(waiting).await.is_none() {
                break;
            }
        }
        building.abort();
    }

    /// The live build, once there is one.
    async fn live<P: Projection>(
        &self,
        announcer: &Announcer<P::Document>,
        seen_live: &mut watch::Receiver<Option<BuildId>>,
    ) -> Build {
        loop {
            let builds = self.look_at_this_log::<P>().await;
            announcer.check();
            let has_failed = |build: &Build| build.version == P::VERSION && build.failure.is_some();
            let is_stuck = builds.iter().any(has_failed);
            if let Some(live) = builds.into_iter().find(is_live::<P>) {
                return live;
            }
            // Another task or process is building it.
            announcer.stick(is_stuck);
            let _ = timeout(LOOK, seen_live.changed()).await;
        }
    }

    /// Waits until following makes sense again.
    async fn wait_after_leaving<P: Projection>(
        &self,
        live: &Build,
        left: Left,
        announcer: &Announcer<P::Document>,
    ) {
        match left {
            Left::Stopped => {}
            Left::Halted(Halt::Ended) => {
                tracing::info!(projection = P::NAME, "another read model is live now");
            }
            Left::Halted(Halt::Moved) => {
                tracing::debug!(projection = P::NAME, "another process was faster");
            }
            Left::Halted(halt) => {
                if matches!(halt, Halt::Stuck { .. }) {
                    announcer.stick(true);
                }
                self.wait_after::<P>(live, halt).await;
            }
            Left::Feed(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    projection = P::NAME,
                    "a projection cannot read the log; trying again"
                );
                sleep(FIRST_PAUSE).await;
            }
        }
    }

    /// The result of a future, or `None` if the feed is stopped first.
    async fn unless_stopped<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            outcome = future => Some(outcome),
            () = self.feed.stopped() => None,
        }
    }

    /// Runs builds that are due, and announces the live one.
    async fn keep_building<P: Projection>(self, seen_live: Arc<SeenLive>) {
        let mut has_had_one = false;
        loop {
            let builds = self.look::<P>().await;
            let mut live = builds.iter().filter(|it| it.state == BuildState::Live);
            see(&seen_live, live.next().map(|live| live.id));
            if let Some(build) = self.build_to_do::<P>(&builds, &mut has_had_one).await
                && self.build_one::<P>(&build).await
            {
                see(&seen_live, Some(build.id));
            }
            sleep(LOOK).await;
        }
    }

    /// The build in progress, or a new one if there is no read model of this version.
    ///
    /// A version that `has_had_one` and was replaced by another version does not begin again.
    /// Otherwise processes with different versions of the code on one store would replace each
    /// other's read models for ever.
    async fn build_to_do<P: Projection>(
        &self,
        builds: &[Build],
        has_had_one: &mut bool,
    ) -> Option<Build> {
        let is_ours = |build: &Build| build.version == P::VERSION;
        let gives_way = *has_had_one && !builds.iter().all(is_ours);
        *has_had_one |= builds.iter().any(is_ours);
        let is_todo =
            |build: &&Build| build.version == P::VERSION && build.state == BuildState::Building;
        let todo = builds.iter().find(is_todo);
        if todo.is_some() || builds.iter().any(is_live::<P>) {
            return todo.cloned();
        }
        let is_cancelled =
            |build: &Build| build.version == P::VERSION && build.state == BuildState::Cancelled;
        if gives_way || builds.iter().any(is_cancelled) {
            // The operator or process that has stopped or replaced it decides when it
            // continues.
            return None;
        }
        match self.store.begin(P::NAME, P::VERSION).await {
            Ok(build) => {
                *has_had_one = true;
                tracing::info!(
                    projection = P::NAME,
                    version = P::VERSION,
                    "building a read model"
                );
                Some(build)
            }
            Err(error) => {
                log_store::<P>(&error);
                None
            }
        }
    }

    /// Returns true if the build has become live.
    async fn build_one<P: Projection>(&self, todo: &Build) -> bool {
        let built = build::<P>(
            todo,
            Arc::clone(&self.events),
            &*self.store,
            &*self.clock,
            |progress| {
                tracing::debug!(projection = P::NAME, ?progress, "building a read model");
            },
        )
        .await;
        let is_live = built.is_ok();
        match built {
            Ok(()) => tracing::info!(
                projection = P::NAME,
                version = P::VERSION,
                "a read model was built, and is live"
            ),
            Err(BuildError::Stuck { .. }) => {
                let attempts = todo.failure.as_ref().map_or(0, |failure| failure.attempts);
                tracing::error!(
                    error = built
                        .as_ref()
                        .err()
                        .map(|error| error as &dyn std::error::Error),
                    projection = P::NAME,
                    "a read model cannot be built; trying again later"
                );
                self.wait_for_decision::<P>(todo, attempts + 1).await;
            }
            Err(BuildError::Store(error)) => {
                log_store::<P>(&error);
                sleep(FIRST_PAUSE).await;
            }
            // Another process builds it, and will finish some time.
            Err(BuildError::Moved | BuildError::Ended | BuildError::OtherHistory) => {
                sleep(FIRST_PAUSE).await;
            }
        }
        is_live
    }

    /// Reports why the live build cannot continue, and waits until another try makes sense.
    async fn wait_after<P: Projection>(&self, build: &Build, halt: Halt) {
        tracing::error!(
            error = &halt as &dyn std::error::Error,
            projection = P::NAME,
            "a projection has stopped; trying again later"
        );
        let failure = halt.failure(build, self.clock.now());
        let Some(failure) = failure else {
            sleep(FIRST_PAUSE).await;
            return;
        };
        let attempts = failure.attempts;
        let reported = self
            .store
            .update(build.id, BuildUpdate::Fail(failure))
            .await;
        if let Err(error) = reported {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                projection = P::NAME,
                "the failure of a projection was not stored"
            );
            sleep(FIRST_PAUSE).await;
            return;
        }
        self.wait_for_decision::<P>(build, attempts).await;
    }

    /// Waits after a reported failure: longer each time. Returns at once when an operator has
    /// decided about it.
    async fn wait_for_decision<P: Projection>(&self, build: &Build, attempts: u32) {
        let doublings = attempts.saturating_sub(1).min(16);
        let pause = FIRST_PAUSE
            .saturating_mul(1 << doublings)
            .min(LONGEST_PAUSE);
        let is_undecided = async || {
            let builds = self.look::<P>().await;
            let mut this = builds.into_iter().filter(|now| now.id == build.id);
            this.any(|now| now.failure.is_some())
        };
        let decided = async {
            while is_undecided().await {
                sleep(LOOK).await;
            }
        };
        // In either case the build is tried again.
        let _ = timeout(pause, decided).await;
    }

    /// The projection's builds that belong to this log, once that can be checked. The other
    /// builds are discarded.
    async fn look_at_this_log<P: Projection>(&self) -> Vec<Build> {
        loop {
            let builds = self.look::<P>().await;
            match self.of_this_log(builds).await {
                Ok(builds) => return builds,
                Err(error) => {
                    log_store::<P>(&error);
                    sleep(FIRST_PAUSE).await;
                }
            }
        }
    }

    async fn of_this_log(&self, builds: Vec<Build>) -> Result<Vec<Build>, StoreError> {
        let mut checked = Vec::with_capacity(builds.len());
        for build in builds {
            checked.extend(of_this_log(build, &*self.events, &*self.store).await?);
        }
        Ok(checked)
    }

    /// The projection's builds, once the store can be read.
    async fn look<P: Projection>(&self) -> Vec<Build> {
        loop {
            match self.store.builds().await {
                Ok(mut builds) => {
                    builds.retain(|build| build.name == P::NAME);
                    return builds;
                }
                Err(error) => {
                    log_store::<P>(&error);
                    sleep(FIRST_PAUSE).await;
                }
            }
        }
    }
}

/// Returns true if a build serves queries and was made by exactly this version of the code.
fn is_live<P: Projection>(build: &Build) -> bool {
    build.state == BuildState::Live && build.version == P::VERSION
}

/// Announces the live build, if it has changed.
fn see(seen_live: &SeenLive, live: Option<BuildId>) {
    seen_live.send_if_modified(|seen| std::mem::replace(seen, live) != live);
}

/// Waits until another build is live.
async fn replaced(build: &Build, seen_live: &mut watch::Receiver<Option<BuildId>>) {
    while seen_live.changed().await.is_ok() {
        let live = *seen_live.borrow_and_update();
        if live.is_some_and(|live| live != build.id) {
            return;
        }
    }
    pending().await
}

fn log_store<P: Projection>(error: &StoreError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        projection = P::NAME,
        "the store of a projection fails; trying again"
    );
}
