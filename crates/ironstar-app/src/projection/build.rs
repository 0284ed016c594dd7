//! Builds a read model beside the live one, and lets it take its place.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ironstar_ports::{
    Build, BuildUpdate, Clock, Envelope, EventStore, Position, ProjectionStore, StoreError,
    UpdateError,
};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::Projection;
use super::folder::{Folder, Halt};
use crate::feed::{FeedError, read_page};

/// How many documents are kept in memory.
const DOCUMENTS: NonZeroUsize = NonZeroUsize::new(262_144).expect("it is not zero");

/// How many events are read, folded and stored at a time.
const PAGE: usize = 4_096;

/// How long to wait for events that the live build has seen.
const PAUSE: Duration = Duration::from_millis(50);

/// How far a build has got.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// What has been processed.
    pub position: Position,
    /// Where the log ends.
    pub head: Position,
    /// How long it will take, if it goes on as it did; `None` at first.
    pub left: Option<Duration>,
}

/// Why a build has not become the live one.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// It does not get over an event. The store knows which, and why.
    #[error("the {event_type:?} event at position {position} cannot be folded: {reason}")]
    Stuck {
        /// Which event.
        position: Position,
        /// What it is said to be.
        event_type: String,
        /// What is wrong.
        reason: String,
    },
    /// Somebody else builds it, too.
    #[error("it is being built by somebody else")]
    Moved,
    /// It was cancelled, or ended.
    #[error("it was cancelled")]
    Ended,
    /// The store does not work.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Builds a read model from where its build is to the end of the log, and makes
/// it the live one. Tells how far it has got after every page.
///
/// # Errors
///
/// See [`BuildError`]. What was stored stays, so that the build can go on later.
pub async fn build<P: Projection>(
    build: &Build,
    events: Arc<dyn EventStore>,
    store: &dyn ProjectionStore,
    clock: &dyn Clock,
    mut tell: impl FnMut(Progress),
) -> Result<(), BuildError> {
    let mut folder = Folder::<P>::new(build, DOCUMENTS);
    let pace = Pace::from(folder.position());
    let mut head = events.head().await?;
    let mut reading = read(&events, folder.position());
    loop {
        tell(pace.progress(folder.position(), head));
        let page = match reading.await.map_err(StoreError::unavailable)? {
            Ok(page) => page,
            Err(error) => return Err(report(build, store, clock, Halt::unread(error)).await?),
        };
        let last = page
            .last()
            .map_or(folder.position(), |event| event.position);
        let is_whole = page.len() == PAGE;
        reading = read(&events, last);
        let folded = folder.fold(store, &page).await;
        if folder.unstored() > 0 {
            folder.commit(store).await.map_err(given_up)?;
        }
        if let Err(halt) = folded {
            return Err(report(build, store, clock, halt).await?);
        }
        if is_whole {
            head = head.max(last);
            continue;
        }
        if last < head {
            // There is more, which was not to be had just now; what is wrong with
            // it, if so, the next page tells.
            if page.is_empty() {
                sleep(PAUSE).await;
            }
            continue;
        }
        match store.update(build.id, BuildUpdate::Promote).await {
            Ok(()) => return Ok(()),
            Err(UpdateError::Behind { live }) => {
                head = head.max(live);
                if page.is_empty() {
                    // The live one has seen events that cannot be read here yet.
                    sleep(PAUSE).await;
                }
            }
            Err(UpdateError::NoSuchBuild | UpdateError::WrongState) => {
                return Err(BuildError::Ended);
            }
            Err(UpdateError::Store(error)) => return Err(error.into()),
        }
    }
}

/// Has the events after a position read, while others are folded.
fn read(
    events: &Arc<dyn EventStore>,
    after: Position,
) -> JoinHandle<Result<Vec<Arc<Envelope>>, StoreError>> {
    let events = Arc::clone(events);
    tokio::spawn(async move {
        match read_page(&*events, after, PAGE).await {
            Ok(page) => Ok(page.into()),
            Err(FeedError::Store(error)) => Err(error),
            Err(gap @ FeedError::Gap { .. }) => Err(StoreError::unavailable(gap)),
        }
    })
}

/// Has the store keep what a build does not get over.
async fn report(
    build: &Build,
    store: &dyn ProjectionStore,
    clock: &dyn Clock,
    halt: Halt,
) -> Result<BuildError, StoreError> {
    let Some(failure) = halt.failure(build, clock.now()) else {
        return Ok(given_up(halt));
    };
    let error = BuildError::Stuck {
        position: failure.position,
        event_type: failure.event_type.clone(),
        reason: failure.reason.clone(),
    };
    match store.update(build.id, BuildUpdate::Fail(failure)).await {
        Ok(()) => Ok(error),
        Err(UpdateError::Store(error)) => Err(error),
        Err(UpdateError::NoSuchBuild | UpdateError::WrongState | UpdateError::Behind { .. }) => {
            Ok(BuildError::Ended)
        }
    }
}

fn given_up(halt: Halt) -> BuildError {
    match halt {
        Halt::Stuck {
            position,
            event_type,
            reason,
        } => BuildError::Stuck {
            position,
            event_type,
            reason,
        },
        Halt::Moved => BuildError::Moved,
        Halt::Ended => BuildError::Ended,
        Halt::Store(error) => BuildError::Store(error),
    }
}

/// How fast a build goes.
struct Pace {
    from: Position,
    since: Instant,
}

impl Pace {
    fn from(from: Position) -> Self {
        let since = Instant::now();
        Self { from, since }
    }

    fn progress(&self, position: Position, head: Position) -> Progress {
        let done = position.get() - self.from.get();
        let todo = head.get().saturating_sub(position.get());
        let left = (done > 0).then(|| self.since.elapsed().mul_f64(todo as f64 / done as f64));
        Progress {
            position,
            head: head.max(position),
            left,
        }
    }
}
