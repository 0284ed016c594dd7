//! The projection store of a database.

use std::sync::Arc;

use async_trait::async_trait;
use ironstar_ports::{
    Build, BuildId, BuildUpdate, CommitError, DocumentBatch, DocumentQuery, DocumentSource, Found,
    Lease, ProjectionStore, StoreError, UpdateError,
};
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::database::Pools;
use super::{builds, documents};

/// The read models in the same database as the log.
#[derive(Debug)]
pub struct PostgresProjectionStore {
    pools: Pools,
    /// The lease under which changes are made.
    lease: Option<Lease>,
    /// The task that removes the documents of ended builds.
    sweep: Arc<Sweep>,
}

/// A task that ends when it is no longer needed.
#[derive(Debug, Default)]
struct Sweep(Mutex<Option<AbortHandle>>);

impl PostgresProjectionStore {
    pub(super) fn new(pools: Pools) -> Self {
        let store = Self {
            pools,
            lease: None,
            sweep: Arc::default(),
        };
        store.sweep();
        store
    }

    /// Removes the documents of ended builds in the background, a little at a time.
    fn sweep(&self) {
        let mut sweep = self.sweep.0.lock();
        if sweep.as_ref().is_some_and(|sweep| !sweep.is_finished()) {
            return;
        }
        let task = tokio::spawn(builds::sweep(self.pools.derivers.clone()));
        *sweep = Some(task.abort_handle());
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        if let Some(sweep) = self.0.get_mut().take() {
            sweep.abort();
        }
    }
}

#[async_trait]
impl ProjectionStore for PostgresProjectionStore {
    async fn builds(&self) -> Result<Vec<Build>, StoreError> {
        Ok(builds::all(&self.pools.readers).await?)
    }

    async fn begin(&self, name: &str, version: u32) -> Result<Build, StoreError> {
        let begun = builds::begin(&self.pools.derivers, self.lease.as_ref(), name, version).await;
        self.sweep();
        Ok(begun?)
    }

    async fn update(&self, build: BuildId, update: BuildUpdate) -> Result<(), UpdateError> {
        let updated =
            builds::update(&self.pools.derivers, self.lease.as_ref(), build, update).await;
        self.sweep();
        updated
    }

    async fn commit(&self, batch: DocumentBatch) -> Result<(), CommitError> {
        documents::commit(&self.pools.derivers, self.lease.as_ref(), &batch).await
    }

    async fn find(
        &self,
        source: &DocumentSource,
        query: &DocumentQuery,
    ) -> Result<Option<Found>, StoreError> {
        Ok(documents::find(&self.pools.readers, source, query).await?)
    }

    fn fenced(&self, lease: &Lease) -> Option<Arc<dyn ProjectionStore>> {
        Some(Arc::new(Self {
            pools: self.pools.clone(),
            lease: Some(lease.clone()),
            sweep: Arc::clone(&self.sweep),
        }))
    }
}
