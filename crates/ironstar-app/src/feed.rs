//! The log as a stream: first the events since a position, then new events as they are
//! appended. Each event comes once and in order.
//!
//! One task per node follows the log. A hint on the bus wakes it, and so does a slow poll, in
//! case hints are lost; it polls faster while they are. Either way it reads the new events from the store, so the bus can delay
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

mod consumer;
mod follower;
mod polling;
mod tail;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use ironstar_ports::{
    BusError, Envelope, EventBus, EventStore, KeyExpr, LogPlace, Position, StoreError,
};
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::consumer::Consumer;
use self::follower::Follower;
use self::tail::Tail;
use crate::history::{FeedError, Resolved, head, read_page, resolve, resolve_by};

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
    /// The same while hints are lost, and for some time longer. A longer time than `poll` counts
    /// as `poll`.
    pub quick_poll: Duration,
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
        let consumer = Consumer::new(self.clone(), after.into());
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
            quick_poll: Duration::from_millis(20),
        }
    }
}
