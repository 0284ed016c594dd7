//! Many appends in one transaction, each checked by itself.
//!
//! sqlx crosses to SQLite's thread for every statement, so a batch is made of
//! as few as there can be. Mostly it is one: callers know where their streams
//! are, so their events are numbered as if that were so, and SQLite refuses the
//! whole transaction if it is not (triggers of the table see to that). Then, and
//! when callers do not know, it is two: one that begins and reads where
//! everything is, and one that inserts and commits.

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

/// UTC to the millisecond, as RFC 3339 has it.
const CREATED_AT: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

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
    File(#[from] FileError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(
        "the log does not have the event at position {0} any more: a backup was restored over it \
         while it was open; nothing is appended until the server has begun again"
    )]
    OtherHistory(Position),
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
    /// The event that the log ends with before the batch.
    before: Known,
    streams: HashMap<&'a StreamId, (Sequence, LogPlace)>,
    commands: HashMap<&'a CommandKey, (String, Appended)>,
    events: Vec<EventRow<'a>>,
    /// The id of the last of them.
    last: Option<Uuid>,
    new_commands: Vec<CommandRow<'a>>,
    /// Whether nothing was read of what the batch is about.
    is_guess: bool,
}

/// A command that is new: its key, its request, its answer, and the earlier keys that
/// must not be known.
type CommandRow<'a> = (&'a str, &'a str, String, Vec<&'a str>);

/// For how many batches nothing is guessed after a wrong guess: where streams
/// are fought over, every other guess would be.
const DOUBTS: u32 = 16;

/// What a commit needs to know of the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// When events happen.
    pub(super) now: OffsetDateTime,
    /// By which commands age.
    pub(super) steady: OffsetDateTime,
    /// Older commands are forgotten, if it is time for that.
    pub(super) forget_before: Option<OffsetDateTime>,
}

/// Everyone's answer, in the order of the appends.
pub(super) type Answers = Vec<Result<Appended, AppendError>>;

/// Commits all appends that can be. Returns the answers once what was accepted
/// is on disk.
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

/// Whether a constraint or a trigger refuses rows.
fn is_refused(error: &sqlx::Error) -> bool {
    code::result_code(error).is_some_and(|code| code::primary(code) == code::CONSTRAINT)
}

/// Commits the appends as if everything were where it is said to be, if enough
/// is said.
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
        // Two of them contradict each other. SQLite only tells who is right of
        // those that get an event.
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

/// Reads where everything is, and commits the appends.
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
    /// Where everything is, if callers are right; nothing, if they do not say.
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
                // Where it is left is where it is, which nobody has said.
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

    /// Adds everyone's events, or tells why not.
    fn place_all(&mut self, appends: &'a [Append]) -> Result<Answers, serde_json::Error> {
        appends.iter().map(|append| self.place(append)).collect()
    }

    /// Inserts and commits what has been added.
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

    /// Adds an append's events, or tells why not.
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
            // Those that were read have been compared.
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

    /// The answer to a command that was carried out before.
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

    /// Where an append would leave its streams, if all of them are where they
    /// are expected to be.
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
