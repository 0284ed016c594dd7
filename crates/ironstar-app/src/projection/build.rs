//! Builds a read model beside the live one, and replaces the live one with it.

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
use super::error::BuildError;
use super::origin::of_this_log;
use super::projector::Projector;
use crate::history::{FeedError, read_page};

/// The number of documents that are kept in memory.
const DOCUMENTS: NonZeroUsize = NonZeroUsize::new(262_144).expect("it is not zero");

/// The number of events that are read, folded and stored at a time.
const PAGE: usize = 4_096;

/// While other tasks write, a build rests after each page. The rest is a multiple of the time
/// that it took to store the page: at most [`MOST_REST`], and at least [`LEAST_REST`] because
/// the build must reach the end of a growing log. [`LONGEST_REST`] is the longest rest.
const MOST_REST: u32 = 9;
const LEAST_REST: u32 = 1;
const LONGEST_REST: Duration = Duration::from_millis(500);

/// The time to wait for events that only the live build has seen.
const PAUSE: Duration = Duration::from_millis(50);

/// The progress of a build.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The last position that was processed.
    pub position: Position,
    /// The end of the log.
    pub head: Position,
    /// The estimated time until the build is done, at the current speed; `None` at first.
    pub left: Option<Duration>,
}

/// Builds a read model from its checkpoint to the end of the log, and makes it live. Reports
/// the progress at first, and after every stored page.
///
/// # Errors
///
/// See [`BuildError`]. Stored pages stay, so the build can continue later.
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
            Err(error) => {
                error.report(build, store, clock.now()).await?;
                return Err(error);
            }
        };
        // A page counts once it is stored.
        if work.stored > told {
            told = work.stored;
            tell(speed.progress(told, head));
        }
        let last = work.projector.place().position;
        if step.is_whole {
            head = head.max(last);
            work.give_way(&step).await;
            continue;
        }
        if last < head {
            // The log has more events that could not be read just now. If one of them is
            // damaged, the next page reports it.
            if step.is_empty {
                sleep(PAUSE).await;
            }
            continue;
        }
        work.store_all(store).await?;
        match store.update(build.id, BuildUpdate::Promote).await {
            Ok(()) => {
                // Dropping many documents takes long, and no caller has to wait for it.
                tokio::task::spawn_blocking(move || drop(work));
                return Ok(());
            }
            // The live build has seen more events.
            Err(UpdateError::Behind { live }) => head = head.max(live),
            Err(error) => return Err(error.into()),
        }
    }
}

/// A build in progress. At the same time, one page is read, the page before it is folded, and
/// the documents of the page before that are stored.
struct Work<P: Projection> {
    projector: Projector<P>,
    /// The documents of the last page, to be stored next.
    folded: Option<DocumentBatch>,
    /// The stored position of the build.
    stored: Position,
    events: Arc<dyn EventStore>,
    /// The end of the log at the last read.
    seen: Position,
    /// The current factor for the rest after a page, while other tasks write.
    rest: u32,
    /// The next page, if the task already reads it.
    reading: Option<Reading>,
}

/// A page that is being read.
type Reading = JoinHandle<Result<Vec<Arc<Envelope>>, FeedError>>;

/// The result of a step.
struct Step {
    /// The end of the log during the step.
    head: Position,
    /// The time that it took to store the page before.
    storing: Duration,
    is_whole: bool,
    is_empty: bool,
}

impl<P: Projection> Work<P> {
    fn begin(build: &Build, events: Arc<dyn EventStore>, head: Position) -> Self {
        let projector = Projector::new(build, DOCUMENTS);
        Self {
            projector,
            folded: None,
            stored: build.checkpoint.position,
            events,
            seen: head,
            rest: MOST_REST,
            reading: None,
        }
    }

    /// Stores the last page, and folds the next one.
    async fn step(&mut self, store: &dyn ProjectionStore) -> Result<Step, BuildError> {
        let folded_before = self.folded.take();
        let start = Instant::now();
        let storing = async {
            let mut stored = None;
            if let Some(batch) = folded_before {
                stored = Some(batch.to.position);
                store.commit(batch).await?;
            }
            Ok::<_, BuildError>((stored, start.elapsed()))
        };
        let events = Arc::clone(&self.events);
        let folding = async {
            let page = self.next_page().await?;
            let missing = self.projector.fold_known(&page);
            if let Ok(None) = missing {
                self.finish_page()?;
            }
            Ok::<_, BuildError>((page, missing))
        };
        let (stored, folded, head) = tokio::join!(storing, folding, events.head());
        let (stored, storing) = stored?;
        self.stored = stored.unwrap_or(self.stored);
        let (page, missing) = folded?;
        let folded = match missing {
            Ok(missing) => self.projector.fold_missing(store, &page, missing).await,
            Err(error) => Err(error),
        };
        if let Err(error) = folded {
            // An operator decides about the event by the checkpoint, which must be right before
            // the event.
            self.store_all(store).await?;
            return Err(error);
        }
        self.finish_page()?;
        Ok(Step {
            head: head?,
            storing,
            is_whole: page.len() == PAGE,
            is_empty: page.is_empty(),
        })
    }

    /// Prepares the new changes for the store, if there are any.
    fn finish_page(&mut self) -> Result<(), BuildError> {
        if self.projector.unstored() > 0 {
            self.folded = Some(self.projector.take()?.0);
        }
        Ok(())
    }

    /// Stores all folded documents.
    async fn store_all(&mut self, store: &dyn ProjectionStore) -> Result<(), BuildError> {
        self.finish_page()?;
        if let Some(batch) = self.folded.take() {
            let to = batch.to.position;
            store.commit(batch).await?;
            self.stored = to;
        }
        Ok(())
    }

    /// The next page. If it is full, the page after it is read from now on. If not, the log has
    /// no more events at the moment.
    async fn next_page(&mut self) -> Result<Vec<Arc<Envelope>>, BuildError> {
        let reading = self.reading.take();
        let reading = reading.unwrap_or_else(|| read(&self.events, self.projector.place()));
        let page = reading.await.map_err(StoreError::unavailable)??;
        if let Some(last) = page.last()
            && page.len() == PAGE
        {
            self.reading = Some(read(&self.events, last.place()));
        }
        Ok(page)
    }

    /// Rests if other tasks write, so that they wait less for the commits of this build. The
    /// rest is as long as possible, as long as the build advances by two events for each new
    /// event of the log.
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

/// The next factor for the rest, after a page during which the log grew by `grown` events. It
/// rises if the build advances by two events for each of them. Otherwise it falls.
fn next_rest(rest: u32, grown: u64) -> u32 {
    if PAGE as u64 > 2 * grown {
        (rest + 1).min(MOST_REST)
    } else {
        (rest - 1).max(LEAST_REST)
    }
}

/// Reads the events after a place, while other events are folded.
fn read(events: &Arc<dyn EventStore>, after: LogPlace) -> Reading {
    let events = Arc::clone(events);
    tokio::spawn(async move { Ok(read_page(&*events, after, PAGE).await?.into()) })
}

/// The speed of a build.
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

/// The time to get from a position to the head, at the average speed since `from`.
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
    fn build_rests_longer_if_it_is_twice_as_fast_as_the_log() {
        let half = PAGE as u64 / 2;
        let rests = [(3, half - 1), (3, half), (MOST_REST, 0), (LEAST_REST, half)];
        let next = rests.map(|(rest, grown)| next_rest(rest, grown));
        assert_eq!(next, [4, 2, MOST_REST, LEAST_REST]);
    }

    #[test]
    fn time_left_goes_by_the_speed_so_far() {
        let at = Position::new;
        let left = |position, head| time_left(Duration::from_secs(6), at(10), at(position), head);
        assert_eq!(left(10, at(40)), None);
        assert_eq!(left(20, at(40)), Some(Duration::from_secs(12)));
        assert_eq!(left(40, at(40)), Some(Duration::ZERO));
        assert_eq!(left(41, at(40)), Some(Duration::ZERO));
    }
}
