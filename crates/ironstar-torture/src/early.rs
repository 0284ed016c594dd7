//! A store that answers before it commits, as a write-behind cache does.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ironstar_adapters::memory::MemoryEventStore;
use ironstar_adapters::system::SystemClock;
use ironstar_ports::{
    Append, AppendError, Appended, CommandKey, Envelope, EventStore, ExpectedSequence, NewEvent,
    Outcome, Position, Sequence, StoreError, StreamId,
};
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

/// The delay of a commit after its answer.
const LATE: Duration = Duration::from_millis(20);

/// A log in memory that answers at once and correctly, and a store that gets the same appends
/// a moment later.
#[derive(Debug)]
pub(crate) struct EarlyStore {
    memory: MemoryEventStore,
    late: Mutex<mpsc::UnboundedSender<(Instant, Append)>>,
    store: Arc<dyn EventStore>,
}

impl EarlyStore {
    /// Puts the log in front of a store, with the present events of that store.
    pub(crate) async fn before(store: Arc<dyn EventStore>) -> anyhow::Result<Self> {
        let memory = MemoryEventStore::new(Arc::new(SystemClock));
        for envelope in store.load_after(Position::START, usize::MAX).await? {
            let event = NewEvent {
                event_type: envelope.event_type,
                schema_version: envelope.schema_version,
                payload: envelope.payload,
                metadata: envelope.metadata,
            };
            let expected = ExpectedSequence::Any;
            memory
                .append(Append::to_stream(envelope.stream, expected, vec![event]))
                .await?;
        }
        let (late, mut appends) = mpsc::unbounded_channel::<(Instant, Append)>();
        let behind = Arc::clone(&store);
        tokio::spawn(async move {
            while let Some((answered, append)) = appends.recv().await {
                tokio::time::sleep_until(answered + LATE).await;
                // The caller has its answer and cannot learn of a failure: that is the bug.
                let _ = behind.append(append).await;
            }
        });
        Ok(Self {
            memory,
            late: Mutex::new(late),
            store,
        })
    }
}

#[async_trait]
impl EventStore for EarlyStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        // One append at a time, so that the store gets the appends in the same order.
        let late = self.late.lock().await;
        let appended = self.memory.append(append.clone()).await?;
        let _ = late.send((Instant::now(), append));
        Ok(appended)
    }

    async fn outcome(&self, key: &CommandKey) -> Result<Option<Outcome>, StoreError> {
        match self.memory.outcome(key).await? {
            Some(outcome) => Ok(Some(outcome)),
            None => self.store.outcome(key).await,
        }
    }

    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.memory.load_stream(stream, after, limit).await
    }

    async fn load_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.memory.load_after(position, limit).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.memory.head().await
    }
}
