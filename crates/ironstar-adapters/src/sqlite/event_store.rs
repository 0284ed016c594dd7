//! The event store of a database: the writer makes appends, and the readers answer queries.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::TryFutureExt;
use ironstar_ports::{
    Append, AppendError, Appended, Clock, CommandKey, Envelope, EventStore, Outcome, Position,
    Sequence, Snapshot, SnapshotStore, StoreError, StreamId,
};

use super::checkpoint::WalFigures;
use super::database::SqliteDatabase;
use super::projection_store::SqliteProjectionStore;
use super::readers::Readers;
use super::rows::{self, SELECT_COMMAND};
use super::session_store::SqliteSessionStore;
use super::snapshots;
use super::writer::Writer;
use crate::log::{Read, integer, until_damaged};
use crate::system::SteadyClock;

/// The time for which commands are remembered by default.
pub const DEFAULT_COMMAND_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// The log in one SQLite file, and its snapshots.
#[derive(Debug)]
pub struct SqliteEventStore {
    writer: Writer,
    clock: Arc<SteadyClock>,
    readers: Readers,
}

impl SqliteEventStore {
    /// Creates the event store of an open database, and starts the task that writes. Commands
    /// are remembered for at least `retention`.
    #[must_use]
    pub fn new(mut database: SqliteDatabase, clock: Arc<dyn Clock>, retention: Duration) -> Self {
        let known = std::mem::take(&mut database.known);
        let clock = Arc::new(known.clock(clock));
        let (writer, readers) = Writer::start(database, Arc::clone(&clock), retention);
        Self {
            writer,
            clock,
            readers,
        }
    }

    /// The given clock with a steady time, which continues from the stored state. Code that
    /// lets data expire uses this clock.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    /// The read models in the same file. Closing the log closes them, too.
    #[must_use]
    pub fn projections(&self) -> SqliteProjectionStore {
        SqliteProjectionStore {
            writer: self.writer.clone(),
            readers: self.readers.clone(),
        }
    }

    /// The sessions and secrets in the same file. Closing the log closes them, too.
    #[must_use]
    pub fn sessions(&self) -> SqliteSessionStore {
        SqliteSessionStore {
            writer: self.writer.clone(),
            readers: self.readers.clone(),
        }
    }

    /// Commits the waiting requests, and closes the file. Later requests are refused.
    ///
    /// # Errors
    ///
    /// SQLite cannot close the file cleanly.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        self.writer.close().await
    }

    /// The size of the write-ahead log, and the progress of the last checkpoint.
    #[must_use]
    pub fn wal(&self) -> WalFigures {
        self.writer.wal()
    }

    /// Reads events one by one. The last result is the first damaged event, if there is one.
    async fn one_by_one(&self, positions: Vec<i64>) -> Result<Vec<Read>, StoreError> {
        let mut events = Vec::new();
        for id in positions {
            let event: Vec<u8> = sqlx::query_scalar(rows::EVENT)
                .bind(id)
                .fetch_one(self.readers.pool())
                .await
                .map_err(StoreError::unavailable)?;
            match rows::envelope_of_json(&event) {
                Ok(event) => events.push(event),
                Err(error) => {
                    events.push(Err(StoreError::Damaged {
                        position: Position::new(id.unsigned_abs()),
                        source: error.into(),
                    }));
                    break;
                }
            }
        }
        Ok(events)
    }
}

#[async_trait]
impl EventStore for SqliteEventStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.writer.append(append).await
    }

    async fn outcome(&self, key: &CommandKey) -> Result<Option<Outcome>, StoreError> {
        self.readers.read(self.read_outcome(key)).await
    }

    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let read = self.read_stream(stream, after, limit);
        self.readers.read(read).await
    }

    async fn load_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.readers.read(self.read_after(position, limit)).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.readers.read(self.read_head()).await
    }
}

/// The queries themselves, without the checks of the files.
impl SqliteEventStore {
    async fn read_outcome(&self, key: &CommandKey) -> Result<Option<Outcome>, StoreError> {
        let known: Option<(String, String)> = sqlx::query_as(SELECT_COMMAND)
            .bind(key.as_str())
            .fetch_optional(self.readers.pool())
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

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let from = integer(after.map_or(Sequence::FIRST, Sequence::next).get());
        let limit = integer(limit as u64);
        let StreamId {
            aggregate_type,
            aggregate_id,
        } = stream;
        let page: rows::Page = sqlx::query_as(rows::STREAM.page)
            .bind(aggregate_type)
            .bind(aggregate_id)
            .bind(from)
            .bind(limit)
            .fetch_one(self.readers.pool())
            .await
            .map_err(StoreError::unavailable)?;
        if let Some(events) = rows::envelopes(page) {
            return events.into_iter().collect();
        }
        let positions = sqlx::query_scalar(rows::STREAM.positions)
            .bind(aggregate_type)
            .bind(aggregate_id)
            .bind(from)
            .bind(limit)
            .fetch_all(self.readers.pool())
            .await
            .map_err(StoreError::unavailable)?;
        self.one_by_one(positions).await?.into_iter().collect()
    }

    async fn read_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let (after, limit) = (integer(position.get()), integer(limit as u64));
        let page: rows::Page = sqlx::query_as(rows::LOG.page)
            .bind(after)
            .bind(limit)
            .fetch_one(self.readers.pool())
            .await
            .map_err(StoreError::unavailable)?;
        if let Some(events) = rows::envelopes(page) {
            return until_damaged(events);
        }
        let positions = sqlx::query_scalar(rows::LOG.positions)
            .bind(after)
            .bind(limit)
            .fetch_all(self.readers.pool())
            .await
            .map_err(StoreError::unavailable)?;
        until_damaged(self.one_by_one(positions).await?)
    }

    async fn read_head(&self) -> Result<Position, StoreError> {
        let head: i64 = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM events")
            .fetch_one(self.readers.pool())
            .await
            .map_err(StoreError::unavailable)?;
        Ok(Position::new(head.unsigned_abs()))
    }
}

#[async_trait]
impl SnapshotStore for SqliteEventStore {
    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        let load = snapshots::load(self.readers.pool(), stream);
        self.readers
            .read(load.map_err(StoreError::unavailable))
            .await
    }

    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.writer.save(snapshot).await
    }
}
