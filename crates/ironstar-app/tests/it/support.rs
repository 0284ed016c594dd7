//! A log, a bus and faulty stores for tests.

mod leases;
mod world;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use ironstar_adapters::memory::{MemoryEventBus, MemoryEventStore, MemorySnapshotStore};
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_app::CommandHandler;
use ironstar_ports::contract::doubles::AroundEventStore;
use ironstar_ports::{
    Append, AppendError, Appended, BusError, Envelope, EventBus, EventStore, ExpectedSequence,
    IdSource, Key, KeyExpr, Metadata, NewEvent, Payload, Position, Sequence, Snapshot,
    SnapshotStore, StoreError, StreamAppend, StreamId, Subscription,
};
use tokio::sync::oneshot;

pub(crate) use leases::{Appointed, join};
pub(crate) use world::{
    SOON, Tally, TallyProjection, TestProjectionStore, World, count, cure, folds, tally,
};

pub(crate) fn memory_store() -> Arc<MemoryEventStore> {
    Arc::new(MemoryEventStore::new(Arc::new(SystemClock)))
}

pub(crate) fn memory_bus() -> Arc<MemoryEventBus> {
    Arc::new(MemoryEventBus::new())
}

pub(crate) fn handler(store: Arc<dyn EventStore>) -> CommandHandler {
    handler_with(store, Arc::new(MemorySnapshotStore::new()))
}

pub(crate) fn handler_with(
    store: Arc<dyn EventStore>,
    snapshots: Arc<dyn SnapshotStore>,
) -> CommandHandler {
    CommandHandler::new(store, snapshots, memory_bus(), Arc::new(SystemIdSource))
}

/// Appends events with an unknown type, without a hint.
pub(crate) async fn append(store: &dyn EventStore, count: usize) -> Position {
    let event = || NewEvent {
        event_type: "happened".to_owned(),
        schema_version: 1,
        payload: Payload::from_text("{}".to_owned()).expect("JSON"),
        metadata: Metadata::new(SystemIdSource.next_id()),
    };
    if count == 0 {
        return store.head().await.expect("read");
    }
    let stream = StreamId::new("Test", "1");
    let events = std::iter::repeat_with(event).take(count).collect();
    store
        .append(Append::to_stream(stream, ExpectedSequence::Any, events))
        .await
        .expect("appended")
        .place()
        .position
}

/// A guard that requires an event that does not exist.
pub(crate) fn guard_of_nothing() -> StreamAppend {
    StreamAppend {
        stream: StreamId::new("Test", "1"),
        expected: ExpectedSequence::Exact(Sequence::FIRST),
        events: vec![],
    }
}

/// A bus that loses every message.
#[derive(Debug)]
pub(crate) struct SilentBus(pub(crate) MemoryEventBus);

#[async_trait]
impl EventBus for SilentBus {
    async fn publish(&self, _: &Key, _: &[u8]) -> Result<(), BusError> {
        Ok(())
    }

    async fn subscribe(&self, keys: &KeyExpr) -> Result<Subscription, BusError> {
        self.0.subscribe(keys).await
    }
}

/// Records the keys of hints, and delivers nothing.
#[derive(Debug)]
pub(crate) struct RememberingBus {
    inner: MemoryEventBus,
    keys: Mutex<Vec<String>>,
}

impl RememberingBus {
    pub(crate) fn new() -> Self {
        Self {
            inner: MemoryEventBus::new(),
            keys: Mutex::default(),
        }
    }

    /// The keys since the last call, in their own order.
    pub(crate) fn take(&self) -> Vec<String> {
        let mut keys = self.keys.lock().expect("the lock is not poisoned");
        let mut keys = std::mem::take(&mut *keys);
        keys.sort_unstable();
        keys
    }
}

#[async_trait]
impl EventBus for RememberingBus {
    async fn publish(&self, key: &Key, _: &[u8]) -> Result<(), BusError> {
        let mut keys = self.keys.lock().expect("the lock is not poisoned");
        keys.push(key.as_str().to_owned());
        Ok(())
    }

    async fn subscribe(&self, keys: &KeyExpr) -> Result<Subscription, BusError> {
        self.inner.subscribe(keys).await
    }
}

/// The append that a [`TestStore`] does before each of its first appends.
pub(crate) type Meddle = fn(&StreamId) -> Append;

/// A store that counts reads, and that can be made faulty.
#[derive(Debug)]
pub(crate) struct TestStore {
    inner: Arc<MemoryEventStore>,
    /// The log that replaces the first one.
    restored: OnceLock<Arc<MemoryEventStore>>,
    streamed: AtomicU64,
    hidden: Position,
    /// On average one of this many reads of the log fails; 0 for none.
    failing: u64,
    /// The positions of damaged events.
    damaged: Mutex<BTreeSet<Position>>,
    reads: AtomicU64,
    meddle: Option<Meddle>,
    meddlings: AtomicU64,
    /// True if no stream can be read.
    is_broken: AtomicBool,
    /// The next read of a stream waits for this signal before it returns.
    held: Mutex<Option<oneshot::Receiver<()>>>,
}

impl TestStore {
    pub(crate) fn counting(inner: Arc<MemoryEventStore>) -> Self {
        Self {
            inner,
            restored: OnceLock::new(),
            streamed: AtomicU64::new(0),
            hidden: Position::START,
            failing: 0,
            damaged: Mutex::default(),
            reads: AtomicU64::new(0),
            meddle: None,
            meddlings: AtomicU64::new(0),
            is_broken: AtomicBool::new(false),
            held: Mutex::default(),
        }
    }

    /// A store whose log misses the first event.
    pub(crate) fn with_a_gap(inner: Arc<MemoryEventStore>) -> Self {
        Self {
            hidden: Position::new(1),
            ..Self::counting(inner)
        }
    }

    /// A store with a failure in one of about `one_in` reads of the log.
    pub(crate) fn failing(inner: Arc<MemoryEventStore>, one_in: u64) -> Self {
        Self {
            failing: one_in,
            ..Self::counting(inner)
        }
    }

    /// Replaces the log.
    pub(crate) fn restore(&self, other: Arc<MemoryEventStore>) {
        self.restored.set(other).expect("a log is restored once");
    }

    /// Damages the events at these positions, and repairs all others.
    pub(crate) fn damage(&self, positions: impl IntoIterator<Item = Position>) {
        let mut damaged = self.damaged.lock().expect("the lock is not poisoned");
        *damaged = positions.into_iter().collect();
    }

    /// Makes all streams unreadable, or readable again.
    pub(crate) fn break_streams(&self, is_broken: bool) {
        self.is_broken.store(is_broken, SeqCst);
    }

    /// Holds back the next read of a stream. It returns the events of that moment, but only
    /// after the returned sender is dropped.
    pub(crate) fn hold_next_read(&self) -> oneshot::Sender<()> {
        let (holder, held) = oneshot::channel();
        *self.held.lock().expect("the lock is not poisoned") = Some(held);
        holder
    }

    /// A store on which another caller appends first, this many times.
    pub(crate) fn meddled(inner: Arc<MemoryEventStore>, times: u64, meddle: Meddle) -> Self {
        Self {
            meddle: Some(meddle),
            meddlings: times.into(),
            ..Self::counting(inner)
        }
    }

    /// The number of reads of the log.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(SeqCst)
    }

    /// The number of events that were read from streams. A read that finds nothing counts as
    /// one.
    pub(crate) fn streamed(&self) -> u64 {
        self.streamed.load(SeqCst)
    }
}

#[async_trait]
impl AroundEventStore for TestStore {
    fn inner(&self) -> &dyn EventStore {
        &**self.restored.get().unwrap_or(&self.inner)
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let left = self.meddlings.load(SeqCst);
        if let (1.., Some(meddle)) = (left, self.meddle) {
            self.meddlings.store(left - 1, SeqCst);
            let first = meddle(&append.streams[0].stream);
            self.inner().append(first).await?;
        }
        self.inner().append(append).await
    }

    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        if self.is_broken.load(SeqCst) {
            return Err(StoreError::unavailable("broken"));
        }
        let page = self.inner().load_stream(stream, after, limit).await?;
        let held = self.held.lock().expect("the lock is not poisoned").take();
        if let Some(held) = held {
            // The read ends when its holder does.
            let _ = held.await;
        }
        // Other tasks may run in between.
        tokio::task::yield_now().await;
        self.streamed.fetch_add(page.len().max(1) as u64, SeqCst);
        Ok(page)
    }

    async fn load_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let reads = self.reads.fetch_add(1, SeqCst) + 1;
        if self.failing > 0 && scattered(reads).is_multiple_of(self.failing) {
            return Err(StoreError::unavailable("now and then"));
        }
        let after = position.max(self.hidden);
        let mut page = self.inner().load_after(after, limit).await?;
        let damaged = self.damaged.lock().expect("the lock is not poisoned");
        let is_damaged = |event: &Envelope| damaged.contains(&event.position);
        match page.iter().position(is_damaged) {
            None => {}
            Some(0) => {
                return Err(StoreError::Damaged {
                    position: page[0].position,
                    source: "it is torn".into(),
                });
            }
            Some(sound) => page.truncate(sound),
        }
        Ok(page)
    }
}

/// Numbers without a pattern: Knuth's multiplicative hash.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// A store in which all callers decide before the first append, once it hesitates.
#[derive(Debug)]
pub(crate) struct Hesitant {
    inner: Arc<MemoryEventStore>,
    hesitates: AtomicBool,
}

impl Hesitant {
    pub(crate) fn new(inner: Arc<MemoryEventStore>) -> Self {
        Self {
            inner,
            hesitates: AtomicBool::new(false),
        }
    }

    /// Hesitates before each append from now on.
    pub(crate) fn hesitate(&self) {
        self.hesitates.store(true, SeqCst);
    }

    /// The number of events of a type.
    pub(crate) async fn count(&self, event_type: &str) -> usize {
        let log = self.inner.load_after(Position::START, usize::MAX).await;
        let log = log.expect("read").into_iter();
        log.filter(|event| event.event_type == event_type).count()
    }
}

#[async_trait]
impl AroundEventStore for Hesitant {
    fn inner(&self) -> &dyn EventStore {
        &*self.inner
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if self.hesitates.load(SeqCst) {
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
        }
        self.inner.append(append).await
    }
}

/// A snapshot store that always fails.
#[derive(Debug)]
pub(crate) struct BrokenSnapshots;

#[async_trait]
impl SnapshotStore for BrokenSnapshots {
    async fn load_snapshot(&self, _: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        Err(StoreError::unavailable("broken"))
    }

    async fn save_snapshot(&self, _: Snapshot) -> Result<(), StoreError> {
        Err(StoreError::unavailable("broken"))
    }
}
