//! Commits many appends in one transaction, and checks each append separately.
//!
//! sqlx crosses to SQLite's thread for every statement, so a batch uses as few statements as
//! possible. Most batches use one. Callers name the last sequence of their streams, so the
//! batch *guesses*: it numbers the events as if all callers were right. If a caller is wrong,
//! the triggers of the table refuse the whole transaction. Then, or if a caller names no
//! sequence, the batch uses two statements. The first begins and reads the ends of the log
//! and the streams. The second inserts and commits.

mod statements;

use std::collections::{HashMap, HashSet};

use ironstar_ports::{
    Append, AppendError, Appended, CommandKey, CommandRecord, ExpectedSequence, LogPlace, Mark,
    Position, Sequence, StreamAppend, StreamHead, StreamId,
};
use serde::Serialize;
use sqlx::sqlite::SqliteConnection;
use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use uuid::Uuid;

use self::statements::{
    BEGIN, BEGIN_INSERT_AND_COMMIT, INSERT, INSERT_AND_COMMIT, SELECT_COMMANDS, SWEEP_COMMANDS,
};
use super::code;
use super::file::FileError;
use super::foresight::{Foresight, Known};
use super::refusal::Refusal;
use super::rows::integer;
use super::transaction::roll_back_if_failed;

/// UTC with milliseconds, in the format of RFC 3339.
const CREATED_AT: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Errors that fail a whole batch.
#[derive(Debug, thiserror::Error)]
pub(super) enum BatchError {
    #[error(transparent)]
    Sqlite(#[from] sqlx::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Time(#[from] time::error::Format),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(
        "the log no longer has the event at position {0}: a backup was restored over it while it \
         was open; the server appends no events until it has restarted"
    )]
    OtherHistory(Position),
}

/// An event to insert, in column order.
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

/// The ends of the log and of the batch's streams, and the known commands of the batch. Each
/// append moves them on.
#[derive(Debug, Default)]
struct Batch<'a> {
    head: Position,
    /// The last event of the log before the batch.
    before: Known,
    streams: HashMap<&'a StreamId, (Sequence, LogPlace)>,
    commands: HashMap<&'a CommandKey, (String, Appended)>,
    events: Vec<EventRow<'a>>,
    /// The id of the last event in `events`.
    last: Option<Uuid>,
    new_commands: Vec<CommandRow<'a>>,
    /// True if the batch has read nothing from the database.
    is_guess: bool,
}

/// A new command: its key, its request, its answer, and the earlier keys that must not be
/// known.
type CommandRow<'a> = (&'a str, &'a str, String, Vec<&'a str>);

/// The number of batches without a guess after a wrong guess. Where callers compete for
/// streams, every second guess would be wrong.
const DOUBTS: u32 = 16;

/// The times that a commit needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// The time of the events.
    pub(super) now: OffsetDateTime,
    /// The steady time, by which commands age.
    pub(super) steady: OffsetDateTime,
    /// Commands that are older than this are removed. `None` if no removal is due.
    pub(super) forget_before: Option<OffsetDateTime>,
}

/// The answers to all callers, in the order of the appends.
pub(super) type Answers = Vec<Result<Appended, AppendError>>;

/// Commits all appends that are valid. Returns the answers once the accepted appends are on
/// disk.
pub(super) async fn commit(
    connection: &mut SqliteConnection,
    appends: &[Append],
    times: Times,
    foresight: &mut Foresight,
) -> Result<Answers, BatchError> {
    if times.forget_before.is_none() {
        let guessed = guess(connection, appends, times, foresight).await;
        match roll_back_if_failed(connection, guessed).await {
            Ok(Some(answers)) => return Ok(answers),
            Ok(None) => {}
            Err(BatchError::Sqlite(error)) if is_refused(&error) => foresight.doubts = DOUBTS,
            Err(error) => return Err(error),
        }
    }
    foresight.is_head = false;
    let outcome = transact(connection, appends, times, foresight).await;
    roll_back_if_failed(connection, outcome).await
}

/// Returns true if a constraint or a trigger has refused rows.
fn is_refused(error: &sqlx::Error) -> bool {
    code::result_code(error).is_some_and(|code| code::primary(code) == code::CONSTRAINT)
}

/// Commits the appends as a guess. Returns `None` if the callers did not say enough, or if a
/// guess is not trusted.
async fn guess(
    connection: &mut SqliteConnection,
    appends: &[Append],
    times: Times,
    foresight: &mut Foresight,
) -> Result<Option<Answers>, BatchError> {
    if !foresight.is_trusted() {
        return Ok(None);
    }
    let Some(mut batch) = Batch::guess(foresight, appends) else {
        return Ok(None);
    };
    let answers = batch.place_all(appends)?;
    if answers.iter().any(Result::is_err) {
        // Two appends of the batch contradict each other. SQLite can only judge the append
        // that gets events.
        foresight.doubts = DOUBTS;
        return Ok(None);
    }
    let statements = if batch.new_commands.is_empty() {
        INSERT
    } else {
        BEGIN_INSERT_AND_COMMIT
    };
    batch
        .commit(connection, statements, times, foresight)
        .await?;
    Ok(Some(answers))
}

/// Reads the ends of the log and the streams, and commits the appends.
async fn transact(
    connection: &mut SqliteConnection,
    appends: &[Append],
    times: Times,
    foresight: &mut Foresight,
) -> Result<Answers, BatchError> {
    let mut batch = Batch::begin(connection, appends, &foresight.known).await?;
    let answers = batch.place_all(appends)?;
    if let Some(forget_before) = times.forget_before {
        sqlx::query(SWEEP_COMMANDS)
            .bind(forget_before.format(CREATED_AT)?)
            .execute(&mut *connection)
            .await?;
    }
    batch
        .commit(connection, INSERT_AND_COMMIT, times, foresight)
        .await?;
    Ok(answers)
}

impl<'a> Batch<'a> {
    /// Creates a batch from the sequences that callers expect, or returns `None` if a caller
    /// does not say enough.
    fn guess(foresight: &Foresight, appends: &'a [Append]) -> Option<Self> {
        if !foresight.is_head {
            return None;
        }
        let mut batch = Self {
            head: foresight.known.0,
            before: foresight.known.clone(),
            is_guess: true,
            ..Self::default()
        };
        let mut said = HashSet::new();
        for append in appends.iter().flat_map(|append| &append.streams) {
            if append.events.is_empty() {
                // An append without events answers with its stream's present end, which no
                // caller has named.
                return None;
            }
            if !said.insert(&append.stream) {
                continue;
            }
            match append.expected {
                ExpectedSequence::Any => return None,
                ExpectedSequence::NoStream => {}
                ExpectedSequence::Exact(last) => {
                    batch
                        .streams
                        .insert(&append.stream, (last, LogPlace::START));
                }
            }
        }
        Some(batch)
    }

    async fn begin(
        connection: &mut SqliteConnection,
        appends: &'a [Append],
        known: &Known,
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
        let (head, same, last): (Option<String>, Option<String>, String) = sqlx::query_as(BEGIN)
            .bind(serde_json::to_string(&pairs)?)
            .bind(integer(known.0.get()))
            .fetch_one(&mut *connection)
            .await?;
        let same: Option<Known> = same.map(|same| serde_json::from_str(&same)).transpose()?;
        if !known.is_still(same.as_ref()) {
            return Err(BatchError::OtherHistory(known.0));
        }
        batch.before = Known::read(head.as_deref())?;
        batch.head = batch.before.0;
        let last: Vec<(usize, Sequence, Position, Option<String>)> = serde_json::from_str(&last)?;
        for (index, sequence, position, id) in last {
            let id = id.and_then(|id| id.parse().ok());
            let mark = id.map(Mark::of);
            let place = LogPlace { position, mark };
            batch.streams.insert(streams[index], (sequence, place));
        }
        batch.read_commands(connection, appends).await?;
        Ok(batch)
    }

    async fn read_commands(
        &mut self,
        connection: &mut SqliteConnection,
        appends: &'a [Append],
    ) -> Result<(), BatchError> {
        let commands = appends.iter().filter_map(|append| append.command.as_ref());
        let keys: HashMap<&str, &CommandKey> = commands
            .flat_map(|command| {
                let earlier = command.earlier.iter().map(|earlier| &earlier.key);
                command.keys().chain(earlier)
            })
            .map(|key| (key.as_str(), key))
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

    /// Adds the events of all appends. An append that is refused gets an error as its answer.
    fn place_all(&mut self, appends: &'a [Append]) -> Result<Answers, serde_json::Error> {
        appends.iter().map(|append| self.place(append)).collect()
    }

    /// Inserts and commits the added events.
    async fn commit(
        self,
        connection: &mut SqliteConnection,
        statements: &'static str,
        times: Times,
        foresight: &mut Foresight,
    ) -> Result<(), BatchError> {
        sqlx::query(statements)
            .bind(serde_json::to_string(&self.events)?)
            .bind(times.now.format(CREATED_AT)?)
            .bind(integer(self.before.0.get()))
            .bind(self.before.1.as_deref())
            .bind(serde_json::to_string(&self.new_commands)?)
            .bind(times.steady.format(CREATED_AT)?)
            .execute(connection)
            .await?;
        foresight.known = match self.last {
            Some(id) => Known(self.head, Some(id.to_string())),
            None => self.before,
        };
        foresight.is_head = true;
        Ok(())
    }

    /// Adds the events of an append, or returns the reason for its refusal.
    fn place(
        &mut self,
        append: &'a Append,
    ) -> Result<Result<Appended, AppendError>, serde_json::Error> {
        let command = append.command.as_ref();
        if let Some(known) = command.and_then(|command| self.known(command)) {
            return Ok(known);
        }
        let heads = match self.check(append) {
            Ok(heads) => heads,
            Err(conflict) => return Ok(Err(conflict)),
        };
        for append in &append.streams {
            self.add(append)?;
        }
        let appended = Appended { streams: heads };
        if let Some(command) = command {
            let answer = serde_json::to_string(&appended)?;
            // If the batch is not a guess, the earlier keys were read and compared already.
            let unread = command.earlier.iter().filter(|_| self.is_guess);
            let unread: Vec<&str> = unread.map(|earlier| earlier.key.as_str()).collect();
            for key in command.keys() {
                let row = (
                    key.as_str(),
                    &*command.request,
                    answer.clone(),
                    unread.clone(),
                );
                self.new_commands.push(row);
                let known = (command.request.clone(), appended.clone());
                self.commands.insert(key, known);
            }
        }
        Ok(Ok(appended))
    }

    /// Returns the answer of a command that was executed before.
    fn known(&self, command: &CommandRecord) -> Option<Result<Appended, AppendError>> {
        let mut keys = command.keys();
        if let Some((request, answer)) = keys.find_map(|key| self.commands.get(key)) {
            return Some(if *request == command.request {
                Ok(answer.clone())
            } else {
                Err(AppendError::KeyReused)
            });
        }
        let earlier = command.earlier.iter().find_map(|earlier| {
            let (request, answer) = self.commands.get(&earlier.key)?;
            (*request == earlier.request).then(|| answer.clone())
        });
        earlier.map(Ok)
    }

    /// Returns the new ends of an append's streams, or a conflict if a stream is not at the
    /// expected sequence.
    fn check(&self, append: &Append) -> Result<Vec<StreamHead>, AppendError> {
        let mut head = self.head;
        let mut moved: HashMap<&StreamId, (Sequence, LogPlace)> = HashMap::new();
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
            for event in &append.events {
                head = head.next();
                let place = LogPlace::of(head, event.metadata.event_id);
                last = Some((next_sequence(last), place));
            }
            if let Some(last) = last {
                moved.insert(stream, last);
            }
            heads.push(StreamHead {
                stream: stream.clone(),
                sequence: last.map(|(sequence, _)| sequence),
                position: last.map_or(Position::START, |(_, place)| place.position),
                mark: last.and_then(|(_, place)| place.mark),
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
            let id = event.metadata.event_id;
            last = Some((sequence, LogPlace::of(self.head, id)));
            self.last = Some(id);
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

fn next_sequence(last: Option<(Sequence, LogPlace)>) -> Sequence {
    last.map_or(Sequence::FIRST, |(sequence, _)| sequence.next())
}

#[cfg(test)]
mod tests;
