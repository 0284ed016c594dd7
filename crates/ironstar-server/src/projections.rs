//! The operator's commands on projections. They also work while a server runs: the command and
//! the server meet in the database.

mod status;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use ironstar_adapters::database::Stores;
use ironstar_adapters::system::SystemClock;
use ironstar_app::Features;
use ironstar_app::projection::{BuildError, BuildJob, Progress, Registered};
use ironstar_ports::{
    Build, BuildId, BuildState, BuildUpdate, Position, ProjectionStore, UpdateError,
};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::config::{Config, ProjectionsTask};
use crate::output::say;
use crate::progress::Shown;

/// The interval at which a build is checked.
const LOOK: Duration = Duration::from_millis(100);

/// The time that a server gets to start a build before this command does the work.
const PATIENCE: Duration = Duration::from_secs(2);

/// The open database.
struct Open {
    features: Features,
    stores: Stores,
}

/// Carries out the operator's command.
pub(crate) async fn run(
    config: &Config,
    features: Features,
    task: &ProjectionsTask,
) -> anyhow::Result<()> {
    let url = config.existing_database()?;
    let clock = Arc::new(SystemClock);
    let stores = url.open(clock, config.command_retention()).await?;
    let open = Open { features, stores };
    let outcome = open.run(task).await;
    open.stores.close().await?;
    outcome
}

impl Open {
    fn builds(&self) -> &dyn ProjectionStore {
        &*self.stores.projections
    }

    async fn run(&self, task: &ProjectionsTask) -> anyhow::Result<()> {
        match task {
            ProjectionsTask::List => self.list().await,
            ProjectionsTask::Status => self.status().await,
            ProjectionsTask::Rebuild { name } => self.rebuild(self.registered(name)?).await,
            ProjectionsTask::Cancel { name } => self.cancel(name).await,
            ProjectionsTask::Retry { name } => self.retry(name).await,
            ProjectionsTask::Skip { name, position } => {
                self.skip(name, Position::new(*position)).await
            }
        }
    }

    async fn list(&self) -> anyhow::Result<()> {
        let builds = self.builds().builds().await?;
        let names = self.features.projections();
        let names = names.map(|projection| projection.name.len());
        let width = names.max().unwrap_or_default().max("projection".len());
        say(&format!("{:<width$} {:>7}  live", "projection", "version"))?;
        for Registered { name, version, .. } in self.features.projections() {
            let is_live = |build: &&Build| build.name == *name && build.state == BuildState::Live;
            let live = match builds.iter().find(is_live) {
                Some(live) => format!("version {}", live.version),
                None => "not yet".to_owned(),
            };
            say(&format!("{name:<width$} {version:>7}  {live}"))?;
        }
        Ok(())
    }

    /// Requests a build of a read model and waits for its end.
    async fn rebuild(&self, projection: &'static Registered) -> anyhow::Result<()> {
        let build = self
            .builds()
            .begin(projection.name, projection.version)
            .await?;
        let name = projection.name;
        let mut shown = Shown::from(build.checkpoint.position.get());
        let start = Instant::now();
        let outcome = tokio::select! {
            outcome = self.see_to_it(projection, &build, &mut shown) => outcome,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.context("cannot listen for Ctrl-C")?;
                self.cancel_build(name, build.id).await
            }
        };
        shown.end();
        outcome?;
        let seconds = start.elapsed().as_secs_f64();
        match self.find(name, |now| now.id == build.id).await? {
            Some(now) if now.state == BuildState::Live => {
                say(&format!(
                    "{name}: the new read model is live, after {seconds:.1} s"
                ))?;
                Ok(())
            }
            Some(now) => {
                let at = now.checkpoint.position;
                bail!(
                    "{name}: cancelled at position {at}; 'projections rebuild {name}' continues it"
                )
            }
            None => bail!("{name}: another build has replaced this one"),
        }
    }

    /// Waits until a build is no longer in progress. Does the work if no server does.
    async fn see_to_it(
        &self,
        projection: &'static Registered,
        build: &Build,
        shown: &mut Shown,
    ) -> anyhow::Result<()> {
        let mut moved = (build.checkpoint.position, Instant::now());
        loop {
            let now = self.find(projection.name, |now| now.id == build.id).await?;
            let Some(now) = now.filter(|now| now.state == BuildState::Building) else {
                return Ok(());
            };
            if let Some(failure) = now.failure {
                let (name, position) = (projection.name, failure.position);
                bail!(
                    "{name}: stuck at position {position}, a {:?} event: {}; fix the cause and run \
                     'projections retry {name}', or skip the event with \
                     'projections skip {name} {position}'; then rebuild again",
                    failure.event_type,
                    failure.reason
                );
            }
            let progress = Progress {
                position: now.checkpoint.position,
                head: self.stores.events.head().await?,
                left: None,
            };
            show(shown, projection.name, progress);
            if now.checkpoint.position > moved.0 {
                moved = (now.checkpoint.position, Instant::now());
            }
            if moved.1.elapsed() > PATIENCE {
                // No server has started it.
                self.build_here(projection, now, shown).await?;
                moved.1 = Instant::now();
            }
            sleep(LOOK).await;
        }
    }

    async fn build_here(
        &self,
        projection: &'static Registered,
        build: Build,
        shown: &mut Shown,
    ) -> anyhow::Result<()> {
        let (tell, mut told) = watch::channel(None::<Progress>);
        let job = BuildJob {
            build,
            events: self.stores.events.clone(),
            store: self.stores.projections.clone(),
            clock: Arc::new(SystemClock),
            tell: Box::new(move |progress| {
                tell.send_replace(Some(progress));
            }),
        };
        let building = projection.build(job);
        tokio::pin!(building);
        let built = loop {
            tokio::select! {
                built = &mut building => break built,
                Ok(()) = told.changed() => {
                    if let Some(progress) = *told.borrow_and_update() {
                        show(shown, projection.name, progress);
                    }
                }
            }
        };
        match built {
            // The outcome is in the database.
            Ok(())
            | Err(
                BuildError::Moved
                | BuildError::Ended
                | BuildError::LeaseOver
                | BuildError::Stuck { .. },
            ) => Ok(()),
            Err(BuildError::Store(error)) => Err(error.into()),
            Err(error @ (BuildError::OtherHistory | BuildError::Log(_))) => Err(error.into()),
        }
    }

    async fn cancel(&self, name: &str) -> anyhow::Result<()> {
        let name = self.registered(name)?.name;
        let build = self
            .find(name, |build| build.state == BuildState::Building)
            .await?;
        let build = build.ok_or_else(|| anyhow!("{name}: no build is in progress"))?;
        self.cancel_build(name, build.id).await?;
        say(&format!(
            "{name}: cancelled; 'projections rebuild {name}' continues it"
        ))?;
        Ok(())
    }

    async fn cancel_build(&self, name: &str, build: BuildId) -> anyhow::Result<()> {
        match self.builds().update(build, BuildUpdate::Cancel).await {
            Ok(()) => Ok(()),
            Err(UpdateError::NoSuchBuild | UpdateError::WrongState) => {
                bail!("{name}: too late, the build is no longer in progress")
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Tries all failed read models again: the live one, the one that is being built, or both.
    async fn retry(&self, name: &str) -> anyhow::Result<()> {
        let name = self.registered(name)?.name;
        let mut failed = self.builds().builds().await?;
        failed.retain(|build| build.name == name && build.failure.is_some());
        ensure!(!failed.is_empty(), "{name}: nothing has failed");
        for build in failed {
            match self.builds().update(build.id, BuildUpdate::Retry).await {
                // A build that has ended in the meantime needs no retry.
                Ok(()) | Err(UpdateError::NoSuchBuild) => {}
                Err(error) => return Err(error.into()),
            }
        }
        say(&format!("{name}: a running server tries again now"))?;
        Ok(())
    }

    async fn skip(&self, name: &str, position: Position) -> anyhow::Result<()> {
        let name = self.registered(name)?.name;
        let has_failed = |build: &Build| {
            let failure = build.failure.as_ref();
            failure.is_some_and(|failure| failure.position == position)
        };
        let failed = self.find(name, has_failed).await?;
        let failed =
            failed.ok_or_else(|| anyhow!("{name}: nothing has failed at position {position}"))?;
        self.builds()
            .update(failed.id, BuildUpdate::Skip(position))
            .await?;
        say(&format!(
            "{name}: the event at position {position} is skipped"
        ))?;
        Ok(())
    }

    fn registered(&self, name: &str) -> anyhow::Result<&'static Registered> {
        let mut all = self.features.projections();
        all.find(|projection| projection.name == name)
            .ok_or_else(|| {
                let all = self.features.projections();
                let names: Vec<&str> = all.map(|projection| projection.name).collect();
                anyhow!(
                    "there is no projection {name:?}; the projections are: {}",
                    names.join(", ")
                )
            })
    }

    /// Returns the first build of a projection that the test accepts.
    async fn find(
        &self,
        name: &str,
        is_meant: impl Fn(&Build) -> bool,
    ) -> anyhow::Result<Option<Build>> {
        let builds = self.builds().builds().await?;
        let mut builds = builds.into_iter().filter(|build| build.name == name);
        Ok(builds.find(is_meant))
    }
}

fn show(shown: &mut Shown, name: &str, progress: Progress) {
    let Progress {
        position,
        head,
        left,
    } = progress;
    let text = format!("{name}: position {position} of {head}");
    shown.show(&text, position.get(), head.get(), left);
}
