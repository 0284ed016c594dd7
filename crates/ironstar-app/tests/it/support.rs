//! A log and a bus to test on.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ironstar_adapters::memory::{MemoryEventBus, MemoryEventStore};
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_app::CommandHandler;
use ironstar_ports::{
    Append, AppendError, Appended, BusError, CommandKey, Envelope, EventBus, EventStore,
    ExpectedSequence, Key, KeyExpr, Metadata, NewEvent, Outcome, Payload, Position, Sequence,
    StoreError, StreamId, Subscription,
};
use uuid::Uuid;

pub(crate) fn memory_store() -> Arc<MemoryEventStore> {
    Arc::new(MemoryEventStore::new(Arc::new(SystemClock)))
}

pub(crate) fn memory_bus() -> Arc<MemoryEventBus> {
    Arc::new(MemoryEventBus::new())
}

pub(crate) fn handler(store: Arc<dyn EventStore>) -> CommandHandler {
    CommandHandler::new(store, memory_bus(), Arc::new(SystemIdSource))
}

/// Appends events that nobody looks into, without a hint.
pub(crate) async fn append(store: &dyn EventStore, count: usize) -> Position {
    let event = NewEvent {
        event_type: "happened".to_owned(),
        schema_version: 1,
        payload: Payload::from_text("{}".to_owned()).expect("JSON"),
        metadata: Metadata::new(Uuid::nil()),
    };
    let stream = StreamId::new("Test", "1");
    let events = vec![event; count];
    store
        .append(Append::to_stream(stream, ExpectedSequence::Any, events))
        .await
        .expect("appended")
        .position()
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

/// A bus that loses, doubles, holds back and reorders messages, by a seed.
#[derive(Debug)]
pub(crate) struct FaultyBus {
    inner: MemoryEventBus,
    random: Mutex<u64>,
    held_back: Mutex<Vec<(Key, Vec<u8>)>>,
}

impl FaultyBus {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            inner: MemoryEventBus::new(),
            random: Mutex::new(seed),
            held_back: Mutex::default(),
        }
    }

    /// The next of Knuth's MMIX numbers, of which the high bits are good.
    fn roll(&self, sides: u64) -> u64 {
        let mut random = self.random.lock().expect("the lock");
        *random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (*random >> 33) % sides
    }
}

#[async_trait]
impl EventBus for FaultyBus {
    async fn publish(&self, key: &Key, payload: &[u8]) -> Result<(), BusError> {
        let times = match self.roll(4) {
            0 => 0,
            1 => 2,
            2 => {
                let held_back = (key.clone(), payload.to_vec());
                self.held_back.lock().expect("the lock").push(held_back);
                0
            }
            _ => 1,
        };
        for _ in 0..times {
            self.inner.publish(key, payload).await?;
        }
        if self.roll(8) == 0 {
            let late = std::mem::take(&mut *self.held_back.lock().expect("the lock"));
            for (key, payload) in late.into_iter().rev() {
                self.inner.publish(&key, &payload).await?;
            }
        }
        Ok(())
    }

    async fn subscribe(&self, keys: &KeyExpr) -> Result<Subscription, BusError> {
        self.inner.subscribe(keys).await
    }
}

/// A store that counts how often streams are read.
#[derive(Debug)]
pub(crate) struct CountingStore {
    inner: Arc<MemoryEventStore>,
    reads: AtomicU64,
}

impl CountingStore {
    pub(crate) fn new(inner: Arc<MemoryEventStore>) -> Self {
        Self {
            inner,
            reads: AtomicU64::new(0),
        }
    }

    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(SeqCst)
    }
}

#[async_trait]
impl EventStore for CountingStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.inner.append(append).await
    }

    async fn outcome(&self, key: &CommandKey) -> Result<Option<Outcome>, StoreError> {
        self.inner.outcome(key).await
    }

    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.reads.fetch_add(1, SeqCst);
        self.inner.load_stream(stream, after, limit).await
    }

    async fn load_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.inner.load_after(position, limit).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.inner.head().await
    }
}

/// A store that never shows its first event.
#[derive(Debug)]
pub(crate) struct GappyStore(pub(crate) Arc<MemoryEventStore>);

#[async_trait]
impl EventStore for GappyStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.0.append(append).await
    }

    async fn outcome(&self, key: &CommandKey) -> Result<Option<Outcome>, StoreError> {
        self.0.outcome(key).await
    }

    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.0.load_stream(stream, after, limit).await
    }

    async fn load_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.0
            .load_after(position.max(Position::new(1)), limit)
            .await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.0.head().await
    }
}

/// What a [`MeddlingStore`] does before each of its first appends.
pub(crate) type Meddle = fn(&StreamId) -> Append;

/// A store in which somebody else gets in first, a number of times.
#[derive(Debug)]
pub(crate) struct MeddlingStore {
    pub(crate) inner: Arc<MemoryEventStore>,
    pub(crate) times: AtomicU64,
    pub(crate) meddle: Meddle,
}

#[async_trait]
impl EventStore for MeddlingStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let left = self.times.load(SeqCst);
        if left > 0 {
            self.times.store(left - 1, SeqCst);
            self.inner
                .append((self.meddle)(&append.streams[0].stream))
                .await?;
        }
        self.inner.append(append).await
    }

    async fn outcome(&self, key: &CommandKey) -> Result<Option<Outcome>, StoreError> {
        self.inner.outcome(key).await
    }

    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.inner.load_stream(stream, after, limit).await
    }

    async fn load_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.inner.load_after(position, limit).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.inner.head().await
    }
}
