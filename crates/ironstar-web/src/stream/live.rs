//! Views of a read model that many browsers watch.
//!
//! What it costs to show a change grows with the views that somebody watches,
//! not with how many do. A change is drawn once, and every browser gets the same
//! bytes; what nobody watches is not drawn at all. On the way from the read
//! model to a browser, nothing queues up:
//!
//! 1. News of the read model go into each view's *log*, as far as they concern
//!    it (`log`). The log is bounded.
//! 2. Once a frame at most, the *follower* merges what is new into one change,
//!    has it drawn, and *publishes* it (`follower`, `publication`). A change that
//!    comes alone is published at once.
//! 3. A *watcher*, one for each browser, holds the position that its browser has
//!    got to, and a place to look at the newest publication (`live_view`). If it
//!    has seen the one before, the bytes are there for it to take.
//!
//! A browser that reads slowly, or comes back, has missed some publications. It
//! gets all of that as one drawing of the newest state, made by the first who
//! needs it and shared by all who have missed as much. One that has missed more
//! than the log knows gets the whole view, which is drawn once for all who need
//! it. So a browser costs a few hundred bytes, however far behind it is.
//!
//! Why this is right comes down to one sentence: *merged changes lead from a
//! boundary to a boundary, and no browser is ever anywhere else* (`log` says what
//! a boundary is). `tests/histories.rs` plays it through.
//!
//! To show something new, implement [`View`].

mod follower;
mod live_view;
mod log;
mod publication;

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use datastar::prelude::PatchElements;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use ironstar_app::projection::{Changed, Changes, Projection, ReadError, ReadModel};
use ironstar_ports::{LogPlace, Position};

use follower::follow;
use live_view::LiveView;
use log::Bounds;

use crate::stream::shared::{Life, Shared};
use crate::stream::sse::EventId;

/// What a page shows of a read model.
pub(crate) trait View: Debug + Send + Sync + 'static {
    /// What makes the read model.
    type Projection: Projection;

    /// Whether a document is shown, before this change or after it. Most are
    /// none of a view's business, and only the others are kept.
    fn concerns(
        &self,
        key: &str,
        changed: &Changed<<Self::Projection as Projection>::Document>,
    ) -> bool;

    /// What brings a browser from before these changes to after them. They may
    /// be those of one moment or of many, merged; either way each document is
    /// one that has changed, and all that concern the view are among them.
    fn draw(&self, changes: &Changes<<Self::Projection as Projection>::Document>) -> Drawing;

    /// What brings any browser to now, and when that is. A view that has decided
    /// anew what it shows draws the next change whole, too, and everyone begins
    /// anew with it.
    fn draw_whole(&self) -> BoxFuture<'_, Result<Whole, ReadError>>;

    /// Where what the view shows ends, if it does not show all. Ids say so, for a
    /// browser that comes back shows what it did before.
    fn end(&self) -> Option<Position> {
        None
    }

    /// Whether a browser can be patched which shows what ends there.
    fn ends_at(&self, end: Option<Position>) -> bool {
        end == self.end()
    }
}

/// A view that was drawn whole.
#[derive(Debug)]
pub(crate) struct Whole {
    /// What is part of it: all up to here.
    pub(crate) place: LogPlace,
    /// Where what it shows ends, if it does not show all.
    pub(crate) end: Option<Position>,
    pub(crate) patch: PatchElements,
}

/// How a view shows what has changed.
#[derive(Debug)]
pub(crate) enum Drawing {
    /// It shows nothing of it.
    Nothing,
    /// By these patches, one after the other. A browser whose connection breaks
    /// in between gets the whole view.
    Patches(Vec<PatchElements>),
    /// By being drawn anew.
    Whole,
}

/// The views that somebody watches, by what they show.
#[derive(Debug)]
pub(crate) struct LiveViews<K, V: View> {
    model: ReadModel<V::Projection>,
    views: Shared<K, LiveView<V>>,
}

/// A view that a browser is about to watch.
#[derive(Debug)]
pub(crate) struct OpenView<V: View> {
    view: Arc<LiveView<V>>,
    reached: Position,
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static, V: View> LiveViews<K, V> {
    /// The views of a read model, none of which is watched yet.
    pub(crate) fn new(model: ReadModel<V::Projection>) -> Self {
        Self {
            model,
            views: Shared::default(),
        }
    }

    /// A view for a browser to watch; made, if nobody does yet. Then it learns
    /// what it shows, so that it can be patched from the first change on.
    pub(crate) async fn open(&self, key: &K, make: impl FnOnce() -> V) -> OpenView<V> {
        let made = |life| self.start(make(), life);
        let (view, is_new) = self.views.get_or_make(key, made);
        let view = OpenView {
            view,
            reached: self.model.position(),
        };
        if is_new {
            view.view.prepare().await;
        }
        view
    }

    /// A look at a view, if somebody watches it.
    pub(crate) fn look<T>(&self, key: &K, look: impl FnOnce(&V) -> T) -> Option<T> {
        self.views.get(key).map(|view| look(&view.view))
    }

    /// Starts to keep a view up to date, for as long as somebody holds it.
    fn start(&self, view: V, life: Life) -> Arc<LiveView<V>> {
        // First listen, then look: what happens in between is heard.
        let news = self.model.news();
        let place = self.model.place();
        let view = Arc::new(LiveView::new(view, place, Bounds::OF_A_VIEW, life));
        if let Some(news) = news {
            let model = self.model.clone();
            let reached = move || model.place();
            view.life
                .spawn(follow(Arc::downgrade(&view), reached, news));
        }
        view
    }
}

impl<V: View> OpenView<V> {
    /// The frames for a browser that has seen this of the view, or nothing: what it
    /// has missed, then what happens; and up to where each leads. They end with the
    /// read model.
    pub(crate) fn watch(self, seen: Option<EventId>) -> BoxStream<'static, (Position, Bytes)> {
        // What ends elsewhere cannot be patched.
        let seen = seen.filter(|seen| self.view.view.ends_at(seen.end));
        let seen = seen.map(|seen| seen.place.position);
        self.view.watch(seen, self.reached).boxed()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics between the changes that belong together.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
