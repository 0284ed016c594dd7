//! The task that follows the log for all consumers.

use std::sync::Arc;

use futures::stream::Fuse;
use futures::{FutureExt, StreamExt};
use ironstar_ports::{BusMessage, EventStore, Key, LogPlace, Position, StoreError, Subscription};
use parking_lot::{RwLock, RwLockWriteGuard};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::FeedOptions;
use super::polling::Polling;
use super::tail::Tail;
use crate::history::{FeedError, read_page};

/// The task that keeps the tail up to date.
pub(super) struct Follower {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) options: FeedOptions,
    pub(super) tail: Arc<RwLock<Tail>>,
    pub(super) head: watch::Sender<LogPlace>,
    pub(super) other_history: CancellationToken,
    pub(super) stopping: CancellationToken,
}

impl Follower {
    pub(super) async fn run(self, hints: Subscription) {
        if self
            .stopping
            .run_until_cancelled(self.follow(hints))
            .await
            .is_none()
        {
            // The hint of an event that was acknowledged just now is still on its way.
            if let Err(error) = self.catch_up(Position::START).await {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "the feed stopped without a last read of the log"
                );
            }
        }
    }

    async fn follow(&self, hints: Subscription) {
        let mut hints = hints.fuse();
        let mut ended = false;
        let mut has_failed = false;
        let mut polling = Polling::new(self.options);
        loop {
            let mut end = Position::new(u64::MAX);
            let mut is_poll = false;
            tokio::select! {
                hint = hints.next(), if !ended => match hint {
                    Some(hint) => {
                        let hinted = last_hinted(&hint, &mut hints);
                        polling.hinted(hinted);
                        if hinted <= self.head.borrow().position {
                            continue;
                        }
                        end = hinted;
                    }
                    None => {
                        ended = true;
                        tracing::warn!("the bus is not available; new events are found by polling");
                    }
                },
                () = polling.due() => is_poll = true,
            }
            let before = self.head.borrow().position;
            let outcome = self.catch_up(end).await;
            if is_poll {
                let after = self.head.borrow().position;
                polling.polled((after > before).then_some(after));
            }
            if matches!(outcome, Err(FeedError::OtherHistory)) {
                tracing::error!(
                    last = %*self.head.borrow(),
                    "a backup was restored over the log; all its readers must start again"
                );
                self.other_history.cancel();
                return;
            }
            if let Err(error) = &outcome
                && !has_failed
            {
                tracing::error!(
                    error = error as &dyn std::error::Error,
                    "the feed cannot read the log; trying again until it can"
                );
            }
            has_failed = outcome.is_err();
        }
    }

    /// Reads the new events, at least up to a position if the log is so long.
    async fn catch_up(&self, end: Position) -> Result<(), FeedError> {
        while self.read_more(end).await? {}
        Ok(())
    }

    /// Reads a page of new events. Returns true if there may be more.
    async fn read_more(&self, end: Position) -> Result<bool, FeedError> {
        let last = *self.head.borrow();
        let page = match read_page(&*self.store, last, self.options.page).await {
            Err(FeedError::Store(error @ StoreError::Damaged { .. })) => {
                self.go_past(last.position.next(), &error);
                return Ok(true);
            }
            page => page?,
        };
        let read = page.len();
        if let Some(newest) = page.back() {
            let head = newest.place();
            self.tail().extend(last, page, self.options.tail);
            self.head.send_replace(head);
        }
        // A page that is not full may end in front of a damaged event.
        let is_end = read < self.options.page && self.head.borrow().position >= end;
        Ok(read > 0 && !is_end)
    }

    /// Continues behind an event that cannot be read.
    fn go_past(&self, damaged: Position, error: &StoreError) {
        tracing::error!(
            error = error as &dyn std::error::Error,
            "an event cannot be read; its consumers stop in front of it, and the feed continues behind it"
        );
        self.tail().clear();
        self.head.send_replace(damaged.into());
    }

    fn tail(&self) -> RwLockWriteGuard<'_, Tail> {
        self.tail.write()
    }
}

/// The last position that this hint and the waiting hints behind it announce. A message that is
/// not a hint may announce any position.
fn last_hinted(hint: &BusMessage, hints: &mut Fuse<Subscription>) -> Position {
    let hinted = |hint: &BusMessage| {
        // A message to a single session announces no event.
        if Key::session_in(&hint.key).is_some() {
            return Position::START;
        }
        let text = std::str::from_utf8(&hint.payload).ok();
        Position::new(text.and_then(|text| text.parse().ok()).unwrap_or(u64::MAX))
    };
    let mut last = hinted(hint);
    while let Some(Some(hint)) = hints.next().now_or_never() {
        last = last.max(hinted(&hint));
    }
    last
}
