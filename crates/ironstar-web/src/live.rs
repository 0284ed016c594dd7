//! A view of a read model that many browsers watch.
//!
//! Each change is drawn once, when the read model has taken it in, and every
//! browser gets the same bytes; what happens while nobody watches is not drawn at
//! all. The newest changes are kept, so a browser that comes back gets what it
//! has missed; one that has been away for longer, or is slower than the changes
//! come, gets the whole view instead. So what a browser costs does not grow with
//! how far it is behind.

use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use datastar::prelude::PatchElements;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use ironstar_app::projection::{Changes, News, Projection, ReadError, ReadModel};
use ironstar_ports::Position;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::sse;

/// How many changes are kept for browsers that come back, and how many bytes at
/// the most. Who has missed more gets the whole view.
const KEPT: usize = 1_024;
const KEPT_BYTES: usize = 1024 * 1024;

/// How long to wait before a read model that cannot be read is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// What a page shows of a read model.
pub(crate) trait View: Debug + Send + Sync + 'static {
    /// What makes the read model.
    type Projection: Projection;

    /// What brings a browser from before these changes to after them. Most
    /// changes are none of a view's business.
    fn draw(&self, changes: &Changes<<Self::Projection as Projection>::Document>) -> Drawing;

    /// What brings any browser to now, and when that is.
    fn draw_whole(&self) -> BoxFuture<'_, Result<(Position, PatchElements), ReadError>>;
}

/// How a view shows what has changed.
#[derive(Debug)]
pub(crate) enum Drawing {
    /// It shows nothing of it.
    Nothing,
    /// By these patches. All but the last may be applied twice: a connection
    /// that breaks in between makes the browser ask for all of them again.
    Patches(Vec<PatchElements>),
    /// By being drawn anew.
    Whole,
}

/// The views that somebody watches, by what they show.
#[derive(Debug)]
pub(crate) struct LiveViews<K, V: View> {
    model: ReadModel<V::Projection>,
    views: Mutex<HashMap<K, Weak<LiveView<V>>>>,
}

/// A view that somebody watches.
#[derive(Debug)]
struct LiveView<V> {
    view: V,
    shared: Mutex<Shared>,
    /// The whole view, once somebody has asked for it; and the generation of
    /// changes that it is of.
    whole: tokio::sync::Mutex<Option<(u64, Position, Bytes)>>,
    changed: watch::Sender<()>,
    /// Ends the task that keeps the view up to date.
    _watched: DropGuard,
}

#[derive(Debug)]
struct Shared {
    /// What the view has taken into account.
    position: Position,
    /// The newest changes, with the positions that they lead to.
    changes: VecDeque<(Position, Bytes)>,
    /// How many bytes they have.
    bytes: usize,
    /// Whoever has seen less than this needs the whole view.
    floor: Position,
    /// Counts whatever changes the whole view.
    generation: u64,
}

/// What a browser has missed.
enum Missed {
    Nothing,
    Changes(Position, Bytes),
    TooMuch,
}

impl<K: Clone + Eq + Hash, V: View> LiveViews<K, V> {
    /// The views of a read model, none of which is watched yet.
    pub(crate) fn new(model: ReadModel<V::Projection>) -> Self {
        Self {
            model,
            views: Mutex::default(),
        }
    }

    /// The frames for a browser that has seen a view up to a position, or
    /// nothing: what it has missed, then what happens.
    pub(crate) fn watch(
        &self,
        key: &K,
        make: impl FnOnce() -> V,
        seen: Option<Position>,
    ) -> BoxStream<'static, Bytes> {
        let view = self.view(key, make);
        let position = lock(&view.shared).position;
        // What is beyond the log was seen of another one.
        let seen = seen.filter(|seen| *seen <= position);
        stream::unfold((view, seen), |(view, seen)| async move {
            let (reached, frames) = view.after(seen).await?;
            Some((frames, (view, Some(reached))))
        })
        .boxed()
    }

    fn view(&self, key: &K, make: impl FnOnce() -> V) -> Arc<LiveView<V>> {
        let mut views = lock(&self.views);
        if let Some(view) = views.get(key).and_then(Weak::upgrade) {
            return view;
        }
        let view = LiveView::start(make(), &self.model);
        views.retain(|_, view| view.strong_count() > 0);
        views.insert(key.clone(), Arc::downgrade(&view));
        view
    }
}

impl<V: View> LiveView<V> {
    /// Starts to keep a view up to date, for as long as somebody holds it.
    fn start(view: V, model: &ReadModel<V::Projection>) -> Arc<Self> {
        // First listen, then look: what happens in between is heard.
        let news = model.news();
        let position = model.position();
        let unwatched = CancellationToken::new();
        let this = Arc::new(Self {
            view,
            shared: Mutex::new(Shared {
                position,
                changes: VecDeque::new(),
                bytes: 0,
                floor: position,
                generation: 0,
            }),
            whole: tokio::sync::Mutex::default(),
            changed: watch::Sender::new(()),
            _watched: unwatched.clone().drop_guard(),
        });
        if let Some(news) = news {
            let following = follow(Arc::downgrade(&this), model.clone(), news);
            tokio::spawn(async move { unwatched.run_until_cancelled(following).await });
        }
        this
    }

    /// Waits for what comes after a position. Returns the frames, and where
    /// they lead.
    async fn after(&self, seen: Option<Position>) -> Option<(Position, Bytes)> {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            let missed = lock(&self.shared).missed(seen);
            match missed {
                Missed::Changes(position, frames) => return Some((position, frames)),
                Missed::Nothing => changed.changed().await.ok()?,
                Missed::TooMuch => match self.whole().await {
                    Ok(whole) => return Some(whole),
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

    /// The whole view, drawn once for all who need it.
    async fn whole(&self) -> Result<(Position, Bytes), ReadError> {
        let mut whole = self.whole.lock().await;
        let (generation, floor) = {
            let shared = lock(&self.shared);
            (shared.generation, shared.floor)
        };
        if let Some((of, position, bytes)) = &*whole
            && *of == generation
        {
            return Ok((*position, bytes.clone()));
        }
        let (position, patch) = self.view.draw_whole().await?;
        // What the floor stands for was stored before the view heard of it.
        let position = position.max(floor);
        let bytes: Bytes = sse::datastar_frame(patch, Some(position)).into();
        *whole = Some((generation, position, bytes.clone()));
        Ok((position, bytes))
    }

    fn take(&self, news: &News<<V::Projection as Projection>::Document>) {
        match news {
            News::Changed(changes) => {
                let drawing = self.view.draw(changes);
                lock(&self.shared).take(changes.to, &drawing);
            }
            News::Jumped(position) => lock(&self.shared).jump(*position),
        }
        self.changed.send_replace(());
    }
}

/// Keeps a view up to date.
async fn follow<V: View>(
    view: Weak<LiveView<V>>,
    model: ReadModel<V::Projection>,
    mut news: Receiver<News<<V::Projection as Projection>::Document>>,
) {
    loop {
        let heard = match news.recv().await {
            Ok(heard) => heard,
            Err(RecvError::Lagged(_)) => News::Jumped(model.position()),
            Err(RecvError::Closed) => return,
        };
        let Some(view) = view.upgrade() else {
            return;
        };
        view.take(&heard);
    }
}

impl Shared {
    fn take(&mut self, to: Position, drawing: &Drawing) {
        if to <= self.position {
            // It was part of where this view began.
            return;
        }
        let before = self.position;
        self.position = to;
        match drawing {
            Drawing::Nothing => {}
            Drawing::Patches(patches) => {
                self.generation += 1;
                let frames = frames(patches, before, to);
                self.bytes += frames.len();
                self.changes.push_back((to, frames));
                while (self.changes.len() > KEPT || self.bytes > KEPT_BYTES)
                    && let Some((position, forgotten)) = self.changes.pop_front()
                {
                    self.bytes -= forgotten.len();
                    self.floor = position;
                }
            }
            Drawing::Whole => self.jump(to),
        }
    }

    fn jump(&mut self, position: Position) {
        self.generation += 1;
        self.changes.clear();
        self.bytes = 0;
        self.position = position;
        self.floor = position;
    }

    /// What a browser needs that has seen this much, and where that brings it.
    fn missed(&self, seen: Option<Position>) -> Missed {
        let Some(seen) = seen.filter(|seen| *seen >= self.floor) else {
            return Missed::TooMuch;
        };
        let first = self
            .changes
            .partition_point(|(position, _)| *position <= seen);
        let missed: Vec<&Bytes> = self
            .changes
            .range(first..)
            .map(|(_, bytes)| bytes)
            .collect();
        match missed[..] {
            [] => Missed::Nothing,
            [only] => Missed::Changes(self.position, only.clone()),
            _ => {
                let missed: Vec<&[u8]> = missed.into_iter().map(AsRef::as_ref).collect();
                Missed::Changes(self.position, missed.concat().into())
            }
        }
    }
}

/// A change as bytes. Its last frame carries the position that it leads to; the
/// others carry the one before, which is where a browser still is when it has
/// seen only them.
fn frames(patches: &[PatchElements], before: Position, after: Position) -> Bytes {
    let last = patches.len().saturating_sub(1);
    patches
        .iter()
        .enumerate()
        .map(|(index, patch)| {
            let id = if index == last { after } else { before };
            sse::datastar_frame(patch, Some(id))
        })
        .collect::<String>()
        .into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics between the changes that belong together.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
