//! Stores of a server that dies at a chosen write.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ironstar_adapters::memory::{MemoryEventStore, MemoryProjectionStore, MemorySessionStore};
use ironstar_ports::contract::doubles::{AroundEventStore, AroundProjectionStore};
use ironstar_ports::{
    Append, AppendError, Appended, Build, BuildId, BuildUpdate, CommitError, DocumentBatch,
    EventStore, ProjectionStore, SessionHash, SessionStore, StoreError, StoredSession, UpdateError,
};
use time::OffsetDateTime;
use tokio::sync::oneshot;

use crate::held::Held;

/// The writes that a server is still able to do. After the last one, no write has an effect any
/// more, as after a kill.
#[derive(Debug)]
pub(crate) struct Life {
    left: AtomicU64,
    /// The next replacement of a session, if it must wait.
    held: Mutex<Option<Held>>,
}

/// A store of a server with a limited life.
#[derive(Debug)]
pub(crate) struct Mortal<S> {
    pub(crate) store: Arc<S>,
    pub(crate) life: Arc<Life>,
}

impl Life {
    pub(crate) fn without_end() -> Arc<Self> {
        Arc::new(Self {
            left: AtomicU64::new(u64::MAX),
            held: Mutex::default(),
        })
    }

    /// Limits the writes from now on.
    pub(crate) fn limit(&self, writes: u64) {
        self.left.store(writes, SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.left.load(SeqCst) == 0
    }

    /// Makes the next replacement of a session wait until the sender is dropped. The receiver
    /// tells when the replacement begins.
    pub(crate) fn hold_replacement(&self) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let (held, has_begun, holder) = Held::new();
        *self.held.lock().expect("the lock is not poisoned") = Some(held);
        (has_begun, holder)
    }

    fn write(&self) -> Result<(), StoreError> {
        match self
            .left
            .try_update(SeqCst, SeqCst, |left| left.checked_sub(1))
        {
            Ok(_) => Ok(()),
            Err(_) => Err(StoreError::unavailable("the server is dead")),
        }
    }
}

#[async_trait]
impl AroundEventStore for Mortal<MemoryEventStore> {
    fn inner(&self) -> &dyn EventStore {
        &*self.store
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.life.write()?;
        self.store.append(append).await
    }
}

#[async_trait]
impl AroundProjectionStore for Mortal<MemoryProjectionStore> {
    fn inner(&self) -> &dyn ProjectionStore {
        &*self.store
    }

    async fn begin(&self, name: &str, version: u32) -> Result<Build, StoreError> {
        self.life.write()?;
        self.store.begin(name, version).await
    }

    async fn update(&self, build: BuildId, update: BuildUpdate) -> Result<(), UpdateError> {
        self.life.write()?;
        self.store.update(build, update).await
    }

    async fn commit(&self, batch: DocumentBatch) -> Result<(), CommitError> {
        self.life.write()?;
        self.store.commit(batch).await
    }
}

#[async_trait]
impl SessionStore for Mortal<MemorySessionStore> {
    async fn create(&self, session: StoredSession) -> Result<(), StoreError> {
        self.life.write()?;
        self.store.create(session).await
    }

    async fn load(
        &self,
        id: &SessionHash,
        now: OffsetDateTime,
    ) -> Result<Option<StoredSession>, StoreError> {
        self.store.load(id, now).await
    }

    async fn replace(
        &self,
        old: &SessionHash,
        new: StoredSession,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let held = self
            .life
            .held
            .lock()
            .expect("the lock is not poisoned")
            .take();
        if let Some(held) = held {
            held.wait().await;
        }
        self.life.write()?;
        self.store.replace(old, new, now).await
    }

    async fn prolong(
        &self,
        id: &SessionHash,
        expires_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        self.life.write()?;
        self.store.prolong(id, expires_at, now).await
    }

    async fn take(
        &self,
        id: &SessionHash,
        now: OffsetDateTime,
    ) -> Result<Option<StoredSession>, StoreError> {
        self.life.write()?;
        self.store.take(id, now).await
    }

    async fn sweep(&self, now: OffsetDateTime) -> Result<usize, StoreError> {
        self.life.write()?;
        self.store.sweep(now).await
    }
}
