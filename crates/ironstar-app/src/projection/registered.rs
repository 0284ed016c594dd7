//! Projections by their names, for operators.

use std::fmt;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use ironstar_ports::{Build, Clock, EventStore, Position, ProjectionStore, StoreError};

use super::Projection;
use super::build::{BuildError, Progress, build};
use super::follower::{BATCH, UNSTORED};

/// A projection, without its type.
#[derive(Clone, Copy)]
pub struct Registered {
    /// Its name.
    pub name: &'static str,
    /// The version of its code.
    pub version: u32,
    /// Whether it is what a process manager has to do.
    pub is_process: bool,
    is_about: fn(&str) -> bool,
    build: fn(BuildJob) -> BoxFuture<'static, Result<(), BuildError>>,
}

/// A build that is to be done.
pub struct BuildJob {
    /// Which build.
    pub build: Build,
    /// The log.
    pub events: Arc<dyn EventStore>,
    /// Where the documents go.
    pub store: Arc<dyn ProjectionStore>,
    /// Tells when something has failed.
    pub clock: Arc<dyn Clock>,
    /// Told how far the build has got.
    pub tell: Box<dyn FnMut(Progress) + Send>,
}

impl Registered {
    /// This projection.
    #[must_use]
    pub const fn of<P: Projection>() -> Self {
        Self {
            name: P::NAME,
            version: P::VERSION,
            is_process: P::IS_PROCESS,
            is_about: P::is_about,
            build: run::<P>,
        }
    }

    /// The position that a build's documents are as of. It may be ahead of the
    /// checkpoint: an event that the projection is not about, or that was left out,
    /// changes no document, and a running projection moves its checkpoint past many
    /// of them at once. This looks at as many as that.
    ///
    /// # Errors
    ///
    /// If the log cannot be read.
    pub async fn position(
        &self,
        build: &Build,
        log: &dyn EventStore,
    ) -> Result<Position, StoreError> {
        let is_left_out = |at: Position| build.skipped.iter().any(|it| it.position == at);
        let mut position = build.checkpoint.position;
        // An event that was left out may be one that cannot even be read.
        while is_left_out(position.next()) {
            position = position.next();
        }
        let unstored = usize::try_from(UNSTORED).unwrap_or(usize::MAX);
        let unstored = unstored.saturating_add(BATCH);
        let events = match log.load_after(position, unstored).await {
            // What comes next cannot be read, so the build ends here.
            Err(StoreError::Damaged { .. }) => return Ok(position),
            events => events?,
        };
        for event in events {
            let is_ours = (self.is_about)(&event.stream.aggregate_type);
            if is_ours && !is_left_out(event.position) {
                break;
            }
            position = event.position;
        }
        Ok(position)
    }

    /// Does a build, as [`build`](super::build) does.
    ///
    /// # Errors
    ///
    /// See [`BuildError`].
    pub async fn build(&self, job: BuildJob) -> Result<(), BuildError> {
        (self.build)(job).await
    }
}

fn run<P: Projection>(job: BuildJob) -> BoxFuture<'static, Result<(), BuildError>> {
    async move {
        let (store, clock) = (&*job.store, &*job.clock);
        build::<P>(&job.build, job.events, store, clock, job.tell).await
    }
    .boxed()
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered")
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for BuildJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildJob")
            .field("build", &self.build)
            .finish_non_exhaustive()
    }
}
