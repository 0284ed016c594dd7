//! A store of documents whose answers can be delayed.

use std::time::Duration;

use async_trait::async_trait;
use ironstar_adapters::memory::MemoryProjectionStore;
use ironstar_ports::contract::doubles::AroundProjectionStore;
use ironstar_ports::{CommitError, DocumentBatch, Position, ProjectionStore};
use tokio::sync::{Mutex, MutexGuard};

#[derive(Debug, Default)]
pub(super) struct SlowStore {
    inner: MemoryProjectionStore,
    answer: Mutex<()>,
}

impl SlowStore {
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
impl AroundProjectionStore for SlowStore {
    fn inner(&self) -> &dyn ProjectionStore {
        &self.inner
    }

    async fn commit(&self, batch: DocumentBatch) -> Result<(), CommitError> {
        let committed = self.inner.commit(batch).await;
        let _answered = self.answer.lock().await;
        committed
    }
}
