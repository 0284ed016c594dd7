//! Events as rows.

use ironstar_ports::{Envelope, Payload, Position, Sequence, StreamId};
use sqlx::FromRow;
use time::OffsetDateTime;

use crate::log::Read;

macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT id, aggregate_type, aggregate_id, sequence, event_type, schema_version,
                    payload::text AS payload, metadata::text AS metadata, created_at
             FROM events ",
            $which
        )
    };
}

/// The events of one stream, from a sequence on.
pub(super) const STREAM: &str = select!(
    "WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence >= $3
     ORDER BY sequence LIMIT $4"
);

/// The events of the log, after a position.
pub(super) const LOG: &str = select!("WHERE id > $1 ORDER BY id LIMIT $2");

/// The position of the last event.
pub(super) const HEAD: &str = "SELECT coalesce(max(id), 0) FROM events";

/// The request and the answer of a known command.
pub(super) const COMMAND: &str = "SELECT request, answer::text FROM commands WHERE key = $1";

/// The columns of an event.
#[derive(Debug, FromRow)]
pub(super) struct EventRow {
    id: i64,
    aggregate_type: String,
    aggregate_id: String,
    sequence: i64,
    event_type: String,
    schema_version: i32,
    payload: String,
    metadata: String,
    created_at: OffsetDateTime,
}

type DecodeError = Box<dyn std::error::Error + Send + Sync>;

/// Converts a row. The error of a damaged event names its position.
pub(super) fn envelope(row: EventRow) -> Read {
    let position = Position::new(row.id.unsigned_abs());
    decode(row, position).map_err(|source| ironstar_ports::StoreError::Damaged { position, source })
}

fn decode(row: EventRow, position: Position) -> Result<Envelope, DecodeError> {
    Ok(Envelope {
        position,
        stream: StreamId {
            aggregate_type: row.aggregate_type,
            aggregate_id: row.aggregate_id,
        },
        sequence: Sequence::new(u64::try_from(row.sequence)?),
        event_type: row.event_type,
        schema_version: u32::try_from(row.schema_version)?,
        payload: Payload::from_text(row.payload)?,
        metadata: serde_json::from_str(&row.metadata)?,
        created_at: row.created_at,
    })
}
