//! Commits many appends in one transaction, and checks each append separately.
//!
//! Most batches are one call of a function in the database, which is its own transaction. Callers
//! name the last sequence of their streams, so the batch *guesses*: it numbers the events as if
//! all callers were right, with positions that begin at 1. The function locks the log, compares,
//! and moves the positions to the end of the log. If a caller is wrong, or names no sequence, the
//! batch is a transaction of two calls: the first locks the log and reads the ends of the
//! streams, the second appends.

mod columns;

use std::collections::HashMap;

use ironstar_ports::{
    Append, Appended, CommandKey, LogPlace, Mark, Outcome, Position, Sequence, StreamId,
};
use serde_json::value::RawValue;
use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgTransaction};

use self::columns::{Commands, Events, ids, types};
use super::seen::{LostEvents, Seen};
use crate::log::{Answers, End, Known, Numbering, integer};

const BEGIN: &str = "
    SELECT head::text, same::text, ends::text, known_commands::text
    FROM begin_batch($1, $2, $3, $4)";

const APPEND: &str = "
    SELECT append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";

/// The results of the function `append_batch` that are no positions.
const WRONG_GUESS: i64 = -1;
const OTHER_LOG: i64 = -2;

/// The number of batches without a guess after a wrong guess. Where callers compete for
/// streams, every second guess would be wrong.
const DOUBTS: u32 = 16;

/// Errors that fail a whole batch.
#[derive(Debug, thiserror::Error)]
pub(super) enum BatchError {
    #[error("a statement failed in the PostgreSQL database")]
    Database(#[from] sqlx::Error),
    #[error("events or commands cannot be read or written as JSON")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Lost(#[from] LostEvents),
    #[error("the functions of the database do not agree: append_batch has returned {0}")]
    Confused(i64),
}

/// The trust in guesses.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// The number of coming batches that must not guess, because a guess was wrong.
    doubts: u32,
}

/// The answer to [`BEGIN`]. An array without elements is NULL.
type Begun = (
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);

/// Commits all appends that are valid. Returns the answers once the accepted appends are on disk.
pub(super) async fn commit(
    connection: &mut PgConnection,
    appends: &[Append],
    seen: &Seen,
    trust: &mut Trust,
) -> Result<Answers, BatchError> {
    if trust.may_guess()
        && let Some(answers) = guess(connection, appends, seen, trust).await?
    {
        return Ok(answers);
    }
    transact(connection, appends, seen).await
}

impl Trust {
    /// Returns true if this batch may guess. Each call reduces the number of doubts by one.
    fn may_guess(&mut self) -> bool {
        let is_trusted = self.doubts == 0;
        self.doubts = self.doubts.saturating_sub(1);
        is_trusted
    }
}

/// Commits the appends as a guess. Returns `None` if the callers did not say enough, or if a
/// caller is wrong.
async fn guess(
    connection: &mut PgConnection,
    appends: &[Append],
    seen: &Seen,
    trust: &mut Trust,
) -> Result<Option<Answers>, BatchError> {
    let Some(mut numbering) = Numbering::guess(&Known::default(), appends) else {
        return Ok(None);
    };
    let answers = numbering.answer_all(appends);
    let base = if answers.iter().all(Result::is_ok) {
        append(connection, &numbering, seen, true).await?
    } else {
        // Two appends of the batch contradict each other.
        None
    };
    let Some(base) = base else {
        trust.doubts = DOUBTS;
        return Ok(None);
    };
    let Known(last, id) = numbering.after();
    seen.note(&Known(moved(last, base), id));
    Ok(Some(
        answers
            .into_iter()
            .map(|answer| answer.map(|answer| at(answer, base)))
            .collect(),
    ))
}

/// Reads the ends of the log and the streams, and commits the appends.
async fn transact(
    connection: &mut PgConnection,
    appends: &[Append],
    seen: &Seen,
) -> Result<Answers, BatchError> {
    let mut transaction = connection.begin().await?;
    let outcome = transact_in(&mut transaction, appends, seen).await;
    match outcome {
        Ok((answers, after)) => {
            transaction.commit().await?;
            seen.note(&after);
            Ok(answers)
        }
        Err(error) => {
            // If the connection is lost, the server rolls back.
            let _ = transaction.rollback().await;
            Err(error)
        }
    }
}

async fn transact_in(
    transaction: &mut PgTransaction<'_>,
    appends: &[Append],
    seen: &Seen,
) -> Result<(Answers, Known), BatchError> {
    let mut numbering = begin(transaction, appends, seen).await?;
    let answers = numbering.answer_all(appends);
    if !numbering.events().is_empty() || numbering.has_commands() {
        let base = append(transaction, &numbering, seen, false).await?;
        let expected = Some(numbering.before().0);
        if base != expected {
            return Err(BatchError::Confused(
                base.map_or(WRONG_GUESS, |base| integer(base.get())),
            ));
        }
    }
    Ok((answers, numbering.after()))
}

/// Locks the log, and reads the ends and the commands that the appends need.
async fn begin<'a>(
    transaction: &mut PgTransaction<'_>,
    appends: &'a [Append],
    seen: &Seen,
) -> Result<Numbering<'a>, BatchError> {
    let parts = appends.iter().flat_map(|append| &append.streams);
    let streams: Vec<&StreamId> = parts.map(|part| &part.stream).collect();
    let keys = keys(appends);
    let known = seen.last();
    let (head, same, ends, commands): Begun = sqlx::query_as(BEGIN)
        .bind(integer(known.0.get()))
        .bind(types(&streams))
        .bind(ids(&streams))
        .bind(keys.keys().copied().collect::<Vec<_>>())
        .fetch_one(&mut **transaction)
        .await?;
    let parse = |text: Option<String>| text.map(|text| serde_json::from_str(&text)).transpose();
    let same: Option<Known> = parse(same)?;
    if !known.is_still(same.as_ref()) {
        return Err(seen.lose(known.0).into());
    }
    let before = parse(head)?.unwrap_or_default();
    let ends: Vec<(usize, Sequence, Position, Option<String>)> =
        serde_json::from_str(ends.as_deref().unwrap_or("[]"))?;
    let ends = ends.into_iter().map(|(index, sequence, position, id)| {
        let mark = id.and_then(|id| id.parse().ok()).map(Mark::of);
        let place = LogPlace { position, mark };
        (streams[index], End { sequence, place })
    });
    let commands: Vec<(String, String, Box<RawValue>)> =
        serde_json::from_str(commands.as_deref().unwrap_or("[]"))?;
    let commands = commands.into_iter().filter_map(|(key, request, answer)| {
        let key = *keys.get(&*key)?;
        let appended = serde_json::from_str(answer.get());
        Some(appended.map(|appended| (key, Outcome { request, appended })))
    });
    let commands = commands.collect::<Result<_, _>>()?;
    Ok(Numbering::new(before, ends.collect(), commands))
}

/// Appends the numbered events and the new commands. Returns the position before the first event,
/// or `None` if a stream or a command is not as the numbering has it.
async fn append(
    connection: &mut PgConnection,
    numbering: &Numbering<'_>,
    seen: &Seen,
    is_relative: bool,
) -> Result<Option<Position>, BatchError> {
    let commands = numbering.commands();
    let (events, commands) = (Events::of(numbering.events())?, Commands::of(&commands)?);
    let known = seen.last();
    let query = sqlx::query_scalar(APPEND)
        .bind(integer(known.0.get()))
        .bind(known.1);
    let query = commands.bind(events.bind(query)).bind(is_relative);
    let base: i64 = query.fetch_one(connection).await?;
    match base {
        WRONG_GUESS => Ok(None),
        OTHER_LOG => Err(seen.lose(known.0).into()),
        base => match u64::try_from(base) {
            Ok(base) => Ok(Some(Position::new(base))),
            Err(_) => Err(BatchError::Confused(base)),
        },
    }
}

/// The keys of all commands, and their earlier keys.
fn keys(appends: &[Append]) -> HashMap<&str, &CommandKey> {
    let commands = appends.iter().filter_map(|append| append.command.as_ref());
    let keys = commands.flat_map(|command| {
        let earlier = command.earlier.iter().map(|earlier| &earlier.key);
        command.keys().chain(earlier)
    });
    keys.map(|key| (key.as_str(), key)).collect()
}

/// Returns an answer whose positions are counted from `base`.
fn at(mut answer: Appended, base: Position) -> Appended {
    for head in &mut answer.streams {
        head.position = moved(head.position, base);
    }
    answer
}

fn moved(position: Position, base: Position) -> Position {
    Position::new(position.get() + base.get())
}
