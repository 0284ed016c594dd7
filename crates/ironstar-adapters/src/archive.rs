//! The content of a database that cannot be made again, for a move to another database: the log as
//! it is, the keys of commands, sessions, and secrets.
//!
//! Read models and snapshots are not part of it, because a server makes them from the log.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;

/// The content of a database, for an operator. Servers may run meanwhile, and need not.
#[async_trait]
pub trait Archive: Debug + Send {
    /// The position of the last event; 0 if there is none.
    async fn head(&mut self) -> Result<u64, ArchiveError>;

    /// Returns at most `limit` events after a position, in order.
    async fn events(&mut self, after: u64, limit: u32) -> Result<Vec<ArchivedEvent>, ArchiveError>;

    /// Adds events to the end of the log, all or none. They must come next there.
    async fn restore(&mut self, events: &[ArchivedEvent]) -> Result<(), ArchiveError>;

    /// Returns all that is not part of the log.
    async fn belongings(&mut self) -> Result<Vec<Belonging>, ArchiveError>;

    /// Adds what is not part of the log, all or nothing. A command or session that is there stays,
    /// and a secret is replaced.
    async fn restore_belongings(&mut self, belongings: &[Belonging]) -> Result<(), ArchiveError>;

    /// Closes the log: no server can append to it any more. All earlier appends are readable then.
    async fn close_log(&mut self) -> Result<(), ArchiveError>;

    /// Opens the log again. Returns false if it was not closed.
    async fn reopen_log(&mut self) -> Result<bool, ArchiveError>;
}

/// An event as it is stored, readable or not.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ArchivedEvent {
    /// The position in the log.
    pub position: u64,
    /// The type of the aggregate.
    pub aggregate_type: String,
    /// The id of the aggregate.
    pub aggregate_id: String,
    /// The number in the stream of the aggregate, from 0.
    pub sequence: u64,
    /// The type of the event.
    pub event_type: String,
    /// The version of the payload's schema.
    pub schema_version: u32,
    /// The payload, as its text.
    pub payload: Box<RawValue>,
    /// The metadata, as their text.
    pub metadata: Box<RawValue>,
    /// The time of the append.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// Data that is not part of the log, and cannot be made again.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Belonging {
    /// A command that was sent with a key, and its answer.
    Command {
        /// The key, with its sender.
        key: String,
        /// The request.
        request: String,
        /// The answer.
        answer: Box<RawValue>,
        /// The time of the command.
        #[serde(with = "time::serde::rfc3339")]
        created_at: OffsetDateTime,
    },
    /// The session of a visitor.
    Session {
        /// The hash of what the browser holds.
        #[serde(with = "base64")]
        id_hash: Vec<u8>,
        /// The content.
        data: Box<RawValue>,
        /// The end, in seconds since 1970.
        expires_at: i64,
    },
    /// A secret of the installation, such as the one that links are derived from.
    Secret {
        /// The name.
        name: String,
        /// The secret.
        #[serde(with = "base64")]
        value: Vec<u8>,
    },
}

/// The reasons why a database cannot be moved.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The database fails.
    #[error("a statement failed in the database")]
    Database(#[from] sqlx::Error),
    /// A stored text is not JSON.
    #[error("{what} is not JSON")]
    NotJson {
        /// What has the text.
        what: String,
        /// The error of the parser.
        source: serde_json::Error,
    },
    /// A stored time is not one.
    #[error("{what} has no valid time")]
    NotATime {
        /// What has the time.
        what: String,
        /// The error of the parser.
        source: time::error::Parse,
    },
    /// A time cannot be stored.
    #[error("a time cannot be stored")]
    Unstorable(#[from] time::error::Format),
    /// Rows cannot be written as JSON.
    #[error("rows cannot be passed to the database")]
    Rows(#[source] serde_json::Error),
}

impl ArchivedEvent {
    /// Returns true if both are the same event. Databases keep times to the microsecond at least.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let micros = |event: &Self| event.created_at.unix_timestamp_nanos() / 1_000;
        self.position == other.position
            && self.aggregate_type == other.aggregate_type
            && self.aggregate_id == other.aggregate_id
            && self.sequence == other.sequence
            && self.event_type == other.event_type
            && self.schema_version == other.schema_version
            && self.payload.get() == other.payload.get()
            && self.metadata.get() == other.metadata.get()
            && micros(self) == micros(other)
    }
}

/// The columns of an event, in order.
pub(crate) type EventRow<T> = (i64, String, String, i64, String, i32, String, String, T);

/// Converts a row, with its time.
pub(crate) fn event<T>(
    row: EventRow<T>,
    time: impl FnOnce(T, i64) -> Result<OffsetDateTime, ArchiveError>,
) -> Result<ArchivedEvent, ArchiveError> {
    let (id, aggregate_type, aggregate_id, sequence, event_type, version, ..) = row;
    let (.., payload, metadata, created_at) = row;
    let what = |part| move || format!("the {part} of the event at position {id}");
    Ok(ArchivedEvent {
        position: id.unsigned_abs(),
        aggregate_type,
        aggregate_id,
        sequence: sequence.unsigned_abs(),
        event_type,
        schema_version: version.unsigned_abs(),
        payload: json(payload, what("payload"))?,
        metadata: json(metadata, what("metadata"))?,
        created_at: time(created_at, id)?,
    })
}

/// Converts a command: its key, its request, its answer, and its time.
pub(crate) fn command(
    (key, request, answer): (String, String, String),
    created_at: OffsetDateTime,
) -> Result<Belonging, ArchiveError> {
    Ok(Belonging::Command {
        answer: json(answer, || format!("the answer of the command {key:?}"))?,
        created_at,
        key,
        request,
    })
}

/// Converts a session: the hash of its id, its data, and its end.
pub(crate) fn session(
    (id_hash, data, expires_at): (Vec<u8>, String, i64),
) -> Result<Belonging, ArchiveError> {
    Ok(Belonging::Session {
        id_hash,
        data: json(data, || "the data of a session".to_owned())?,
        expires_at,
    })
}

/// Converts a secret: its name and its value.
pub(crate) fn secret((name, value): (String, Vec<u8>)) -> Belonging {
    Belonging::Secret { name, value }
}

/// The JSON of a stored text, in one line. JSON has line breaks between its tokens only.
fn json(text: String, what: impl FnOnce() -> String) -> Result<Box<RawValue>, ArchiveError> {
    let text = if text.contains(['\n', '\r']) {
        text.replace(['\n', '\r'], " ")
    } else {
        text
    };
    RawValue::from_string(text).map_err(|source| ArchiveError::NotJson {
        what: what(),
        source,
    })
}

/// Bytes as text.
mod base64 {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        BASE64_STANDARD.decode(text).map_err(D::Error::custom)
    }
}
