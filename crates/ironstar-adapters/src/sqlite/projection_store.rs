//! The projection store of a database: the writer makes changes, and the readers answer
//! queries.

use async_trait::async_trait;
use futures::TryFutureExt;
use ironstar_ports::{
    Build, BuildId, BuildUpdate, CommitError, DocumentBatch, DocumentQuery, DocumentSource, Found,
    ProjectionStore, StoreError, UpdateError,
};

use super::readers::Readers;
use super::writer::Writer;
use super::{builds, documents};

/// The read models in the same SQLite file as the log.
#[derive(Debug)]
pub struct SqliteProjectionStore {
    pub(super) writer: Writer,
    pub(super) readers: Readers,
}

#[async_trait]
impl ProjectionStore for SqliteProjectionStore {
    async fn builds(&self) -> Result<Vec<Build>, StoreError> {
        let all = builds::all(self.readers.pool());
        self.readers.read(all.map_err(StoreError::from)).await
    }

    async fn begin(&self, name: &str, version: u32) -> Result<Build, StoreError> {
        self.writer.begin(name, version).await
    }

    async fn update(&self, build: BuildId, update: BuildUpdate) -> Result<(), UpdateError> {
        self.writer.update(build, update).await
    }

    async fn commit(&self, batch: DocumentBatch) -> Result<(), CommitError> {
        self.writer.commit(batch).await
    }

    async fn find(
        &self,
        source: &DocumentSource,
        query: &DocumentQuery,
    ) -> Result<Option<Found>, StoreError> {
        let find = documents::find(self.readers.pool(), source, query);
        self.readers.read(find.map_err(StoreError::from)).await
    }
}
