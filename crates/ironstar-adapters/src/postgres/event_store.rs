//! The event store of a database: the writer makes appends, and the readers answer queries.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ironstar_ports::{
    Append, AppendError, Appended, Clock, CommandKey, Envelope, EventStore, Outcome, Payload,
    Position, Sequence, Snapshot, SnapshotStore, StoreError, StreamId,
};
use tokio_util::sync::DropGuard;

use super::clock::DatabaseClock;
use super::database::{Pools, PostgresDatabase};
use super::events::{COMMAND, EventRow, HEAD, LOG, STREAM, envelope};
use super::lease_store::PostgresLeaseStore;
use super::projection_store::PostgresProjectionStore;
use super::seen::Seen;
use super::session_store::PostgresSessionStore;
use super::writer::Writer;
use crate::log::{integer, place, until_damaged};

const SELECT_SNAPSHOT: &str = "
    SELECT sequence, position, mark, fingerprint, state::text FROM snapshots
    WHERE aggregate_type = $1 AND aggregate_id = $2";

const REPLACE_SNAPSHOT: &str = "
    INSERT INTO snapshots (
        aggregate_type, aggregate_id, sequence, position, mark, fingerprint, state
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7::json)
    ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE
    SET sequence = excluded.sequence, position = excluded.position, mark = excluded.mark,
        fingerprint = excluded.fingerprint, state = excluded.state";

/// The columns of a snapshot, without its stream.
type SnapshotRow = (i64, i64, Option<String>, String, String);

/// The log in a PostgreSQL database, and its snapshots.
#[derive(Debug)]
pub struct PostgresEventStore {
    writer: Writer,
    pools: Pools,
    seen: Seen,
    clock: Arc<DatabaseClock>,
    /// Ends the tasks of the writer when the store is dropped.
    _closing: DropGuard,
}

impl PostgresEventStore {
    /// Creates the event store of an open database, and starts the task that appends. Commands
    /// are remembered for at least `retention`.
    #[must_use]
    pub fn new(database: PostgresDatabase, retention: Duration) -> Self {
        let PostgresDatabase { connector, pools } = database;
        let (seen, clock) = (connector.seen.clone(), Arc::clone(&connector.clock));
        let writer = Writer::start(connector, pools.writers.clone(), retention);
        Self {
            _closing: writer.close_on_drop(),
            writer,
            pools,
            seen,
            clock,
        }
    }

    /// The clock of the database server. Events get its time.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    /// The read models in the same database. Closing the log closes them, too.
    #[must_use]
    pub fn projections(&self) -> PostgresProjectionStore {
        PostgresProjectionStore::new(self.pools.clone())
    }

    /// The nodes and leases in the same database. Closing the log closes them, too.
    #[must_use]
    pub fn leases(&self) -> PostgresLeaseStore {
        PostgresLeaseStore::new(self.pools.clone())
    }

    /// The sessions and secrets in the same database. Closing the log closes them, too.
    #[must_use]
    pub fn sessions(&self) -> PostgresSessionStore {
        PostgresSessionStore::new(self.pools.clone())
    }

    /// Commits the waiting appends, and closes the connections. Later requests are refused.
    pub async fn close(&self) {
        self.writer.close().await;
        self.pools.close();
    }
}

#[async_trait]
impl EventStore for PostgresEventStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.writer.append(append).await
    }

    async fn outcome(&self, key: &CommandKey) -> Result<Option<Outcome>, StoreError> {
        let query = sqlx::query_as(COMMAND).bind(key.as_str());
        let known: Option<(String, String)> = self.pools.readers.row(query).await?;
        let outcome = known.map(|(request, answer)| {
            let appended = serde_json::from_str(&answer).map_err(StoreError::unavailable)?;
            Ok(Outcome { request, appended })
        });
        outcome.transpose()
    }

    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let from = after.map_or(Sequence::FIRST, Sequence::next);
        let query = sqlx::query_as(STREAM)
            .bind(&stream.aggregate_type)
            .bind(&stream.aggregate_id)
            .bind(integer(from.get()))
            .bind(integer(limit as u64));
        let rows: Vec<EventRow> = self.pools.readers.rows(query).await?;
        rows.into_iter().map(envelope).collect()
    }

    async fn load_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let query = sqlx::query_as(LOG)
            .bind(integer(position.get()))
            .bind(integer(limit as u64));
        let seen = self.seen.last();
        let rows: Vec<EventRow> = self.pools.readers.rows(query).await?;
        let found = rows.len();
        let page = until_damaged(rows.into_iter().map(envelope).collect())?;
        let is_last_page = found < limit && page.len() == found;
        self.seen
            .check_page(&seen, position, &page, is_last_page)
            .map_err(StoreError::unavailable)?;
        Ok(page)
    }

    async fn head(&self) -> Result<Position, StoreError> {
        let head: Option<(i64,)> = self.pools.readers.row(sqlx::query_as(HEAD)).await?;
        Ok(Position::new(head.map_or(0, |(head,)| head.unsigned_abs())))
    }
}

#[async_trait]
impl SnapshotStore for PostgresEventStore {
    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        let query = sqlx::query_as(SELECT_SNAPSHOT)
            .bind(&stream.aggregate_type)
            .bind(&stream.aggregate_id);
        let row: Option<SnapshotRow> = self.pools.readers.row(query).await?;
        let snapshot = row.map(|(sequence, position, mark, fingerprint, state)| {
            let made_after = place(position, mark.as_deref()).map_err(StoreError::unavailable)?;
            Ok(Snapshot {
                stream: stream.clone(),
                sequence: Sequence::new(sequence.unsigned_abs()),
                position: made_after.position,
                mark: made_after.mark,
                fingerprint,
                state: Payload::from_text(state).map_err(StoreError::unavailable)?,
            })
        });
        snapshot.transpose()
    }

    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        let query = sqlx::query(REPLACE_SNAPSHOT)
            .bind(&snapshot.stream.aggregate_type)
            .bind(&snapshot.stream.aggregate_id)
            .bind(integer(snapshot.sequence.get()))
            .bind(integer(snapshot.position.get()))
            .bind(snapshot.mark.map(|mark| mark.to_string()))
            .bind(&snapshot.fingerprint)
            .bind(snapshot.state.as_str());
        self.pools.derivers.execute(query).await?;
        Ok(())
    }
}
