//! Projections by their names, for operators.

use std::fmt;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use ironstar_ports::{Build, Clock, EventStore, ProjectionStore};

use super::Projection;
use super::build::{BuildError, Progress, build};

/// A projection, without its type.
#[derive(Clone, Copy)]
pub struct Registered {
    /// Its name.
    pub name: &'static str,
    /// The version of its code.
    pub version: u32,
    /// Whether it is what a process manager has to do.
    pub is_process: bool,
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
            build: run::<P>,
        }
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
