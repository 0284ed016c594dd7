//! The SQL statements of a batch, and the rows that they insert.

use ironstar_ports::{Appended, Metadata, Position, Sequence};
use serde::ser::Error;
use serde::{Serialize, Serializer};

use crate::log::{NewCommand, NumberedEvent};
use crate::sqlite::foresight::{event_id, head};

/// Begins, and reads the log's head, the event at a position (?2), and the last event of each
/// stream. The streams are JSON pairs of type and id (?1). The result is one row, because
/// every row is a message between threads.
pub(super) const BEGIN: &str = concat!(
    "BEGIN IMMEDIATE;
    SELECT (",
    head!(),
    "), (SELECT json_array(id, ",
    event_id!(),
    ") FROM events WHERE id = ?2), (
        SELECT json_group_array(json_array(stream.key, event.sequence, event.id, ",
    event_id!(),
    "))
        FROM jsonb_each(?1) AS stream
        JOIN events AS event ON event.id = (
            SELECT id FROM events
            WHERE aggregate_type = stream.value ->> 0 AND aggregate_id = stream.value ->> 1
            ORDER BY sequence DESC LIMIT 1
        )
    )"
);

/// Inserts events (?1) of a time (?2), given as JSON arrays in column order. SQLite refuses
/// an event that does not follow the end of its stream and of the log. If the event at
/// position ?3 does not have the id ?4, the log is another one: then the events get position
/// 0, which SQLite always refuses.
macro_rules! insert_events {
    () => {
        concat!(
            "INSERT INTO events (id, aggregate_type, aggregate_id, sequence, event_type,
                                 schema_version, payload, metadata, created_at)
             SELECT iif((SELECT ",
            event_id!(),
            " FROM events WHERE id = ?3) IS ?4, value ->> 0, 0),
                    value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
                    value ->> 6, value ->> 7, ?2
             FROM jsonb_each(?1);"
        )
    };
}

/// Inserts commands (?5) of a time (?6), too, and commits. If an earlier key of a command is
/// known, its own key becomes NULL, so that SQLite refuses it.
macro_rules! insert_and_commit {
    () => {
        concat!(
            insert_events!(),
            "INSERT INTO commands (key, request, answer, created_at)
             SELECT iif(EXISTS (
                        SELECT 1 FROM json_each(command.value, '$[3]') AS earlier
                        JOIN commands AS known ON known.key = earlier.value
                    ), NULL, command.value ->> 0),
                    command.value ->> 1, command.value ->> 2, ?6
             FROM jsonb_each(?5) AS command;
             COMMIT"
        )
    };
}

/// Inserts events in one implicit transaction.
pub(super) const INSERT: &str = insert_events!();
pub(super) const BEGIN_INSERT_AND_COMMIT: &str = concat!("BEGIN IMMEDIATE;", insert_and_commit!());
pub(super) const INSERT_AND_COMMIT: &str = insert_and_commit!();

pub(super) const SELECT_COMMANDS: &str = "
    SELECT key, request, answer FROM commands
    WHERE key IN (SELECT value FROM jsonb_each(?1))";

/// Removes the commands from before a time (`?1`), but at most `?2` of them.
pub(super) const SWEEP_COMMANDS: &str = "
    DELETE FROM commands
    WHERE key IN (SELECT key FROM commands WHERE created_at < ?1 LIMIT ?2)";

/// An event to insert, in column order.
#[derive(Serialize)]
struct EventRow<'a>(
    Position,
    &'a str,
    &'a str,
    Sequence,
    &'a str,
    u32,
    &'a str,
    JsonText<'a, Metadata>,
);

/// A command to insert: its key, its request, its answer, and the earlier keys that must not
/// be known.
#[derive(Serialize)]
struct CommandRow<'a>(&'a str, &'a str, JsonText<'a, Appended>, Vec<&'a str>);

/// A value that a column holds as JSON text.
struct JsonText<'a, T>(&'a T);

/// A list that is written as a JSON array, row by row.
struct Rows<'a, T, R>(&'a [T], fn(&'a T) -> R);

/// The events as a JSON array of rows.
pub(super) fn event_rows(events: &[NumberedEvent<'_>]) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Rows(events, |numbered| {
        let NumberedEvent {
            position,
            stream,
            sequence,
            event,
        } = numbered;
        EventRow(
            *position,
            &stream.aggregate_type,
            &stream.aggregate_id,
            *sequence,
            &event.event_type,
            event.schema_version,
            event.payload.as_str(),
            JsonText(&event.metadata),
        )
    }))
}

/// The commands as a JSON array of rows.
pub(super) fn command_rows(commands: &[NewCommand<'_>]) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Rows(commands, |command| {
        let earlier = command.earlier.iter().map(|earlier| earlier.key.as_str());
        CommandRow(
            command.key.as_str(),
            &command.outcome.request,
            JsonText(&command.outcome.appended),
            earlier.collect(),
        )
    }))
}

impl<T, R: Serialize> Serialize for Rows<'_, T, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(self.1))
    }
}

impl<T: Serialize> Serialize for JsonText<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(self.0).map_err(S::Error::custom)?;
        serializer.serialize_str(&text)
    }
}
