//! The port's face of the read models: changes go to the writer, queries to the
//! readers.

use async_trait::async_trait;
use ironstar_ports::{
    Build, BuildId, BuildUpdate, CommitError, DocumentBatch, DocumentQuery, DocumentSource, Found,
    ProjectionStore, StoreError, UpdateError,
};
use sqlx::sqlite::SqlitePool;

use super::writer::Writer;
use super::{builds, documents};

/// The read models in the same SQLite file as the log.
#[derive(Debug)]
pub struct SqliteProjectionStore {
    pub(super) writer: Writer,
    pub(super) readers: SqlitePool,
}

#[async_trait]
impl ProjectionStore for SqliteProjectionStore {
    async fn builds(&self) -> Result<Vec<Build>, StoreError> {
        Ok(builds::all(&self.readers).await?)
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
        Ok(documents::find(&self.readers, source, query).await?)
    }
}
