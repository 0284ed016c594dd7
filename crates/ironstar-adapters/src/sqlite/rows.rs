//! Events, as they are stored and as they are read.
//!
//! sqlx sends every row from SQLite's thread to the caller's in a message of
//! its own, with every column copied. So a page of events comes as one row of
//! JSON, which SQLite writes and serde reads several times faster than that.

use ironstar_ports::{Envelope, Payload, Position, Sequence, StoreError, StreamId};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Some of the events, in order: as a page, or only their positions.
#[derive(Debug)]
pub(super) struct Select {
    /// One row of JSON, as bytes, since damaged text may not be text.
    pub(super) page: &'static str,
    /// One row for each.
    pub(super) positions: &'static str,
}

macro_rules! select {
    ($which:literal) => {
        Select {
            page: concat!(
                "SELECT CAST(json_group_array(json_array(
                     id, aggregate_type, aggregate_id, sequence, event_type, schema_version,
                     payload, metadata, created_at)) AS BLOB)
                 FROM (SELECT * FROM events ",
                $which,
                ")"
            ),
            positions: concat!("SELECT id FROM events ", $which),
        }
    };
}

// A bare parameter as the limit has SQLite plan the query anew at each call, in
// case the number matters for the plan; behind a plus sign it does not.

/// One stream's events, from a sequence.
pub(super) const STREAM: Select = select!(
    "WHERE aggregate_type = ?1 AND aggregate_id = ?2 AND sequence >= ?3
     ORDER BY sequence LIMIT +?4"
);

/// The log's events, after a position.
pub(super) const LOG: Select = select!("WHERE id > ?1 ORDER BY id LIMIT +?2");

/// One event.
pub(super) const EVENT: Select = select!("WHERE id = ?1");

/// What is known of a command.
pub(super) const SELECT_COMMAND: &str = "SELECT request, answer FROM commands WHERE key = ?1";

/// One event, in column order.
#[derive(Debug, Deserialize)]
struct EventRow(
    i64,
    String,
    String,
    i64,
    String,
    i64,
    String,
    String,
    String,
);

/// An event, or what is wrong with it.
pub(super) type Read = Result<Envelope, StoreError>;

/// Reads a page. If one event is so damaged that the page is not even JSON, the
/// events have to be read one by one.
pub(super) fn envelopes(page: &[u8]) -> Result<Vec<Read>, serde_json::Error> {
    let rows: Vec<EventRow> = serde_json::from_slice(page)?;
    Ok(rows.into_iter().map(envelope).collect())
}

/// Whatever is wrong with an event is reported with its position.
fn envelope(row: EventRow) -> Read {
    let position = Position::new(u64::try_from(row.0).map_err(StoreError::unavailable)?);
    decode(row, position).map_err(|source| StoreError::Damaged { position, source })
}

type DecodeError = Box<dyn std::error::Error + Send + Sync>;

fn decode(row: EventRow, position: Position) -> Result<Envelope, DecodeError> {
    let EventRow(_, aggregate_type, aggregate_id, sequence, event_type, version, ..) = row;
    let (payload, metadata, created_at) = (row.6, row.7, row.8);
    Ok(Envelope {
        position,
        stream: StreamId {
            aggregate_type,
            aggregate_id,
        },
        sequence: Sequence::new(u64::try_from(sequence)?),
        event_type,
        schema_version: u32::try_from(version)?,
        payload: Payload::from_text(payload)?,
        metadata: serde_json::from_str(&metadata)?,
        created_at: OffsetDateTime::parse(&created_at, &Rfc3339)?,
    })
}

/// SQLite's integers have a sign. What does not fit is past every row.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
