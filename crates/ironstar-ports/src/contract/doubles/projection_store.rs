//! Projection stores around another one.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    Build, BuildId, BuildUpdate, CommitError, DocumentBatch, DocumentQuery, DocumentSource, Found,
    Lease, ProjectionStore, StoreError, UpdateError,
};

/// A store around another one. Calls go to the [inner](Self::inner) store, except those that an
/// implementation replaces. Each implementation is a [`ProjectionStore`].
#[async_trait]
pub trait AroundProjectionStore: Debug + Send + Sync {
    /// The store that gets the calls.
    fn inner(&self) -> &dyn ProjectionStore;

    /// See [`ProjectionStore::builds`].
    async fn builds(&self) -> Result<Vec<Build>, StoreError> {
        self.inner().builds().await
    }

    /// See [`ProjectionStore::begin`].
    async fn begin(&self, name: &str, version: u32) -> Result<Build, StoreError> {
        self.inner().begin(name, version).await
    }

    /// See [`ProjectionStore::update`].
    async fn update(&self, build: BuildId, update: BuildUpdate) -> Result<(), UpdateError> {
        self.inner().update(build, update).await
    }

    /// See [`ProjectionStore::commit`].
    async fn commit(&self, batch: DocumentBatch) -> Result<(), CommitError> {
        self.inner().commit(batch).await
    }

    /// See [`ProjectionStore::find`].
    async fn find(
        &self,
        source: &DocumentSource,
        query: &DocumentQuery,
    ) -> Result<Option<Found>, StoreError> {
        self.inner().find(source, query).await
    }

    /// See [`ProjectionStore::fenced`].
    fn fenced(&self, lease: &Lease) -> Option<Arc<dyn ProjectionStore>> {
        self.inner().fenced(lease)
    }
}

#[async_trait]
impl<S: AroundProjectionStore> ProjectionStore for S {
    async fn builds(&self) -> Result<Vec<Build>, StoreError> {
        AroundProjectionStore::builds(self).await
    }

    async fn begin(&self, name: &str, version: u32) -> Result<Build, StoreError> {
        AroundProjectionStore::begin(self, name, version).await
    }

    async fn update(&self, build: BuildId, update: BuildUpdate) -> Result<(), UpdateError> {
        AroundProjectionStore::update(self, build, update).await
    }

    async fn commit(&self, batch: DocumentBatch) -> Result<(), CommitError> {
        AroundProjectionStore::commit(self, batch).await
    }

    async fn find(
        &self,
        source: &DocumentSource,
        query: &DocumentQuery,
    ) -> Result<Option<Found>, StoreError> {
        AroundProjectionStore::find(self, source, query).await
    }

    fn fenced(&self, lease: &Lease) -> Option<Arc<dyn ProjectionStore>> {
        AroundProjectionStore::fenced(self, lease)
    }
}
