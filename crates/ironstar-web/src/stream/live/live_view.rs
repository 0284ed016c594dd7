//! A watched view: its state, and the frames for its watchers.
//!
//! The state has two shared parts, and no task waits for both together. The *publication* is the
//! follower's newest result. Watchers that are up to date read nothing else. The *log* is behind
//! a lock. The follower takes the lock for each news, and a watcher takes it only when it begins
//! or has fallen behind. No drawing happens under the lock.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, stream};
use ironstar_app::projection::{News, Projection, ReadError};
use ironstar_ports::{LogPlace, Position};
use parking_lot::Mutex;
use tokio::sync::{OnceCell, watch};

use super::follower::NewsOf;
use super::log::{Bounds, Gap, Log, Missed};
use super::progress::{Next, Progress};
use super::publication::{Publication, Step};
use super::{View, Whole};
use crate::stream::shared::Life;
use crate::stream::sse::{self, EventId};

/// The pause before an unreadable read model is asked again.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct LiveView<V: View> {
    pub(super) view: V,
    known: Mutex<Known<V>>,
    /// The newest publication. Only the follower publishes.
    published: watch::Sender<Arc<Publication>>,
    /// The lifetime of the view, and so of its follower.
    pub(super) life: Life,
}

#[derive(Debug)]
struct Known<V: View> {
    log: Log<<V::Projection as Projection>::Document>,
    /// The whole view, once a watcher has requested it. An empty one replaces it when there is
    /// a change that it does not show.
    whole: SharedWhole,
    /// The number of times that all watchers have had to begin again. A patch is only for
    /// watchers with the same number.
    edition: u64,
    /// The furthest boundary that a watcher has reached other than by a publication.
    furthest: Position,
}

/// A whole view and its position. The first watcher that needs it draws it.
type SharedWhole = Arc<OnceCell<(Position, Bytes)>>;

/// A watcher: all state that is kept for one browser.
struct Watcher<V: View> {
    view: Arc<LiveView<V>>,
    published: watch::Receiver<Arc<Publication>>,
    progress: Progress,
}

impl<V: View> LiveView<V> {
    /// A view as of a boundary. No follower keeps it up to date yet.
    pub(super) fn new(view: V, place: LogPlace, bounds: Bounds, life: Life) -> Self {
        Self {
            view,
            known: Mutex::new(Known {
                log: Log::new(place, bounds),
                whole: SharedWhole::default(),
                edition: 0,
                furthest: place.position,
            }),
            published: watch::Sender::new(Arc::new(Publication::start(place))),
            life,
        }
    }

    /// The frames for a browser, which may have an id. Each comes with the position to which it
    /// leads.
    pub(super) fn watch(
        self: Arc<Self>,
        seen: Option<Position>,
        reached: Position,
    ) -> impl Stream<Item = (Position, Bytes)> + Send + use<V> {
        let published = self.published.subscribe();
        let edition = published.borrow().edition;
        let progress = match seen.and_then(|seen| self.admit(seen, reached)) {
            Some(boundary) => Progress::At { boundary, edition },
            None => Progress::Nothing,
        };
        let watcher = Watcher {
            published,
            view: self,
            progress,
        };
        stream::unfold(watcher, Watcher::next)
    }

    fn admit(&self, seen: Position, reached: Position) -> Option<Position> {
        let mut known = self.known.lock();
        let admitted = known.log.admit(seen, reached)?;
        known.furthest = known.furthest.max(admitted);
        Some(admitted)
    }

    /// Adds news to the log. Returns true if there is something to publish.
    pub(super) fn take(&self, news: &NewsOf<V>) -> bool {
        let mut known = self.known.lock();
        match news {
            News::Changed(changes) => {
                let concerns = |key: &str, changed: &_| self.view.concerns(key, changed);
                let has_changed = known.log.take(changes, concerns);
                // News are stored before they are sent, so the whole view may already show them.
                let is_drawn = known
                    .whole
                    .get()
                    .is_some_and(|(of, _)| *of >= changes.to.position);
                if has_changed && !is_drawn {
                    known.whole = SharedWhole::default();
                }
                has_changed
            }
            News::Jumped(place) => {
                known.log.jump(*place);
                known.whole = SharedWhole::default();
                true
            }
        }
    }

    /// Publishes the changes since the last publication.
    pub(super) fn publish(&self) {
        let before = self.published.borrow().to.position;
        let (missed, to) = {
            let known = self.known.lock();
            (known.log.missed(before), known.log.place())
        };
        let (gap, step) = match missed {
            Missed::Nothing => return,
            Missed::After(gap) => (gap, self.draw(gap, to)),
            Missed::TooMuch => {
                let (first, last) = (before, before);
                (Gap { first, last }, Step::Whole)
            }
        };
        let is_nothing = step == Step::Nothing;
        let edition = self.edition(step == Step::Whole);
        let publication = Arc::new(Publication::new(gap, to, step, edition));
        self.published.send_if_modified(|published| {
            *published = publication;
            !is_nothing
        });
        // Changes that cancel each other, such as a todo that was added and removed, wake no
        // watcher. The exception is that a watcher may have seen a part of them. Watchers that
        // arrive later find the publication.
        if is_nothing && self.known.lock().furthest > before {
            self.published.send_modify(|_| {});
        }
    }

    /// The edition of the next publication. With a new edition, all watchers begin again, and
    /// with a whole view that is drawn from now on.
    fn edition(&self, is_new: bool) -> u64 {
        let mut known = self.known.lock();
        if is_new {
            known.edition += 1;
            known.whole = SharedWhole::default();
        }
        known.edition
    }

    /// Draws the whole view before a watcher waits for it.
    pub(super) async fn prepare(&self) {
        if let Err(error) = self.whole().await {
            // A watcher that needs the view will try again, and log the error as a warning.
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "a live view begins without its content"
            );
        }
    }

    /// Draws all changes from a gap up to a boundary.
    fn draw(&self, gap: Gap, to: LogPlace) -> Step {
        let merged = self.known.lock().log.merge(gap, to);
        match merged {
            None => Step::Whole,
            Some(changes) if changes.documents.is_empty() => Step::Nothing,
            Some(changes) => {
                let end = self.view.end();
                let drawing = self.view.draw(&changes);
                if end != self.view.end() {
                    return Step::Whole;
                }
                Step::of(&drawing, EventId { place: to, end })
            }
        }
    }

    /// The whole view and its edition. It is drawn once for all watchers that need it before it
    /// changes again.
    async fn whole(&self) -> Result<(Position, Bytes, u64), ReadError> {
        let (whole, edition, changed) = {
            let known = self.known.lock();
            let whole = Arc::clone(&known.whole);
            (whole, known.edition, known.log.changed())
        };
        let draw = async {
            let Whole { place, end, patch } = self.view.draw_whole().await?;
            // News are stored before they are sent, so the view shows at least these.
            let place = place.later(changed);
            let frame: Bytes = sse::datastar_frame(patch, Some(EventId { place, end })).into();
            let mut known = self.known.lock();
            known.furthest = known.furthest.max(place.position);
            Ok::<_, ReadError>((place.position, frame))
        };
        let (position, frame) = whole.get_or_try_init(|| draw).await?;
        Ok((*position, frame.clone(), edition))
    }
}

impl<V: View> Watcher<V> {
    /// Waits for something new, and takes all of it. A watcher that has not asked for some time
    /// gets one drawing of the newest state.
    async fn next(mut self) -> Option<((Position, Bytes), Self)> {
        loop {
            match self.step() {
                (to, Step::Frames(frames)) => {
                    self.progress = self.progress.after(to);
                    return Some(((to, frames), self));
                }
                (to, Step::Nothing) => {
                    self.progress = self.progress.after(to);
                    self.published.changed().await.ok()?;
                }
                (_, Step::Whole) => match self.view.whole().await {
                    Ok((boundary, frame, edition)) => {
                        self.progress = Progress::At { boundary, edition };
                        return Some(((boundary, frame), self));
                    }
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "a live view cannot be drawn; trying again"
                        );
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
    }

    /// The next step, and the position to which it leads.
    fn step(&mut self) -> (Position, Step) {
        let publication = Arc::clone(&self.published.borrow_and_update());
        let missed = |boundary| self.view.known.lock().log.missed(boundary);
        let step = match self.progress.step_to(&publication, missed) {
            Next::Take(step) => step,
            Next::Draw(gap) => publication.step_over(gap, || self.view.draw(gap, publication.to)),
        };
        (publication.to.position, step)
    }
}
