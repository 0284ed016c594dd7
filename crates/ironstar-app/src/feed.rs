//! The log as a stream: what has happened since a position, and then what
//! happens, each event once and in order.
//!
//! One task per node follows the log. A hint on the bus wakes it, and a slow
//! poll does when hints are lost; either way it reads what is new from the
//! store, so the bus can delay an event but not lose, double or reorder one.
//! It keeps the newest events in memory for all consumers. A consumer that is
//! further behind reads from the store by itself until it has caught up, so a
//! slow one holds nobody up and takes no memory but for a few pages. Positions
//! are contiguous, so it knows where those begin, and has them read in advance.
//!
//! An event that is damaged stops whoever comes to it, and nobody else. The task
//! goes on behind it, so that those who have decided to leave it out, and those
//! who begin later, get what comes next. It keeps nothing of what is damaged: a
//! consumer in front of it asks the store, each time anew, and gets past it only
//! once it can be read.
//!
//! A reader goes on behind the event that was read last, and reads that one again:
//! if it is another, a backup was restored over the log. Then every stream ends with
//! [`FeedError::OtherHistory`], and the feed is over: what a process keeps in memory is
//! of a log that is gone, and has to go with it ([`EventFeed::other_history`]).

mod tail;

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use futures::stream::{self, BoxStream, Fuse};
use futures::{FutureExt, StreamExt};
use ironstar_ports::{
    BusError, BusMessage, Envelope, EventBus, EventStore, Key, KeyExpr, LogPlace, Position,
    StoreError, Subscription,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use self::tail::{Tail, read};
use crate::history::{
    Page, Resolved, Unverified, goes_on_behind, head, read_from, read_page, resolve, resolve_by,
    whole_pages,
};

/// Follows the log for any number of consumers.
#[derive(Clone, Debug)]
pub struct EventFeed {
    store: Arc<dyn EventStore>,
    options: FeedOptions,
    tail: Arc<RwLock<Tail>>,
    /// Where the tail ends. Its sender belongs to the task, so that streams end when
    /// the task does.
    head: watch::Receiver<LogPlace>,
    other_history: CancellationToken,
    stopping: CancellationToken,
}

/// How a feed works.
#[derive(Clone, Copy, Debug)]
pub struct FeedOptions {
    /// How many of the newest events are kept in memory.
    pub tail: usize,
    /// How many events are read from the store at a time.
    pub page: usize,
    /// How long until the store is looked at without a hint.
    pub poll: Duration,
}

/// Why a feed cannot go on. It has not skipped anything: to ask again is to try
/// again.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The store does not work.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store breaks its promise that positions are contiguous.
    #[error("the log goes on at position {found}, where {expected} should be")]
    Gap {
        /// The position that should be next.
        expected: Position,
        /// The position that was.
        found: Position,
    },
    /// A backup was restored over the log: what was read last is no part of it.
    #[error("a backup was restored over the log, which is another history now")]
    OtherHistory,
}

impl FeedError {
    /// Whether to ask again is in vain: what is in the log will not change.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Store(StoreError::Unavailable(_)) => false,
            Self::Store(StoreError::Damaged { .. }) | Self::Gap { .. } | Self::OtherHistory => true,
        }
    }
}

impl EventFeed {
    /// Starts to follow the log.
    ///
    /// # Errors
    ///
    /// If the bus cannot be subscribed to, or the store not be read.
    pub async fn start(
        store: Arc<dyn EventStore>,
        bus: &dyn EventBus,
        options: FeedOptions,
    ) -> Result<Self, StartError> {
        // First subscribe, then read: what is appended in between is hinted at.
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

    /// The last position that the feed has seen, be its event readable or not.
    #[must_use]
    pub fn head(&self) -> Position {
        self.place().position
    }

    /// The same, as a place.
    #[must_use]
    pub fn place(&self) -> LogPlace {
        *self.head.borrow()
    }

    /// What a place comes to in the log.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, which is only asked about what is not in memory.
    pub async fn resolve(&self, place: LogPlace) -> Result<Resolved, StoreError> {
        let found = read(&self.tail).place_at(place.position);
        match found {
            Some(found) => Ok(resolve_by(found, place)),
            None => resolve(&*self.store, place).await,
        }
    }

    /// Waits until the feed has noticed that a backup was restored over the log: at
    /// once when it reads what is new, and when it polls. It is over then.
    pub async fn other_history(&self) {
        self.other_history.cancelled().await;
    }

    /// Waits until the feed has seen a position, or has stopped.
    pub async fn reached(&self, position: Position) {
        let mut head = self.head.clone();
        // A feed that has stopped sees nothing more, and nobody waits for it.
        let _ = head.wait_for(|head| head.position >= position).await;
    }

    /// The events after a place, for ever. After an error the stream goes on
    /// where it was: a damaged event is an error each time, until it is mended or
    /// somebody subscribes from behind it. It ends when the feed is stopped, and after
    /// [`FeedError::OtherHistory`], also if that is what the place is of.
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
        // Who has been told that it has ended may ask again.
        .fuse()
        .boxed()
    }

    /// Whether the event after a position is in memory, or is yet to come.
    #[must_use]
    pub fn is_recent(&self, after: Position) -> bool {
        after >= self.head() || read(&self.tail).begins_by(after)
    }

    /// Up to so many events after a place, read from the store: for a consumer that has
    /// much to catch up with, and does it bit by bit.
    ///
    /// # Errors
    ///
    /// If the store does not work, the first of the events is damaged, or the place is of
    /// another history.
    pub async fn page_after(
        &self,
        after: LogPlace,
        limit: usize,
    ) -> Result<VecDeque<Arc<Envelope>>, FeedError> {
        read_page(&*self.store, after, limit).await
    }

    /// Waits until the feed has stopped, and looks at nothing any more.
    pub async fn stopped(&self) {
        let mut head = self.head.clone();
        while head.changed().await.is_ok() {}
    }

    /// Stops following, after a last look at the log: every stream ends once it has
    /// delivered what it has.
    pub fn stop(&self) {
        self.stopping.cancel();
    }
}

/// Why a feed did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The bus does not work.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The store does not work.
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
            // What was acknowledged just now has its hint under way.
            if let Err(error) = self.catch_up(Position::START).await {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "the feed has stopped without a last look at the log"
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
                        tracing::warn!("the bus is gone; new events are found by polling");
                    }
                },
                _ = poll.tick() => {}
            }
            let outcome = self.catch_up(end).await;
            if matches!(outcome, Err(FeedError::OtherHistory)) {
                tracing::error!(
                    last = %*self.head.borrow(),
                    "a backup was restored over the log; all that follows it has to begin again"
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

    /// The last position that this hint and those that wait behind it are about,
    /// if it is not in the tail. What is no hint at all may be about any.
    fn news(&self, hint: &BusMessage, hints: &mut Fuse<Subscription>) -> Option<Position> {
        let hinted = |hint: &BusMessage| {
            // What concerns one visitor alone is no event.
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

    /// Reads what is new: at least up to a position, if the log has so much.
    async fn catch_up(&self, end: Position) -> Result<(), FeedError> {
        while self.read_more(end).await? {}
        Ok(())
    }

    /// Reads a page of what is new. Returns whether there may be more.
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
        // A page that is not whole may end before an event that is damaged.
        let is_end = read < self.options.page && self.head.borrow().position >= end;
        Ok(read > 0 && !is_end)
    }

    /// Goes on behind an event that cannot be read.
    fn go_past(&self, damaged: Position, error: &StoreError) {
        tracing::error!(
            error = error as &dyn std::error::Error,
            "whoever comes to this event is stopped; the feed goes on behind it"
        );
        self.tail().clear();
        self.head.send_replace(damaged.into());
    }

    fn tail(&self) -> RwLockWriteGuard<'_, Tail> {
        self.tail.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One consumer's place in the log.
struct Consumer {
    store: Arc<dyn EventStore>,
    options: FeedOptions,
    tail: Arc<RwLock<Tail>>,
    head: watch::Receiver<LogPlace>,
    other_history: CancellationToken,
    /// Whether it has been told that the log is another.
    is_over: bool,
    last: LogPlace,
    ready: VecDeque<Arc<Envelope>>,
    /// The pages that come next, while they are read.
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
        let recent = read(&self.tail).after(self.last, self.options.page);
        if let Some(recent) = recent {
            self.ahead.clear();
            return recent;
        }
        self.read_ahead();
        let page = match self.ahead.pop_front() {
            Some(ahead) => match ahead.await {
                Ok(Ok(page)) => goes_on_behind(self.last, page),
                // Which event comes first is found out where the page begins.
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
            // What comes next begins elsewhere than was thought.
            self.ahead.clear();
        }
        page
    }

    /// Has the next pages read, as far as there are whole ones.
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
