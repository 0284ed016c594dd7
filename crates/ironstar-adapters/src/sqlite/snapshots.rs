//! Snapshots, one row for each stream.

use std::collections::HashMap;

use ironstar_ports::{LogPlaceError, Payload, PayloadError, Sequence, Snapshot, StreamId};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::file::FileError;
use super::refusal::Refusal;
use crate::log::place;

const SELECT: &str = "
    SELECT sequence, position, mark, fingerprint, state FROM snapshots
    WHERE aggregate_type = ?1 AND aggregate_id = ?2";

const REPLACE: &str = "
    INSERT OR REPLACE INTO snapshots
        (aggregate_type, aggregate_id, sequence, position, mark, fingerprint, state)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
           value ->> 6
    FROM jsonb_each(?1)";

/// Errors of saving or loading a snapshot.
#[derive(Debug, thiserror::Error)]
pub(super) enum SnapshotError {
    #[error(transparent)]
    Sqlite(#[from] sqlx::Error),
    #[error(transparent)]
    Mark(#[from] LogPlaceError),
    #[error(transparent)]
    NotAState(#[from] PayloadError),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

pub(super) async fn load(
    readers: &SqlitePool,
    stream: &StreamId,
) -> Result<Option<Snapshot>, SnapshotError> {
    let row: Option<(i64, i64, Option<String>, String, String)> = sqlx::query_as(SELECT)
        .bind(&stream.aggregate_type)
        .bind(&stream.aggregate_id)
        .fetch_optional(readers)
        .await?;
    let Some((sequence, position, mark, fingerprint, state)) = row else {
        return Ok(None);
    };
    let made_after = place(position, mark.as_deref())?;
    Ok(Some(Snapshot {
        stream: stream.clone(),
        sequence: Sequence::new(sequence.unsigned_abs()),
        position: made_after.position,
        mark: made_after.mark,
        fingerprint,
        state: Payload::from_text(state)?,
    }))
}

/// Saves the last of the given snapshots of each stream, in its own transaction.
pub(super) async fn save(
    connection: &mut SqliteConnection,
    snapshots: &[Snapshot],
) -> Result<(), SnapshotError> {
    let last: HashMap<&StreamId, &Snapshot> = snapshots
        .iter()
        .map(|snapshot| (&snapshot.stream, snapshot))
        .collect();
    let rows: Vec<_> = last
        .into_values()
        .map(|snapshot| {
            (
                &snapshot.stream.aggregate_type,
                &snapshot.stream.aggregate_id,
                snapshot.sequence,
                snapshot.position,
                snapshot.mark,
                &snapshot.fingerprint,
                snapshot.state.as_str(),
            )
        })
        .collect();
    sqlx::query(REPLACE)
        .bind(serde_json::to_string(&rows)?)
        .execute(connection)
        .await?;
    Ok(())
}
