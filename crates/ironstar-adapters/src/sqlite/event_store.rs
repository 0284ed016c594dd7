//! The port's face of the database: appends go to the writer, reads to the
//! readers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ironstar_ports::{
    Append, AppendError, Appended, Clock, CommandKey, Envelope, EventStore, Outcome, Position,
    Sequence, Snapshot, SnapshotStore, StoreError, StreamId,
};
use sqlx::sqlite::SqlitePool;

use super::database::SqliteDatabase;
use super::rows::{self, SELECT_COMMAND, SELECT_LOG, SELECT_STREAM, integer};
use super::snapshots;
use super::writer::Writer;

/// How long commands are remembered unless told otherwise.
pub const DEFAULT_COMMAND_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// The log in one SQLite file, and its snapshots.
#[derive(Debug)]
pub struct SqliteEventStore {
    writer: Writer,
    readers: SqlitePool,
}

impl SqliteEventStore {
    /// The log of an open database. Starts the task that writes. Commands are
    /// remembered for at least `retention`.
    #[must_use]
    pub fn new(database: SqliteDatabase, clock: Arc<dyn Clock>, retention: Duration) -> Self {
        Self {
            writer: Writer::start(database.writer, database.file, clock, retention),
            readers: database.readers,
        }
    }

    /// Commits what is waiting, and closes the file. What is asked afterwards
    /// is refused.
    ///
    /// # Errors
    ///
    /// If SQLite cannot close the file in good order.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        self.writer.close().await
    }
}

#[async_trait]
impl EventStore for SqliteEventStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.writer.append(append).await
    }

    async fn outcome(&self, key: &CommandKey) -> Result<Option<Outcome>, StoreError> {
        let known: Option<(String, String)> = sqlx::query_as(SELECT_COMMAND)
            .bind(key.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::unavailable)?;
        known
            .map(|(request, answer)| {
                Ok(Outcome {
                    request,
                    appended: serde_json::from_str(&answer).map_err(StoreError::unavailable)?,
                })
            })
            .transpose()
    }

    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let from = after.map_or(Sequence::FIRST, Sequence::next);
        let page: String = sqlx::query_scalar(SELECT_STREAM)
            .bind(&stream.aggregate_type)
            .bind(&stream.aggregate_id)
            .bind(integer(from.get()))
            .bind(integer(limit as u64))
            .fetch_one(&self.readers)
            .await
            .map_err(StoreError::unavailable)?;
        rows::envelopes(&page)?.collect()
    }

    async fn load_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let page: String = sqlx::query_scalar(SELECT_LOG)
            .bind(integer(position.get()))
            .bind(integer(limit as u64))
            .fetch_one(&self.readers)
            .await
            .map_err(StoreError::unavailable)?;
        let mut events = Vec::new();
        for envelope in rows::envelopes(&page)? {
            match envelope {
                Ok(envelope) => events.push(envelope),
                Err(error) if events.is_empty() => return Err(error),
                // Whoever goes on from here comes across it next.
                Err(_) => break,
            }
        }
        Ok(events)
    }

    async fn head(&self) -> Result<Position, StoreError> {
        let head: i64 = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM events")
            .fetch_one(&self.readers)
            .await
            .map_err(StoreError::unavailable)?;
        Ok(Position::new(head.unsigned_abs()))
    }
}

#[async_trait]
impl SnapshotStore for SqliteEventStore {
    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        let loaded = snapshots::load(&self.readers, stream).await;
        loaded.map_err(StoreError::unavailable)
    }

    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.writer.save(snapshot).await
    }
}
