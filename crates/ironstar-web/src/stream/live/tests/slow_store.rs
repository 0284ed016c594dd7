//! A store of documents whose answers can be delayed.

use std::time::Duration;

use async_trait::async_trait;
use ironstar_adapters::memory::MemoryProjectionStore;
use ironstar_ports::{
    Build, BuildId, BuildUpdate, CommitError, DocumentBatch, DocumentQuery, DocumentSource, Found,
    Position, ProjectionStore, StoreError, UpdateError,
};
use tokio::sync::{Mutex, MutexGuard};

#[derive(Debug)]
pub(super) struct SlowStore {
    inner: MemoryProjectionStore,
    answer: Mutex<()>,
}

impl SlowStore {
    pub(super) fn new() -> Self {
        Self {
            inner: MemoryProjectionStore::new(),
            answer: Mutex::default(),
        }
    }

    /// Delays the answers to commits while the result is held. The commits themselves happen.
    pub(super) async fn hold_commits(&self) -> MutexGuard<'_, ()> {
        self.answer.lock().await
    }

    /// Waits until the store has committed everything up to a position.
    pub(super) async fn committed(&self, position: Position) {
        let committed = async {
            while self.inner.builds().await.expect("builds")[0]
                .checkpoint
                .position
                < position
            {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let within = Duration::from_secs(30);
        tokio::time::timeout(within, committed)
            .await
            .expect("committed");
    }
}

#[async_trait]
impl ProjectionStore for SlowStore {
    async fn builds(&self) -> Result<Vec<Build>, StoreError> {
        self.inner.builds().await
    }

    async fn begin(&self, name: &str, version: u32) -> Result<Build, StoreError> {
        self.inner.begin(name, version).await
    }

    async fn update(&self, build: BuildId, update: BuildUpdate) -> Result<(), UpdateError> {
        self.inner.update(build, update).await
    }

    async fn commit(&self, batch: DocumentBatch) -> Result<(), CommitError> {
        let committed = self.inner.commit(batch).await;
        let _answered = self.answer.lock().await;
        committed
    }

    async fn find(
        &self,
        source: &DocumentSource,
        query: &DocumentQuery,
    ) -> Result<Option<Found>, StoreError> {
        self.inner.find(source, query).await
    }
}
