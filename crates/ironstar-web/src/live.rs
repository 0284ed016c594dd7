//! A view of the log that many browsers watch.
//!
//! Each change is rendered once, when its event arrives, and every browser gets
//! the same bytes; what happens while nobody watches is not rendered at all. The
//! newest changes are kept, so a browser that comes back gets what it has
//! missed; one that has been away for longer, or is slower than the changes
//! come, gets the whole view instead. So what a browser costs does not grow with
//! how far it is behind.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use datastar::prelude::PatchElements;
use futures::{Stream, StreamExt, stream};
use ironstar_app::{DecodeError, EventFeed};
use ironstar_ports::{Envelope, Position};
use tokio::sync::watch;

use crate::sse;

/// How many changes are kept for browsers that come back.
const KEPT: usize = 1_024;

/// How long to wait before a feed that has failed is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// What a page shows, as a fold over the log.
pub(crate) trait View: Send + Sync + 'static {
    /// What an event changes about it.
    type Change;

    /// Takes an event into account. Most events are none of a view's business.
    fn apply(&mut self, event: &Envelope) -> Result<Option<Self::Change>, DecodeError>;

    /// The patches that bring a browser from before the change to now. All but
    /// the last may be applied twice: a connection that breaks in between makes
    /// the browser ask for all of them again.
    fn render_change(&self, change: &Self::Change) -> Vec<PatchElements>;

    /// The patch that brings any browser to now.
    fn render_whole(&self) -> PatchElements;
}

/// A view that follows the log.
#[derive(Debug)]
pub(crate) struct LiveView<V> {
    shared: Arc<Mutex<Shared<V>>>,
    position: watch::Receiver<Position>,
}

/// The view has come across an event that it cannot read, and has stopped.
#[derive(Debug, thiserror::Error)]
#[error("a live view has stopped at an event that it cannot read")]
pub(crate) struct Stopped;

#[derive(Debug)]
struct Shared<V> {
    view: V,
    /// What the view has taken into account.
    position: Position,
    /// The newest changes, with the positions that they lead to.
    changes: VecDeque<(Position, Bytes)>,
    /// Whoever has seen less than this needs the whole view.
    floor: Position,
    /// The whole view at `position`, once somebody has asked for it.
    whole: Option<Bytes>,
    watchers: usize,
}

impl<V: View> LiveView<V> {
    /// Starts a view, and returns once it has caught up with the feed, or has
    /// stopped.
    pub(crate) async fn start(view: V, feed: &EventFeed) -> Self {
        let (sender, position) = watch::channel(Position::START);
        let shared = Arc::new(Mutex::new(Shared {
            view,
            position: Position::START,
            changes: VecDeque::new(),
            floor: Position::START,
            whole: None,
            watchers: 0,
        }));
        tokio::spawn(follow(feed.clone(), Arc::clone(&shared), sender));
        let view = Self { shared, position };
        // A view that has stopped says so to whoever asks it.
        let _ = view.reach(feed.head()).await;
        view
    }

    /// Waits until the view has taken a position into account.
    pub(crate) async fn reach(&self, position: Position) -> Result<(), Stopped> {
        self.position
            .clone()
            .wait_for(|reached| *reached >= position)
            .await
            .map(|_| ())
            .map_err(|_| Stopped)
    }

    /// Looks at the view.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&V) -> T) -> T {
        look(&lock(&self.shared).view)
    }

    /// The frames for a browser that has seen the view up to a position, or
    /// nothing: what it has missed, then what happens.
    pub(crate) fn subscribe(
        &self,
        seen: Option<Position>,
    ) -> impl Stream<Item = Bytes> + Send + use<V> {
        let watcher = Watcher::of(self);
        stream::unfold((watcher, seen), |(mut watcher, seen)| async move {
            let (reached, frames) = watcher.after(seen).await?;
            Some((frames, (watcher, Some(reached))))
        })
    }
}

/// One who watches a view, for as long as this lives.
struct Watcher<V> {
    shared: Arc<Mutex<Shared<V>>>,
    position: watch::Receiver<Position>,
}

impl<V: View> Watcher<V> {
    fn of(view: &LiveView<V>) -> Self {
        lock(&view.shared).watchers += 1;
        Self {
            shared: Arc::clone(&view.shared),
            position: view.position.clone(),
        }
    }

    /// Waits for what comes after a position. Returns the frames, and where
    /// they lead.
    async fn after(&mut self, seen: Option<Position>) -> Option<(Position, Bytes)> {
        loop {
            self.position.borrow_and_update();
            let next = lock(&self.shared).after(seen);
            if next.is_some() {
                return next;
            }
            self.position.changed().await.ok()?;
        }
    }
}

impl<V> Drop for Watcher<V> {
    fn drop(&mut self) {
        lock(&self.shared).watchers -= 1;
    }
}

/// The task that keeps a view up to date.
async fn follow<V: View>(
    feed: EventFeed,
    shared: Arc<Mutex<Shared<V>>>,
    position: watch::Sender<Position>,
) {
    let mut events = feed.subscribe(Position::START);
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) if error.is_permanent() => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a live view has stopped"
                );
                return;
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a live view cannot read the log; trying again"
                );
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        if let Err(error) = lock(&shared).apply(&event) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a live view has stopped"
            );
            return;
        }
        position.send_replace(event.position);
    }
}

impl<V: View> Shared<V> {
    /// Takes an event into account, and keeps what it changes if somebody
    /// watches.
    fn apply(&mut self, event: &Envelope) -> Result<(), DecodeError> {
        let change = self.view.apply(event)?;
        let before = self.position;
        self.position = event.position;
        let Some(change) = change else {
            return Ok(());
        };
        self.whole = None;
        if self.watchers == 0 {
            self.changes.clear();
            self.floor = event.position;
            return Ok(());
        }
        let patches = self.view.render_change(&change);
        self.keep(frames(&patches, before, event.position));
        Ok(())
    }

    fn keep(&mut self, change: Bytes) {
        self.changes.push_back((self.position, change));
        if self.changes.len() > KEPT
            && let Some((position, _)) = self.changes.pop_front()
        {
            self.floor = position;
        }
    }

    /// What a browser needs that has seen this much, and where that brings it.
    fn after(&mut self, seen: Option<Position>) -> Option<(Position, Bytes)> {
        let Some(seen) = seen.filter(|seen| (self.floor..=self.position).contains(seen)) else {
            return Some((self.position, self.whole()));
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
            [] => None,
            [only] => Some((self.position, only.clone())),
            _ => Some((
                self.position,
                missed.into_iter().flatten().copied().collect(),
            )),
        }
    }

    fn whole(&mut self) -> Bytes {
        let (view, position) = (&self.view, self.position);
        self.whole
            .get_or_insert_with(|| sse::datastar_frame(view.render_whole(), Some(position)).into())
            .clone()
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

fn lock<V>(shared: &Mutex<Shared<V>>) -> MutexGuard<'_, Shared<V>> {
    // Nothing panics between the changes that belong together.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
