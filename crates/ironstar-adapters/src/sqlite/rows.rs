//! Events in the format of the store, and their conversion.
//!
//! sqlx sends every row from SQLite's thread to the caller's thread in a separate message,
//! with a copy of every column. So a page of events comes as one row: all columns of all
//! events in one text, with a separator after each column and each event. Neither side
//! escapes the text, because escaping is the slow part of JSON. If a text contains a
//! separator, the count of columns or events is wrong. Such a page is read again, event by
//! event, as JSON. So is a page with a damaged event.

use ironstar_ports::{Envelope, Payload, Position, Sequence, StoreError, StreamId};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::log::Read;

/// Two statements for the same selection of events.
#[derive(Debug)]
pub(super) struct Select {
    /// Selects one row: the number of events and their columns. The columns are bytes,
    /// because damaged text may not be UTF-8.
    pub(super) page: &'static str,
    /// Selects the position of each event, one row each.
    pub(super) positions: &'static str,
}

/// The separators between the columns of an event, and between events.
const COLUMN: char = '\u{1f}';
const EVENT_END: char = '\u{1e}';

macro_rules! select {
    ($which:literal) => {
        Select {
            page: concat!(
                "SELECT count(*), CAST(group_concat(concat_ws(char(31),
                     id, aggregate_type, aggregate_id, sequence, event_type, schema_version,
                     payload, metadata, created_at), char(30)) AS BLOB)
                 FROM (SELECT * FROM events ",
                $which,
                ")"
            ),
            positions: concat!("SELECT id FROM events ", $which),
        }
    };
}

// A bare parameter as the limit makes SQLite plan the query again at each call, because the
// number might influence the plan. Behind a plus sign it cannot.

/// The events of one stream, from a sequence on.
pub(super) const STREAM: Select = select!(
    "WHERE aggregate_type = ?1 AND aggregate_id = ?2 AND sequence >= ?3
     ORDER BY sequence LIMIT +?4"
);

/// The events of the log, after a position.
pub(super) const LOG: Select = select!("WHERE id > ?1 ORDER BY id LIMIT +?2");

/// One event, as JSON.
pub(super) const EVENT: &str = "
    SELECT CAST(json_array(
        id, aggregate_type, aggregate_id, sequence, event_type, schema_version,
        payload, metadata, created_at) AS BLOB)
    FROM events WHERE id = ?1";

/// The request and the answer of a known command.
pub(super) const SELECT_COMMAND: &str = "SELECT request, answer FROM commands WHERE key = ?1";

/// A page in the format of SQLite. The text is NULL if there are no events.
pub(super) type Page = (i64, Option<Vec<u8>>);

/// The columns of an event, in order.
#[derive(Debug)]
struct EventRow<'a>(
    i64,
    &'a str,
    &'a str,
    i64,
    &'a str,
    i64,
    &'a str,
    &'a str,
    &'a str,
);

/// The columns of an event, as owned values from JSON.
#[derive(Debug, Deserialize)]
struct OwnedRow(
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

impl OwnedRow {
    fn borrowed(&self) -> EventRow<'_> {
        EventRow(
            self.0, &self.1, &self.2, self.3, &self.4, self.5, &self.6, &self.7, &self.8,
        )
    }
}

/// Parses a page. Returns `None` if the page has the wrong number of columns or events: then
/// the events have to be read one by one.
pub(super) fn envelopes((count, text): Page) -> Option<Vec<Read>> {
    let count = usize::try_from(count).ok()?;
    let Some(text) = text else {
        return (count == 0).then(Vec::new);
    };
    let text = String::from_utf8(text).ok()?;
    let mut events = Vec::with_capacity(count);
    let mut times = Times::default();
    for event in text.split(EVENT_END) {
        events.push(envelope(&row(event)?, &mut times));
    }
    // If every event has its columns, and the number of events is right, then no text
    // contains a separator.
    (events.len() == count).then_some(events)
}

/// Parses one event from JSON.
pub(super) fn envelope_of_json(event: &[u8]) -> Result<Read, serde_json::Error> {
    let row: OwnedRow = serde_json::from_slice(event)?;
    Ok(envelope(&row.borrowed(), &mut Times::default()))
}

fn row(event: &str) -> Option<EventRow<'_>> {
    let mut columns = event.split(COLUMN);
    let mut next = || columns.next();
    let row = EventRow(
        next()?.parse().ok()?,
        next()?,
        next()?,
        next()?.parse().ok()?,
        next()?,
        next()?.parse().ok()?,
        next()?,
        next()?,
        next()?,
    );
    columns.next().is_none().then_some(row)
}

/// A cache of the last parsed time. Events that were committed together have the same time.
#[derive(Debug, Default)]
struct Times {
    text: String,
    time: Option<OffsetDateTime>,
}

impl Times {
    fn read(&mut self, text: &str) -> Result<OffsetDateTime, time::error::Parse> {
        if let Some(time) = self.time
            && self.text == text
        {
            return Ok(time);
        }
        let time = OffsetDateTime::parse(text, &Rfc3339)?;
        text.clone_into(&mut self.text);
        self.time = Some(time);
        Ok(time)
    }
}

/// Converts a row to an event. Every error of an event is reported with the event's position.
fn envelope(row: &EventRow<'_>, times: &mut Times) -> Read {
    let position = Position::new(u64::try_from(row.0).map_err(StoreError::unavailable)?);
    decode(row, position, times).map_err(|source| StoreError::Damaged { position, source })
}

type DecodeError = Box<dyn std::error::Error + Send + Sync>;

fn decode(
    row: &EventRow<'_>,
    position: Position,
    times: &mut Times,
) -> Result<Envelope, DecodeError> {
    let &EventRow(_, aggregate_type, aggregate_id, sequence, event_type, version, ..) = row;
    let &EventRow(.., payload, metadata, created_at) = row;
    Ok(Envelope {
        position,
        stream: StreamId {
            aggregate_type: aggregate_type.to_owned(),
            aggregate_id: aggregate_id.to_owned(),
        },
        sequence: Sequence::new(u64::try_from(sequence)?),
        event_type: event_type.to_owned(),
        schema_version: u32::try_from(version)?,
        payload: Payload::from_text(payload.to_owned())?,
        metadata: serde_json::from_str(metadata)?,
        created_at: times.read(created_at)?,
    })
}
