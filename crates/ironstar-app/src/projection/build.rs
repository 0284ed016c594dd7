//! Builds a read model beside the live one, and lets it take its place.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ironstar_ports::{
    Build, BuildUpdate, Clock, DocumentBatch, Envelope, EventStore, LogPlace, Position,
    ProjectionStore, StoreError, UpdateError,
};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::Projection;
use super::folder::{Folder, Halt};
use super::origin::of_this_log;
use crate::FeedError;
use crate::history::read_page;

/// How many documents are kept in memory.
const DOCUMENTS: NonZeroUsize = NonZeroUsize::new(262_144).expect("it is not zero");

/// How many events are read, folded and stored at a time.
const PAGE: usize = 4_096;

/// How many times as long as it took to store a page a build rests, while others
/// write: at the most, and at least, since it is to get to the end of a log that
/// goes on; and how long that is at the most.
const MOST_REST: u32 = 9;
const LEAST_REST: u32 = 1;
const LONGEST_REST: Duration = Duration::from_millis(500);

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
    /// It was made of another history than the log's, and has ended for that.
    #[error(
        "it was made of a log that another was restored over, and was given up; build it again"
    )]
    OtherHistory,
    /// The store does not work.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Builds a read model from where its build is to the end of the log, and makes
/// it the live one. Tells how far it has got at first, and after every page that is
/// stored.
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
    let build = of_this_log(build.clone(), &*events, store).await?;
    let build = &build.ok_or(BuildError::OtherHistory)?;
    let mut head = events.head().await?;
    let mut work = Work::<P>::begin(build, events, head);
    let speed = Speed::from(build.checkpoint.position);
    let mut told = build.checkpoint.position;
    tell(speed.progress(told, head));
    loop {
        let step = match work.step(store).await {
            Ok(step) => step,
            Err(halt) => return Err(report(build, store, clock, halt).await?),
        };
        // What was folded counts once it is stored.
        if work.stored > told {
            told = work.stored;
            tell(speed.progress(told, head));
        }
        let last = work.folder.place().position;
        if step.is_whole {
            head = head.max(last);
            work.give_way(&step).await;
            continue;
        }
        if last < head {
            // There is more, which was not to be had just now; what is wrong with
            // it, if so, the next page tells.
            if step.is_empty {
                sleep(PAUSE).await;
            }
            continue;
        }
        work.store_all(store).await.map_err(given_up)?;
        match store.update(build.id, BuildUpdate::Promote).await {
            Ok(()) => {
                // To let go of many documents takes long, and nobody need wait.
                tokio::task::spawn_blocking(move || drop(work));
                return Ok(());
            }
            Err(UpdateError::Behind { live }) => {
                head = head.max(live);
                if step.is_empty {
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

/// A build on its way: one page is read, the one before it is folded, and what
/// came of the one before that is stored, all at the same time.
struct Work<P: Projection> {
    folder: Folder<P>,
    /// What came of the last page, to be stored next.
    folded: Option<DocumentBatch>,
    /// How far the build is stored.
    stored: Position,
    events: Arc<dyn EventStore>,
    /// Where the log ended when it was last looked at.
    seen: Position,
    /// How many times as long as it takes to store a page the build rests when
    /// others write.
    rest: u32,
    /// The page that comes next, if it can be read already.
    reading: Option<Reading>,
}

/// A page that is being read.
type Reading = JoinHandle<Result<Vec<Arc<Envelope>>, StoreError>>;

/// What a step has come across.
struct Step {
    /// Where the log ended meanwhile.
    head: Position,
    /// How long it took to store what was folded before.
    storing: Duration,
    is_whole: bool,
    is_empty: bool,
}

impl<P: Projection> Work<P> {
    fn begin(build: &Build, events: Arc<dyn EventStore>, head: Position) -> Self {
        let folder = Folder::new(build, DOCUMENTS);
        Self {
            folder,
            folded: None,
            stored: build.checkpoint.position,
            events,
            seen: head,
            rest: MOST_REST,
            reading: None,
        }
    }

    /// Stores what was folded, and folds the next page.
    async fn step(&mut self, store: &dyn ProjectionStore) -> Result<Step, Halt> {
        let folded_before = self.folded.take();
        let start = Instant::now();
        let storing = async {
            let mut stored = None;
            if let Some(batch) = folded_before {
                stored = Some(batch.to.position);
                store.commit(batch).await?;
            }
            Ok::<_, Halt>((stored, start.elapsed()))
        };
        let events = Arc::clone(&self.events);
        let folding = async {
            let page = self.next_page().await.map_err(Halt::unread)?;
            let missing = self.folder.fold_known(&page);
            if let Ok(None) = missing {
                self.finish_page()?;
            }
            Ok::<_, Halt>((page, missing))
        };
        let (stored, folded, head) = tokio::join!(storing, folding, events.head());
        let (stored, storing) = stored?;
        self.stored = stored.unwrap_or(self.stored);
        let (page, missing) = folded?;
        let folded = match missing {
            Ok(missing) => self.folder.fold_missing(store, &page, missing).await,
            Err(halt) => Err(halt),
        };
        if let Err(halt) = folded {
            // Who decides what becomes of the event looks at the checkpoint, which
            // has to be right before it.
            self.store_all(store).await?;
            return Err(halt);
        }
        self.finish_page()?;
        Ok(Step {
            head: head?,
            storing,
            is_whole: page.len() == PAGE,
            is_empty: page.is_empty(),
        })
    }

    /// Makes ready to be stored what has been folded since, if anything has.
    fn finish_page(&mut self) -> Result<(), Halt> {
        if self.folder.unstored() > 0 {
            self.folded = Some(self.folder.take()?.0);
        }
        Ok(())
    }

    /// Stores what has been folded.
    async fn store_all(&mut self, store: &dyn ProjectionStore) -> Result<(), Halt> {
        self.finish_page()?;
        if let Some(batch) = self.folded.take() {
            let to = batch.to.position;
            store.commit(batch).await?;
            self.stored = to;
        }
        Ok(())
    }

    /// The next page. If it is whole, the one after it is read from now on; if
    /// not, there is no more for now.
    async fn next_page(&mut self) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let reading = self.reading.take();
        let reading = reading.unwrap_or_else(|| read(&self.events, self.folder.place()));
        let page = reading.await.map_err(StoreError::unavailable)??;
        if let Some(last) = page.last()
            && page.len() == PAGE
        {
            self.reading = Some(read(&self.events, last.place()));
        }
        Ok(page)
    }

    /// Rests if others write, too, so that they wait less for what is stored
    /// here: as long as can be, if the build is still to get on by two events while
    /// the log grows by one.
    async fn give_way(&mut self, step: &Step) {
        let grown = step.head.get().saturating_sub(self.seen.get());
        self.seen = self.seen.max(step.head);
        if grown == 0 {
            return;
        }
        self.rest = next_rest(self.rest, grown);
        sleep((step.storing * self.rest).min(LONGEST_REST)).await;
    }
}

/// How long to rest after a page while the log grew by so many events: longer if the
/// build gets on by two for each of them, and shorter if not.
fn next_rest(rest: u32, grown: u64) -> u32 {
    if PAGE as u64 > 2 * grown {
        (rest + 1).min(MOST_REST)
    } else {
        (rest - 1).max(LEAST_REST)
    }
}

/// Has the events after a position read, while others are folded.
fn read(events: &Arc<dyn EventStore>, after: LogPlace) -> Reading {
    let events = Arc::clone(events);
    tokio::spawn(async move {
        match read_page(&*events, after, PAGE).await {
            Ok(page) => Ok(page.into()),
            Err(FeedError::Store(error)) => Err(error),
            Err(error @ (FeedError::Gap { .. } | FeedError::OtherHistory)) => {
                Err(StoreError::unavailable(error))
            }
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
struct Speed {
    from: Position,
    since: Instant,
}

impl Speed {
    fn from(from: Position) -> Self {
        let since = Instant::now();
        Self { from, since }
    }

    fn progress(&self, position: Position, head: Position) -> Progress {
        Progress {
            position,
            head: head.max(position),
            left: time_left(self.since.elapsed(), self.from, position, head),
        }
    }
}

/// How long it takes from a position to the head, if it goes on as it did since a position
/// before.
fn time_left(
    elapsed: Duration,
    from: Position,
    position: Position,
    head: Position,
) -> Option<Duration> {
    let done = position.get() - from.get();
    let todo = head.get().saturating_sub(position.get());
    (done > 0).then(|| elapsed.mul_f64(todo as f64 / done as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_rests_longer_if_it_gets_on_twice_as_fast_as_the_log() {
        let half = PAGE as u64 / 2;
        let rests = [(3, half - 1), (3, half), (MOST_REST, 0), (LEAST_REST, half)];
        let next = rests.map(|(rest, grown)| next_rest(rest, grown));
        assert_eq!(next, [4, 2, MOST_REST, LEAST_REST]);
    }

    #[test]
    fn time_left_goes_by_the_pace_so_far() {
        let at = Position::new;
        let left = |position, head| time_left(Duration::from_secs(6), at(10), at(position), head);
        assert_eq!(left(10, at(40)), None);
        assert_eq!(left(20, at(40)), Some(Duration::from_secs(12)));
        assert_eq!(left(40, at(40)), Some(Duration::ZERO));
        assert_eq!(left(41, at(40)), Some(Duration::ZERO));
    }
}
