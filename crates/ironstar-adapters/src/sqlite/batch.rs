//! Many appends in one transaction, each checked by itself.
//!
//! sqlx crosses to SQLite's thread for every statement, so a batch is made of
//! as few as there can be: one that begins and reads where everything is, and
//! one that inserts and commits.

use std::collections::HashMap;

use ironstar_ports::{
    Append, AppendError, Appended, CommandKey, ExpectedSequence, Position, Sequence, StreamAppend,
    StreamHead, StreamId,
};
use serde::Serialize;
use sqlx::sqlite::SqliteConnection;
use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

use super::file::Displaced;

/// UTC to the millisecond, as RFC 3339 has it.
const CREATED_AT: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Begins, and reads the log's head and the last event of each of the streams,
/// which are given as JSON pairs of type and id. One row, since every row is a
/// message between threads.
const BEGIN: &str = "
    BEGIN IMMEDIATE;
    SELECT (SELECT coalesce(max(id), 0) FROM events), (
        SELECT json_group_array(json_array(stream.key, event.sequence, event.id))
        FROM json_each(?1) AS stream
        JOIN events AS event ON event.id = (
            SELECT id FROM events
            WHERE aggregate_type = stream.value ->> 0 AND aggregate_id = stream.value ->> 1
            ORDER BY sequence DESC LIMIT 1
        )
    )";

/// Inserts the batch's events, given as JSON arrays in column order, and
/// commits.
const INSERT_AND_COMMIT: &str = "
    INSERT INTO events (id, aggregate_type, aggregate_id, sequence, event_type, schema_version,
                        payload, metadata, created_at)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
           value ->> 6, value ->> 7, ?2
    FROM json_each(?1);
    COMMIT";

/// Appends to one stream in one statement, which is a transaction of its own:
/// checks, numbers and inserts the events, given as JSON arrays, if the stream's
/// last sequence is ?5 (−1 for none, NULL for any).
const APPEND_ALONE: &str = "
    INSERT INTO events (id, aggregate_type, aggregate_id, sequence, event_type, schema_version,
                        payload, metadata, created_at)
    SELECT head.id + event.key + 1, ?2, ?3, last.sequence + event.key + 1,
           event.value ->> 0, event.value ->> 1, event.value ->> 2, event.value ->> 3, ?4
    FROM (SELECT coalesce(max(id), 0) AS id FROM events) AS head,
         (SELECT coalesce(max(sequence), -1) AS sequence FROM events
          WHERE aggregate_type = ?2 AND aggregate_id = ?3) AS last,
         json_each(?1) AS event
    WHERE ?5 IS NULL OR last.sequence = ?5
    RETURNING sequence, id";

const SELECT_COMMANDS: &str = "
    SELECT key, request, answer FROM commands
    WHERE key IN (SELECT value FROM json_each(?1))";

const INSERT_COMMANDS: &str = "
    INSERT INTO commands (key, request, answer, created_at)
    SELECT value ->> 0, value ->> 1, value ->> 2, ?2 FROM json_each(?1)";

/// A bounded number at a time, so that no batch waits for long.
const SWEEP_COMMANDS: &str = "
    DELETE FROM commands
    WHERE key IN (SELECT key FROM commands WHERE created_at < ?1 LIMIT 1000)";

/// Why a whole batch failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum BatchError {
    #[error(transparent)]
    Sqlite(#[from] sqlx::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Time(#[from] time::error::Format),
    #[error(transparent)]
    Displaced(#[from] Displaced),
}

/// One event to be inserted, in column order.
#[derive(Debug, Serialize)]
struct EventRow<'a>(
    Position,
    &'a str,
    &'a str,
    Sequence,
    &'a str,
    u32,
    &'a str,
    String,
);

/// Where the log and the batch's streams are, and which of its commands are
/// known, as the batch moves them on.
#[derive(Debug, Default)]
struct Batch<'a> {
    head: Position,
    streams: HashMap<&'a StreamId, (Sequence, Position)>,
    commands: HashMap<&'a CommandKey, (String, Appended)>,
    events: Vec<EventRow<'a>>,
    /// Key, request and answer of each command that is new.
    new_commands: Vec<(&'a str, &'a str, String)>,
}

/// Commits all appends that can be. Returns everyone's answer, in order, once
/// what was accepted is on disk. Commands from before `forget_before` are
/// forgotten.
pub(super) async fn commit(
    connection: &mut SqliteConnection,
    appends: &[Append],
    now: OffsetDateTime,
    forget_before: Option<OffsetDateTime>,
) -> Result<Vec<Result<Appended, AppendError>>, BatchError> {
    if let ([append], None) = (appends, forget_before)
        && let Some(appended) = append_alone(connection, append, now).await?
    {
        return Ok(vec![Ok(appended)]);
    }
    let outcome = transact(connection, appends, now, forget_before).await;
    if outcome.is_err()
        && let Err(error) = sqlx::query("ROLLBACK").execute(connection).await
    {
        // Expected when SQLite has rolled back by itself, as on a full disk.
        tracing::debug!(%error, "there was nothing to roll back");
    }
    outcome
}

/// Carries out an append that nobody shares a batch with, if it is a simple one
/// and the stream is where it was expected.
async fn append_alone(
    connection: &mut SqliteConnection,
    append: &Append,
    now: OffsetDateTime,
) -> Result<Option<Appended>, BatchError> {
    let ([to], None) = (&append.streams[..], &append.command) else {
        return Ok(None);
    };
    let expected = match to.expected {
        ExpectedSequence::NoStream => Some(-1),
        // What does not fit is a sequence that no stream has.
        ExpectedSequence::Exact(last) => Some(i64::try_from(last.get()).unwrap_or(i64::MAX)),
        ExpectedSequence::Any => None,
    };
    let events: Vec<(&str, u32, &str, String)> = to
        .events
        .iter()
        .map(|event| {
            let metadata = serde_json::to_string(&event.metadata)?;
            let payload = event.payload.as_str();
            Ok((&*event.event_type, event.schema_version, payload, metadata))
        })
        .collect::<Result<_, serde_json::Error>>()?;
    let inserted: Vec<(i64, i64)> = sqlx::query_as(APPEND_ALONE)
        .bind(serde_json::to_string(&events)?)
        .bind(&to.stream.aggregate_type)
        .bind(&to.stream.aggregate_id)
        .bind(now.format(CREATED_AT)?)
        .bind(expected)
        .fetch_all(connection)
        .await?;
    Ok(inserted.into_iter().max().map(|(sequence, id)| Appended {
        streams: vec![StreamHead {
            stream: to.stream.clone(),
            sequence: Some(Sequence::new(sequence.unsigned_abs())),
            position: Position::new(id.unsigned_abs()),
        }],
    }))
}

async fn transact(
    connection: &mut SqliteConnection,
    appends: &[Append],
    now: OffsetDateTime,
    forget_before: Option<OffsetDateTime>,
) -> Result<Vec<Result<Appended, AppendError>>, BatchError> {
    let mut batch = Batch::begin(connection, appends).await?;
    let answers = appends
        .iter()
        .map(|append| batch.place(append))
        .collect::<Result<Vec<_>, _>>()?;
    let created_at = now.format(CREATED_AT)?;
    if let Some(forget_before) = forget_before {
        sqlx::query(SWEEP_COMMANDS)
            .bind(forget_before.format(CREATED_AT)?)
            .execute(&mut *connection)
            .await?;
    }
    if !batch.new_commands.is_empty() {
        sqlx::query(INSERT_COMMANDS)
            .bind(serde_json::to_string(&batch.new_commands)?)
            .bind(&created_at)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query(INSERT_AND_COMMIT)
        .bind(serde_json::to_string(&batch.events)?)
        .bind(&created_at)
        .execute(connection)
        .await?;
    Ok(answers)
}

impl<'a> Batch<'a> {
    async fn begin(
        connection: &mut SqliteConnection,
        appends: &'a [Append],
    ) -> Result<Self, BatchError> {
        let mut batch = Self::default();
        let streams: Vec<&StreamId> = appends
            .iter()
            .flat_map(|append| &append.streams)
            .map(|append| &append.stream)
            .collect();
        let pairs: Vec<(&str, &str)> = streams
            .iter()
            .map(|stream| (stream.aggregate_type.as_str(), stream.aggregate_id.as_str()))
            .collect();
        let (head, last): (i64, String) = sqlx::query_as(BEGIN)
            .bind(serde_json::to_string(&pairs)?)
            .fetch_one(&mut *connection)
            .await?;
        batch.head = Position::new(head.unsigned_abs());
        let last: Vec<(usize, Sequence, Position)> = serde_json::from_str(&last)?;
        for (index, sequence, position) in last {
            batch.streams.insert(streams[index], (sequence, position));
        }
        batch.read_commands(connection, appends).await?;
        Ok(batch)
    }

    async fn read_commands(
        &mut self,
        connection: &mut SqliteConnection,
        appends: &'a [Append],
    ) -> Result<(), BatchError> {
        let keys: HashMap<&str, &CommandKey> = appends
            .iter()
            .filter_map(|append| append.command.as_ref())
            .map(|command| (command.key.as_str(), &command.key))
            .collect();
        if keys.is_empty() {
            return Ok(());
        }
        let known: Vec<(String, String, String)> = sqlx::query_as(SELECT_COMMANDS)
            .bind(serde_json::to_string(&keys.keys().collect::<Vec<_>>())?)
            .fetch_all(connection)
            .await?;
        for (key, request, answer) in known {
            if let Some(key) = keys.get(&*key) {
                let answer = serde_json::from_str(&answer)?;
                self.commands.insert(key, (request, answer));
            }
        }
        Ok(())
    }

    /// Adds an append's events, or tells why not.
    fn place(
        &mut self,
        append: &'a Append,
    ) -> Result<Result<Appended, AppendError>, serde_json::Error> {
        if let Some(command) = &append.command
            && let Some((request, answer)) = self.commands.get(&command.key)
        {
            return Ok(if *request == command.request {
                Ok(answer.clone())
            } else {
                Err(AppendError::KeyReused)
            });
        }
        let heads = match self.check(append) {
            Ok(heads) => heads,
            Err(conflict) => return Ok(Err(conflict)),
        };
        for append in &append.streams {
            self.add(append)?;
        }
        let appended = Appended { streams: heads };
        if let Some(command) = &append.command {
            let answer = serde_json::to_string(&appended)?;
            self.new_commands
                .push((command.key.as_str(), &command.request, answer));
            let known = (command.request.clone(), appended.clone());
            self.commands.insert(&command.key, known);
        }
        Ok(Ok(appended))
    }

    /// Where an append would leave its streams, if all of them are where they
    /// are expected to be.
    fn check(&self, append: &Append) -> Result<Vec<StreamHead>, AppendError> {
        let mut head = self.head;
        let mut moved: HashMap<&StreamId, (Sequence, Position)> = HashMap::new();
        let mut heads = Vec::with_capacity(append.streams.len());
        for append in &append.streams {
            let stream = &append.stream;
            let mut last = moved.get(stream).or(self.streams.get(stream)).copied();
            let actual = last.map(|(sequence, _)| sequence);
            if !append.expected.admits(actual) {
                return Err(AppendError::Conflict {
                    stream: stream.clone(),
                    expected: append.expected,
                    actual,
                });
            }
            for _ in &append.events {
                head = head.next();
                last = Some((next_sequence(last), head));
            }
            if let Some(last) = last {
                moved.insert(stream, last);
            }
            heads.push(StreamHead {
                stream: stream.clone(),
                sequence: last.map(|(sequence, _)| sequence),
                position: last.map_or(Position::START, |(_, position)| position),
            });
        }
        Ok(heads)
    }

    /// Numbers the events and adds their rows.
    fn add(&mut self, append: &'a StreamAppend) -> Result<(), serde_json::Error> {
        let mut last = self.streams.get(&append.stream).copied();
        for event in &append.events {
            self.head = self.head.next();
            let sequence = next_sequence(last);
            last = Some((sequence, self.head));
            self.events.push(EventRow(
                self.head,
                &append.stream.aggregate_type,
                &append.stream.aggregate_id,
                sequence,
                &event.event_type,
                event.schema_version,
                event.payload.as_str(),
                serde_json::to_string(&event.metadata)?,
            ));
        }
        if let Some(last) = last {
            self.streams.insert(&append.stream, last);
        }
        Ok(())
    }
}

fn next_sequence(last: Option<(Sequence, Position)>) -> Sequence {
    last.map_or(Sequence::FIRST, |(sequence, _)| sequence.next())
}
