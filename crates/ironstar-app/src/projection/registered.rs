//! Projections by their names, for operators.

use std::fmt;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use ironstar_ports::{Build, Clock, EventStore, Position, ProjectionStore, StoreError};

use super::Projection;
use super::build::{Progress, build};
use super::error::BuildError;
use super::follower::{BATCH, UNSTORED};

/// A projection, without its type.
#[derive(Clone, Copy)]
pub struct Registered {
    /// The name of the projection.
    pub name: &'static str,
    /// The version of its code.
    pub version: u32,
    /// True if the projection contains the steps of a process manager.
    pub is_process: bool,
    is_about: fn(&str) -> bool,
    build: fn(BuildJob) -> BoxFuture<'static, Result<(), BuildError>>,
}

/// The inputs of a build.
pub struct BuildJob {
    /// The build to run.
    pub build: Build,
    /// The log.
    pub events: Arc<dyn EventStore>,
    /// The store of the documents.
    pub store: Arc<dyn ProjectionStore>,
    /// The clock for the time of a failure.
    pub clock: Arc<dyn Clock>,
    /// Receives the progress of the build.
    pub tell: Box<dyn FnMut(Progress) + Send>,
}

impl Registered {
    /// Registers this projection.
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

    /// The position up to which a build's documents are current. It may be ahead of the
    /// checkpoint: an irrelevant or skipped event changes no document, and a running projection
    /// moves its checkpoint past many of them at once. This method reads up to that many
    /// events.
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
        // A skipped event may be unreadable.
        while is_left_out(position.next()) {
            position = position.next();
        }
        let unstored = usize::try_from(UNSTORED).unwrap_or(usize::MAX);
        let unstored = unstored.saturating_add(BATCH);
        let events = match log.load_after(position, unstored).await {
            // The next event cannot be read, so the build ends here.
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

    /// Runs a build, as [`build`](super::build) does.
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
