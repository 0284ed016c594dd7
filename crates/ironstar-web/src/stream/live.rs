//! Live views of a read model, each shared by many browsers.
//!
//! A change costs one drawing for each watched view, however many browsers watch it: all of
//! them get the same bytes. A view without watchers is not drawn at all. Nothing queues up
//! between the read model and a browser:
//!
//! 1. Each view has a bounded *log*. News of the read model that concern the view go into it
//!    (`log`).
//! 2. At most once a frame, the *follower* merges the new entries into one change, draws it, and
//!    *publishes* it (`follower`, `publication`). A change that comes alone is published at once.
//! 3. Each browser has a *watcher*. It holds the position that the browser has reached, and
//!    access to the newest publication (`live_view`). If the browser has seen the publication
//!    before that one, the watcher only takes the bytes (`progress`).
//!
//! A browser that reads slowly or reconnects has missed some publications. It gets them as one
//! drawing of the newest state. The first watcher that needs this drawing makes it, and all
//! watchers that have missed the same share it. A browser that has missed more than the log
//! holds gets the whole view, which is also drawn once and shared. So a browser costs a few
//! hundred bytes, however far behind it is.
//!
//! This is correct because *merged changes lead from a boundary to a boundary, and no browser is
//! ever anywhere else* (`log` defines a boundary). `tests/histories.rs` tests it with random
//! histories.
//!
//! To show new content, implement [`View`].

mod follower;
mod live_view;
mod log;
mod progress;
mod publication;

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

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

/// The part of a read model that a page shows.
pub trait View: Debug + Send + Sync + 'static {
    /// The projection that makes the read model.
    type Projection: Projection;

    /// Returns true if the view shows a document before or after this change. The log keeps only
    /// such changes, and most changes do not concern a view.
    fn concerns(
        &self,
        key: &str,
        changed: &Changed<<Self::Projection as Projection>::Document>,
    ) -> bool;

    /// Draws the step of a browser from before these changes to after them. They may be the
    /// changes of one moment or the merged changes of many. Either way, they include every
    /// changed document that concerns the view, and only changed documents.
    fn draw(&self, changes: &Changes<<Self::Projection as Projection>::Document>) -> Drawing;

    /// Draws the whole view, for any browser, with its place. If the view has changed its own
    /// selection of documents, it also draws the next change whole, and all browsers begin again
    /// with that.
    fn draw_whole(&self) -> BoxFuture<'_, Result<Whole, ReadError>>;

    /// The position at which the view's content ends; `None` if the view shows everything. Ids
    /// contain it, because a browser that reconnects still shows the same part.
    fn end(&self) -> Option<Position> {
        None
    }

    /// Returns true if the view can patch a browser whose content ends there.
    fn ends_at(&self, end: Option<Position>) -> bool {
        end == self.end()
    }
}

/// A view that was drawn whole.
#[derive(Debug)]
pub struct Whole {
    /// The place up to which the view shows all events.
    pub place: LogPlace,
    /// The position at which the content ends; `None` if the view shows everything.
    pub end: Option<Position>,
    /// The whole content of the view.
    pub patch: PatchElements,
}

/// The way in which a view shows changes.
#[derive(Debug)]
pub enum Drawing {
    /// The view does not show the changes.
    Nothing,
    /// These patches, in this order. If the connection of a browser breaks between them, the
    /// browser gets the whole view.
    Patches(Vec<PatchElements>),
    /// The whole view, drawn again.
    Whole,
}

/// The watched views, by their keys.
#[derive(Debug)]
pub struct LiveViews<K, V: View> {
    model: ReadModel<V::Projection>,
    views: Shared<K, LiveView<V>>,
}

/// A view that a browser is about to watch.
#[derive(Debug)]
pub struct OpenView<V: View> {
    view: Arc<LiveView<V>>,
    reached: Position,
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static, V: View> LiveViews<K, V> {
    /// The views of a read model. None of them is watched yet.
    pub fn new(model: ReadModel<V::Projection>) -> Self {
        Self {
            model,
            views: Shared::default(),
        }
    }

    /// Opens a view for a browser. If no browser watches the view yet, it is made and drawn, so
    /// that it knows its content and can patch from the first change on.
    pub async fn open(&self, key: &K, make: impl FnOnce() -> V) -> OpenView<V> {
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

    /// Reads from a view, if it is watched.
    pub fn look<T>(&self, key: &K, look: impl FnOnce(&V) -> T) -> Option<T> {
        self.views.get(key).map(|view| look(&view.view))
    }

    /// Makes a view, and keeps it up to date while it is held.
    fn start(&self, view: V, life: Life) -> Arc<LiveView<V>> {
        // Subscribing comes before reading, so that no change in between is missed.
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
    /// The frames for a browser: the missed changes first, then new ones. Each frame comes with
    /// the position to which it leads. `seen` is the last event that the browser has seen. The
    /// frames end with the read model.
    pub fn watch(self, seen: Option<EventId>) -> BoxStream<'static, (Position, Bytes)> {
        // A browser whose content ends at another position cannot be patched.
        let seen = seen.filter(|seen| self.view.view.ends_at(seen.end));
        let seen = seen.map(|seen| seen.place.position);
        self.view.watch(seen, self.reached).boxed()
    }
}

#[cfg(test)]
mod tests;
