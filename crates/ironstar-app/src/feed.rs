//! The log as a stream: first the events since a position, then new events as they are
//! appended. Each event comes once and in order.
//!
//! One task per node follows the log. A hint on the bus wakes it, and so does a slow poll, in
//! case hints are lost. Either way it reads the new events from the store, so the bus can delay
//! an event, but cannot lose, double or reorder one. The task keeps the newest events in memory
//! for all consumers. A consumer that is further behind reads from the store by itself until it
//! has caught up. So a slow consumer delays no other consumer, and takes the memory of a few
//! pages only. Positions are contiguous, so the consumer knows where those pages begin, and
//! reads them ahead.
//!
//! A damaged event stops only the consumers that reach it. The task continues behind it. So
//! consumers that skip the event, and consumers that begin later, still get the next events.
//! The task keeps no damaged event in memory: a consumer in front of one asks the store each
//! time, and gets past the event only once it can be read.
//!
//! A reader continues behind the event that it read last, and reads that event again. If the
//! log has another event there, a backup was restored over it. Then every stream ends with
//! [`FeedError::OtherHistory`], and the feed ends: the data that the process keeps in memory
//! belongs to the old log, and must be dropped with it ([`EventFeed::other_history`]).

mod tail;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, Fuse};
use futures::{FutureExt, StreamExt};
use ironstar_ports::{
    BusError, BusMessage, Envelope, EventBus, EventStore, Key, KeyExpr, LogPlace, Position,
    StoreError, Subscription,
};
use parking_lot::{RwLock, RwLockWriteGuard};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use self::tail::Tail;
use crate::history::{
    FeedError, Page, Resolved, Unverified, goes_on_behind, head, read_from, read_page, resolve,
    resolve_by, whole_pages,
};

/// Follows the log for any number of consumers.
#[derive(Clone, Debug)]
pub struct EventFeed {
    store: Arc<dyn EventStore>,
    options: FeedOptions,
    tail: Arc<RwLock<Tail>>,
    /// The end of the tail. The task owns the sender, so streams end when the task ends.
    head: watch::Receiver<LogPlace>,
    other_history: CancellationToken,
    stopping: CancellationToken,
}

/// The settings of a feed.
#[derive(Clone, Copy, Debug)]
pub struct FeedOptions {
    /// The number of the newest events that are kept in memory.
    pub tail: usize,
    /// The number of events that are read from the store at a time.
    pub page: usize,
    /// The time after which the store is read without a hint.
    pub poll: Duration,
}

impl EventFeed {
    /// Starts to follow the log.
    ///
    /// # Errors
    ///
    /// If the subscription on the bus fails, or the store cannot be read.
    pub async fn start(
        store: Arc<dyn EventStore>,
        bus: &dyn EventBus,
        options: FeedOptions,
    ) -> Result<Self, StartError> {
        // Subscribe first, then read: an event that is appended in between has a hint.
        let hints = bus.subscribe(&KeyExpr::all_events()).await?;
        let start = head(&*store).await?;
        let (other_history, stopping) = (CancellationToken::new(), CancellationToken::new());
        let tail = Arc::new(RwLock::new(Tail::default()));
        let (sender, head) = watch::channel(start);
        let follower = Follower {
            store: Arc::clone(&store),
            options,
            tail: Arc::clone(&tail),
            head: sender,
            other_history: other_history.clone(),
            stopping: stopping.clone(),
        };
        tokio::spawn(follower.run(hints));
        Ok(Self {
            store,
            options,
            tail,
            head,
            other_history,
            stopping,
        })
    }

    /// The last position that the feed has seen. Its event may be unreadable.
    #[must_use]
    pub fn head(&self) -> Position {
        self.place().position
    }

    /// The place of the last event that the feed has seen.
    #[must_use]
    pub fn place(&self) -> LogPlace {
        *self.head.borrow()
    }

    /// The relation of a place to the log.
    ///
    /// # Errors
    ///
    /// If the store cannot be read. It is read only for places that are not in memory.
    pub async fn resolve(&self, place: LogPlace) -> Result<Resolved, StoreError> {
        let found = self.tail.read().place_at(place.position);
        match found {
            Some(found) => Ok(resolve_by(found, place)),
            None => resolve(&*self.store, place).await,
        }
    }

    /// Waits until the feed has noticed that a backup was restored over the log. The feed
    /// notices it at its next read or poll, and ends then.
    pub async fn other_history(&self) {
        self.other_history.cancelled().await;
    }

    /// Waits until the feed has seen a position, or has stopped.
    pub async fn reached(&self, position: Position) {
        let mut head = self.head.clone();
        // A feed that has stopped sees no more events, so there is nothing to wait for.
        let _ = head.wait_for(|head| head.position >= position).await;
    }

    /// The events after a place, without an end. After an error the stream continues where it
    /// was: a damaged event is an error each time, until it is repaired or the consumer
    /// subscribes from behind it. The stream ends when the feed is stopped. It also ends after
    /// [`FeedError::OtherHistory`], for example because the place itself belongs to another
    /// history.
    #[must_use]
    pub fn subscribe(
        &self,
        after: impl Into<LogPlace>,
    ) -> BoxStream<'static, Result<Arc<Envelope>, FeedError>> {
        let consumer = Consumer {
            store: Arc::clone(&self.store),
            options: self.options,
            tail: Arc::clone(&self.tail),
            head: self.head.clone(),
            last: after.into(),
            other_history: self.other_history.clone(),
            is_over: false,
            ready: VecDeque::new(),
            ahead: VecDeque::new(),
        };
        stream::unfold(consumer, |mut consumer| async move {
            consumer.next().await.map(|event| (event, consumer))
        })
        // A consumer that has got the end may poll again.
        .fuse()
        .boxed()
    }

    /// Returns true if the event after a position is in memory, or was not appended yet.
    #[must_use]
    pub fn is_recent(&self, after: Position) -> bool {
        after >= self.head() || self.tail.read().begins_by(after)
    }

    /// Up to `limit` events after a place, read from the store. For a consumer that is far
    /// behind and catches up page by page.
    ///
    /// # Errors
    ///
    /// If the store fails, the first of the events is damaged, or the place belongs to another
    /// history.
    pub async fn page_after(
        &self,
        after: LogPlace,
        limit: usize,
    ) -> Result<VecDeque<Arc<Envelope>>, FeedError> {
        read_page(&*self.store, after, limit).await
    }

    /// Waits until the feed has stopped, and reads nothing more.
    pub async fn stopped(&self) {
        let mut head = self.head.clone();
        while head.changed().await.is_ok() {}
    }

    /// Stops the feed, after a last read of the log. Every stream ends once it has delivered
    /// its remaining events.
    pub fn stop(&self) {
        self.stopping.cancel();
    }
}

/// The reason why a feed did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The bus fails.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self {
            tail: 4_096,
            page: 256,
            poll: Duration::from_secs(1),
        }
    }
}

/// The task that keeps the tail up to date.
struct Follower {
    store: Arc<dyn EventStore>,
    options: FeedOptions,
    tail: Arc<RwLock<Tail>>,
    head: watch::Sender<LogPlace>,
    other_history: CancellationToken,
    stopping: CancellationToken,
}

impl Follower {
    async fn run(self, hints: Subscription) {
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
        let mut poll = interval(self.options.poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut end = Position::new(u64::MAX);
            tokio::select! {
                hint = hints.next(), if !ended => match hint {
                    Some(hint) => match self.news(&hint, &mut hints) {
                        Some(hinted) => end = hinted,
                        None => continue,
                    },
                    None => {
                        ended = true;
                        tracing::warn!("the bus is not available; new events are found by polling");
                    }
                },
                _ = poll.tick() => {}
            }
            let outcome = self.catch_up(end).await;
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

    /// The last position that this hint and the waiting hints behind it announce, or `None` if
    /// the tail already has it. A message that is not a hint may announce any position.
    fn news(&self, hint: &BusMessage, hints: &mut Fuse<Subscription>) -> Option<Position> {
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
        (last > self.head.borrow().position).then_some(last)
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

/// The position of one consumer in the log.
struct Consumer {
    store: Arc<dyn EventStore>,
    options: FeedOptions,
    tail: Arc<RwLock<Tail>>,
    head: watch::Receiver<LogPlace>,
    other_history: CancellationToken,
    /// True if the consumer has got the error about the other history.
    is_over: bool,
    last: LogPlace,
    ready: VecDeque<Arc<Envelope>>,
    /// The next pages, while they are read.
    ahead: VecDeque<JoinHandle<Unverified>>,
}

impl Consumer {
    async fn next(&mut self) -> Option<Result<Arc<Envelope>, FeedError>> {
        while !self.is_over {
            if self.other_history.is_cancelled() {
                self.is_over = true;
                return Some(Err(FeedError::OtherHistory));
            }
            if let Some(envelope) = self.ready.pop_front() {
                self.last = envelope.place();
                return Some(Ok(envelope));
            }
            if self.head.borrow_and_update().position <= self.last.position {
                let is_stopped = self.head.changed().await.is_err();
                self.is_over = is_stopped && !self.other_history.is_cancelled();
                continue;
            }
            match self.read().await {
                Ok(ready) => self.ready = ready,
                Err(error) => {
                    self.is_over = matches!(error, FeedError::OtherHistory);
                    return Some(Err(error));
                }
            }
        }
        None
    }

    async fn read(&mut self) -> Page {
        let recent = self.tail.read().after(self.last, self.options.page);
        if let Some(recent) = recent {
            self.ahead.clear();
            return recent;
        }
        self.read_ahead();
        let page = match self.ahead.pop_front() {
            Some(ahead) => match ahead.await {
                Ok(Ok(page)) => goes_on_behind(self.last, page),
                // [`read_page`] finds out which event is damaged.
                Ok(Err(StoreError::Damaged { .. })) => Ok(VecDeque::new()),
                Ok(Err(error @ StoreError::Unavailable(_))) => Err(error.into()),
                Err(error) => Err(StoreError::unavailable(error).into()),
            },
            None => Ok(VecDeque::new()),
        };
        let page = match page {
            Ok(page) if page.is_empty() => {
                read_page(&*self.store, self.last, self.options.page).await
            }
            page => page,
        };
        let is_whole = matches!(&page, Ok(page) if page.len() == self.options.page);
        if !is_whole {
            // The next page begins at another position than expected.
            self.ahead.clear();
        }
        page
    }

    /// Starts to read the next pages, as far as the log has whole pages.
    fn read_ahead(&mut self) {
        let head = self.head.borrow().position;
        let known = self.ahead.len();
        for after in whole_pages(self.last.position, head, self.options.page).skip(known) {
            let (store, limit) = (Arc::clone(&self.store), self.options.page);
            self.ahead.push_back(tokio::spawn(async move {
                read_from(&*store, after, limit).await
            }));
        }
    }
}
