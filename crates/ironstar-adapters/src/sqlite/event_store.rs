//! The port's face of the database: appends go to the writer, reads to the
//! readers.

use std::sync::Arc;

use async_trait::async_trait;
use ironstar_ports::{
    Append, AppendError, Appended, Clock, Envelope, EventStore, Position, Sequence, StoreError,
    StreamId,
};
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::database::SqliteDatabase;
use super::rows::{self, SELECT_LOG, SELECT_STREAM};
use super::writer::Writer;

/// The log in one SQLite file.
#[derive(Debug)]
pub struct SqliteEventStore {
    writer: Writer,
    readers: SqlitePool,
}

impl SqliteEventStore {
    /// The log of an open database. Starts the task that writes.
    #[must_use]
    pub fn new(database: SqliteDatabase, clock: Arc<dyn Clock>) -> Self {
        Self {
            writer: Writer::start(database.writer, clock),
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

    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let from = after.map_or(Sequence::FIRST, Sequence::next);
        let rows = sqlx::query(SELECT_STREAM)
            .bind(&stream.aggregate_type)
            .bind(&stream.aggregate_id)
            .bind(integer(from.get()))
            .bind(integer(limit as u64))
            .fetch_all(&self.readers)
            .await;
        envelopes(rows)
    }

    async fn load_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let rows = sqlx::query(SELECT_LOG)
            .bind(integer(position.get()))
            .bind(integer(limit as u64))
            .fetch_all(&self.readers)
            .await;
        envelopes(rows)
    }

    async fn head(&self) -> Result<Position, StoreError> {
        let head: i64 = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM events")
            .fetch_one(&self.readers)
            .await
            .map_err(StoreError::unavailable)?;
        Ok(Position::new(head.unsigned_abs()))
    }
}

/// SQLite's integers have a sign. What does not fit is past every row.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn envelopes(rows: Result<Vec<SqliteRow>, sqlx::Error>) -> Result<Vec<Envelope>, StoreError> {
    rows.map_err(StoreError::unavailable)?
        .iter()
        .map(rows::envelope)
        .collect()
}
