//! Commits many appends in one transaction, and checks each append separately.
//!
//! sqlx crosses to SQLite's thread for every statement, so a batch uses as few statements as
//! possible. Most batches use one. Callers name the last sequence of their streams, so the
//! batch *guesses*: it numbers the events as if all callers were right. If a caller is wrong,
//! the triggers of the table refuse the whole transaction. Then, or if a caller names no
//! sequence, the batch uses two statements. The first begins and reads the ends of the log
//! and the streams. The second inserts and commits.

mod statements;

use std::collections::HashMap;

use ironstar_ports::{Append, CommandKey, LogPlace, Mark, Outcome, Position, Sequence, StreamId};
use sqlx::sqlite::SqliteConnection;
use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

use self::statements::{
    BEGIN, BEGIN_INSERT_AND_COMMIT, INSERT, INSERT_AND_COMMIT, SELECT_COMMANDS, SWEEP_COMMANDS,
    command_rows, event_rows,
};
use super::code;
use super::file::FileError;
use super::foresight::{Foresight, parse_head};
use super::refusal::Refusal;
use super::transaction::roll_back_if_failed;
use crate::log::{Answers, End, Known, Numbering, integer};

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

/// The number of batches without a guess after a wrong guess. Where callers compete for
/// streams, every second guess would be wrong.
const DOUBTS: u32 = 16;

/// The largest number of old commands that one batch removes, so that its callers do not wait
/// for long.
const SWEPT_AT_ONCE: u32 = 1_000;

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

/// The outcome of a commit.
pub(super) struct Committed {
    pub(super) answers: Answers,
    /// True if a removal of old commands has left some.
    pub(super) has_old_commands: bool,
}

/// Appends that are committed together, and all that the commit needs.
pub(super) struct Batch<'a> {
    pub(super) connection: &'a mut SqliteConnection,
    pub(super) appends: &'a [Append],
    pub(super) times: Times,
    pub(super) foresight: &'a mut Foresight,
}

impl<'a> Batch<'a> {
    /// Commits all appends that are valid. Returns the answers once the accepted appends are
    /// on disk.
    pub(super) async fn commit(mut self) -> Result<Committed, BatchError> {
        if self.times.forget_before.is_none() {
            let guessed = self.guess().await;
            match roll_back_if_failed(self.connection, guessed).await {
                Ok(Some(answers)) => {
                    return Ok(Committed {
                        answers,
                        has_old_commands: false,
                    });
                }
                Ok(None) => {}
                Err(BatchError::Sqlite(error)) if is_refused(&error) => {
                    self.foresight.doubts = DOUBTS;
                }
                Err(error) => return Err(error),
            }
        }
        self.foresight.is_head = false;
        let outcome = self.transact().await;
        roll_back_if_failed(self.connection, outcome).await
    }

    /// Commits the appends as a guess. Returns `None` if the callers did not say enough, or if
    /// a guess is not trusted.
    async fn guess(&mut self) -> Result<Option<Answers>, BatchError> {
        if !self.foresight.may_guess() {
            return Ok(None);
        }
        let Some(mut numbering) = Numbering::guess(&self.foresight.known, self.appends) else {
            return Ok(None);
        };
        let answers = numbering.answer_all(self.appends);
        if answers.iter().any(Result::is_err) {
            // Two appends of the batch contradict each other. SQLite can only judge the append
            // that gets events.
            self.foresight.doubts = DOUBTS;
            return Ok(None);
        }
        let statements = if numbering.has_commands() {
            BEGIN_INSERT_AND_COMMIT
        } else {
            INSERT
        };
        self.insert(numbering, statements).await?;
        Ok(Some(answers))
    }

    /// Reads the ends of the log and the streams, and commits the appends.
    async fn transact(&mut self) -> Result<Committed, BatchError> {
        let mut numbering = self.begin().await?;
        let answers = numbering.answer_all(self.appends);
        let mut has_old_commands = false;
        if let Some(forget_before) = self.times.forget_before {
            let swept = sqlx::query(SWEEP_COMMANDS)
                .bind(forget_before.format(CREATED_AT)?)
                .bind(SWEPT_AT_ONCE)
                .execute(&mut *self.connection)
                .await?;
            has_old_commands = swept.rows_affected() >= u64::from(SWEPT_AT_ONCE);
        }
        self.insert(numbering, INSERT_AND_COMMIT).await?;
        Ok(Committed {
            answers,
            has_old_commands,
        })
    }

    async fn begin(&mut self) -> Result<Numbering<'a>, BatchError> {
        let parts = self.appends.iter().flat_map(|append| &append.streams);
        let streams: Vec<&StreamId> = parts.map(|part| &part.stream).collect();
        let pairs: Vec<(&str, &str)> = streams
            .iter()
            .map(|stream| (stream.aggregate_type.as_str(), stream.aggregate_id.as_str()))
            .collect();
        let known = &self.foresight.known;
        let (head, same, last): (Option<String>, Option<String>, String) = sqlx::query_as(BEGIN)
            .bind(serde_json::to_string(&pairs)?)
            .bind(integer(known.0.get()))
            .fetch_one(&mut *self.connection)
            .await?;
        let same: Option<Known> = same.map(|same| serde_json::from_str(&same)).transpose()?;
        if !known.is_still(same.as_ref()) {
            return Err(BatchError::OtherHistory(known.0));
        }
        let before = parse_head(head.as_deref())?;
        let last: Vec<(usize, Sequence, Position, Option<String>)> = serde_json::from_str(&last)?;
        let ends = last.into_iter().map(|(index, sequence, position, id)| {
            let id = id.and_then(|id| id.parse().ok());
            let mark = id.map(Mark::of);
            let place = LogPlace { position, mark };
            (streams[index], End { sequence, place })
        });
        let ends = ends.collect();
        Ok(Numbering::new(before, ends, self.read_commands().await?))
    }

    /// Reads the commands of the batch that were executed before.
    async fn read_commands(&mut self) -> Result<HashMap<&'a CommandKey, Outcome>, BatchError> {
        let commands = self
            .appends
            .iter()
            .filter_map(|append| append.command.as_ref());
        let keys: HashMap<&str, &CommandKey> = commands
            .flat_map(|command| {
                let earlier = command.earlier.iter().map(|earlier| &earlier.key);
                command.keys().chain(earlier)
            })
            .map(|key| (key.as_str(), key))
            .collect();
        let mut commands = HashMap::new();
        if keys.is_empty() {
            return Ok(commands);
        }
        let known: Vec<(String, String, String)> = sqlx::query_as(SELECT_COMMANDS)
            .bind(serde_json::to_string(&keys.keys().collect::<Vec<_>>())?)
            .fetch_all(&mut *self.connection)
            .await?;
        for (key, request, answer) in known {
            if let Some(key) = keys.get(&*key) {
                let appended = serde_json::from_str(&answer)?;
                commands.insert(*key, Outcome { request, appended });
            }
        }
        Ok(commands)
    }

    /// Inserts and commits the numbered events and the new commands.
    async fn insert(
        &mut self,
        numbering: Numbering<'a>,
        statements: &'static str,
    ) -> Result<(), BatchError> {
        let Known(position, id) = numbering.before();
        sqlx::query(statements)
            .bind(event_rows(numbering.events())?)
            .bind(self.times.now.format(CREATED_AT)?)
            .bind(integer(position.get()))
            .bind(id.as_deref())
            .bind(command_rows(&numbering.commands())?)
            .bind(self.times.steady.format(CREATED_AT)?)
            .execute(&mut *self.connection)
            .await?;
        self.foresight.known = numbering.after();
        self.foresight.is_head = true;
        Ok(())
    }
}

/// Returns true if a constraint or a trigger has refused rows.
fn is_refused(error: &sqlx::Error) -> bool {
    code::result_code(error).is_some_and(|code| code::primary(code) == code::CONSTRAINT)
}

#[cfg(test)]
mod tests;
