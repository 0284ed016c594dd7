//! Snapshots, one row for each stream.

use ironstar_ports::{Payload, Position, Sequence, Snapshot, StreamId};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::rows::integer;

const SELECT: &str = "
    SELECT sequence, position, fingerprint, state FROM snapshots
    WHERE aggregate_type = ?1 AND aggregate_id = ?2";

const REPLACE: &str = "
    INSERT OR REPLACE INTO snapshots
        (aggregate_type, aggregate_id, sequence, position, fingerprint, state)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// Why a snapshot was not saved or loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum SnapshotError {
    #[error(transparent)]
    Sqlite(#[from] sqlx::Error),
    #[error(transparent)]
    NotJson(#[from] ironstar_ports::PayloadError),
}

pub(super) async fn load(
    readers: &SqlitePool,
    stream: &StreamId,
) -> Result<Option<Snapshot>, SnapshotError> {
    let row: Option<(i64, i64, String, String)> = sqlx::query_as(SELECT)
        .bind(&stream.aggregate_type)
        .bind(&stream.aggregate_id)
        .fetch_optional(readers)
        .await?;
    let Some((sequence, position, fingerprint, state)) = row else {
        return Ok(None);
    };
    Ok(Some(Snapshot {
        stream: stream.clone(),
        sequence: Sequence::new(sequence.unsigned_abs()),
        position: Position::new(position.unsigned_abs()),
        fingerprint,
        state: Payload::from_text(state)?,
    }))
}

/// A transaction of its own.
pub(super) async fn save(
    connection: &mut SqliteConnection,
    snapshot: &Snapshot,
) -> Result<(), SnapshotError> {
    sqlx::query(REPLACE)
        .bind(&snapshot.stream.aggregate_type)
        .bind(&snapshot.stream.aggregate_id)
        .bind(integer(snapshot.sequence.get()))
        .bind(integer(snapshot.position.get()))
        .bind(&snapshot.fingerprint)
        .bind(snapshot.state.as_str())
        .execute(connection)
        .await?;
    Ok(())
}
