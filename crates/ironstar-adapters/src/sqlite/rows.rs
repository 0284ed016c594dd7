//! Events as rows, and back.

use ironstar_ports::{Envelope, Payload, Position, Sequence, StoreError, StreamId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

// A bare parameter as the limit has SQLite plan the query anew at each call, in
// case the number matters for the plan; behind a plus sign it does not.

/// One stream's events, from a sequence.
pub(super) const SELECT_STREAM: &str = "
    SELECT id, aggregate_type, aggregate_id, sequence, event_type, schema_version,
           payload, metadata, created_at
    FROM events
    WHERE aggregate_type = ?1 AND aggregate_id = ?2 AND sequence >= ?3
    ORDER BY sequence LIMIT +?4";

/// The log's events, after a position.
pub(super) const SELECT_LOG: &str = "
    SELECT id, aggregate_type, aggregate_id, sequence, event_type, schema_version,
           payload, metadata, created_at
    FROM events
    WHERE id > ?1
    ORDER BY id LIMIT +?2";

/// What is known of a command.
pub(super) const SELECT_COMMAND: &str = "SELECT request, answer FROM commands WHERE key = ?1";

/// Reads a row of [`SELECT_STREAM`] or [`SELECT_LOG`]. Whatever is wrong with a row is reported with the
/// row's position.
pub(super) fn envelope(row: &SqliteRow) -> Result<Envelope, StoreError> {
    let position = row
        .try_get::<i64, _>(0)
        .map_err(StoreError::unavailable)
        .and_then(|id| u64::try_from(id).map_err(StoreError::unavailable))
        .map(Position::new)?;
    decode(row, position).map_err(|source| StoreError::Damaged { position, source })
}

type DecodeError = Box<dyn std::error::Error + Send + Sync>;

fn decode(row: &SqliteRow, position: Position) -> Result<Envelope, DecodeError> {
    let sequence: i64 = row.try_get(3)?;
    let schema_version: i64 = row.try_get(5)?;
    let metadata: &str = row.try_get(7)?;
    let created_at: &str = row.try_get(8)?;
    Ok(Envelope {
        position,
        stream: StreamId::new(row.try_get::<&str, _>(1)?, row.try_get::<&str, _>(2)?),
        sequence: Sequence::new(u64::try_from(sequence)?),
        event_type: row.try_get(4)?,
        schema_version: u32::try_from(schema_version)?,
        payload: Payload::from_text(row.try_get(6)?)?,
        metadata: serde_json::from_str(metadata)?,
        created_at: OffsetDateTime::parse(created_at, &Rfc3339)?,
    })
}

/// SQLite's integers have a sign. What does not fit is past every row.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
