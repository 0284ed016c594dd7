//! Keeps the write-ahead log small.
//!
//! SQLite by itself would copy the log to the database in the middle of a commit, before the
//! caller gets its answer. It would try again in each commit while a reader blocks the
//! checkpoint. Here, checkpoints run between batches, when the callers have their answers.
//! They run when the log has grown, and again a second later if a reader has blocked them.
//! After a complete checkpoint, the log begins again with a link (see [`mod@link`]), and its
//! file is cut to a limit.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

use super::file::{FileError, Files, Index, in_the_way};
use super::link;
use super::open_error::OpenError;
use super::path::DatabaseFile;
use super::transaction::roll_back_if_failed;

/// The number of new frames that are worth a checkpoint. This is SQLite's default, too.
const WORTHWHILE: u32 = 1_000;

const MIB: u64 = 1024 * 1024;

/// Limits on the size of the write-ahead log, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WalLimits {
    /// The size to which the file is cut after a complete checkpoint.
    pub kept: u64,
    /// The size of the first warning, if a reader blocks the checkpoint. Another warning
    /// follows each time that the size has doubled.
    pub warned: u64,
}

impl Default for WalLimits {
    fn default() -> Self {
        Self {
            kept: 8 * MIB,
            warned: 64 * MIB,
        }
    }
}

/// The state of the write-ahead log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct WalFigures {
    /// The length of its file, in bytes.
    pub bytes: u64,
    /// The number of its frames (changed pages).
    pub frames: u32,
    /// The number of frames that the last checkpoint has copied to the database.
    pub checkpointed: u32,
}

/// The state of checkpoints, which the writer keeps.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    pub(super) limits: WalLimits,
    figures: Arc<Mutex<WalFigures>>,
    /// The last checkpoint.
    tried: Option<Tried>,
    /// The size of the log at the last warning, in bytes.
    warned: u64,
}

/// A checkpoint that was tried.
#[derive(Clone, Copy, Debug)]
struct Tried {
    /// The head of the log's index afterwards. A new log has one frame, the link.
    index: Index,
    /// True if all frames were copied to the database.
    is_complete: bool,
}

/// Errors of a checkpoint.
#[derive(Debug, thiserror::Error)]
enum CheckpointError {
    #[error(transparent)]
    Sqlite(#[from] sqlx::Error),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the database cannot be read")]
    Unreadable(#[from] std::io::Error),
    #[error("the system has no random numbers")]
    Random(#[from] getrandom::Error),
}

impl Checkpoints {
    /// Takes checkpoints over from SQLite, for a newly opened connection. The log begins
    /// again with a link, unless another process prevents that.
    pub(super) async fn begin(
        &mut self,
        named: &Path,
        place: &DatabaseFile,
        connection: &mut SqliteConnection,
    ) -> Result<Files, OpenError> {
        let unusable = |source| OpenError::unusable(place, source);
        // A read of the schema makes SQLite open the log.
        let settings = format!(
            "PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = {};
             SELECT count(*) FROM sqlite_schema",
            self.limits.kept
        );
        sqlx::raw_sql(AssertSqlSafe(settings))
            .execute(&mut *connection)
            .await
            .map_err(unusable)?;
        let files = Files::of(named, place)?;
        self.run(connection, &files, true).await;
        Ok(files)
    }

    /// The state of the log, which operators can read at any time.
    pub(super) fn figures(&self) -> Arc<Mutex<WalFigures>> {
        Arc::clone(&self.figures)
    }

    /// Makes a checkpoint if the log has grown enough since the last one.
    pub(super) async fn after_batch(&mut self, connection: &mut SqliteConnection, files: &Files) {
        let Some(index) = files.index() else {
            return;
        };
        let tried = self.tried.map(|tried| tried.index);
        let tried = tried.filter(|tried| tried.salts == index.salts);
        let frames = tried.map_or(0, |tried| tried.frames);
        if index.frames >= frames.saturating_add(WORTHWHILE) {
            self.run(connection, files, true).await;
        }
    }

    /// Tries again if a reader has blocked the last checkpoint. Called about once a second.
    pub(super) async fn again(&mut self, connection: &mut SqliteConnection, files: &Files) {
        let Some(index) = files.index() else {
            return;
        };
        let bytes = self.note(files);
        let is_held_up = self.tried.is_some_and(|tried| {
            tried.index.salts == index.salts && (!tried.is_complete || bytes > self.limits.kept)
        });
        if !is_held_up {
            return;
        }
        // The log cannot begin again while a reader reads its end.
        let is_left_alone = index.backfilled == index.frames
            && !in_the_way(
                files.index_identity(),
                &Index {
                    frames: u32::MAX,
                    ..index
                },
            )
            .is_empty();
        if !is_left_alone {
            self.run(connection, files, false).await;
        }
    }

    /// Makes a checkpoint. After a failure, the next checkpoint tries again.
    async fn run(&mut self, connection: &mut SqliteConnection, files: &Files, is_stamped: bool) {
        let outcome = self.checkpoint(connection, files, is_stamped).await;
        let is_complete = outcome.unwrap_or_else(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a checkpoint of the write-ahead log failed; the server tries again"
            );
            false
        });
        self.tried = files.index().map(|index| Tried { index, is_complete });
        self.note(files);
        self.warn_if_held_up(files);
    }

    /// Copies the frames of the log to the database. If there were some, and all were copied,
    /// the log begins again. Returns true if none is left.
    async fn checkpoint(
        &self,
        connection: &mut SqliteConnection,
        files: &Files,
        is_stamped: bool,
    ) -> Result<bool, CheckpointError> {
        files.check()?;
        if is_stamped {
            set_user_version(connection, link::stamp()?).await?;
        }
        sqlx::raw_sql("PRAGMA wal_checkpoint(PASSIVE)")
            .execute(&mut *connection)
            .await?;
        files.check()?;
        let Some(index) = files.index() else {
            return Ok(false);
        };
        let is_complete = index.backfilled == index.frames;
        if is_complete && index.frames > 0 {
            // The limit may have changed since the connection was opened.
            let limit = format!("PRAGMA journal_size_limit = {}", self.limits.kept);
            sqlx::raw_sql(AssertSqlSafe(limit))
                .execute(&mut *connection)
                .await?;
            let linked = begin_again(connection, files).await;
            roll_back_if_failed(connection, linked).await?;
            files.check()?;
        }
        Ok(is_complete)
    }

    /// Records the state of the log. Returns the length of its file, in bytes.
    fn note(&self, files: &Files) -> u64 {
        let index = files.index();
        let figures = WalFigures {
            bytes: files.log_size().unwrap_or_default(),
            frames: index.map_or(0, |index| index.frames),
            checkpointed: index.map_or(0, |index| index.backfilled),
        };
        *self.figures.lock() = figures;
        figures.bytes
    }

    fn warn_if_held_up(&mut self, files: &Files) {
        let Some(index) = files.index() else {
            return;
        };
        let bytes = index.end();
        if bytes < self.limits.warned {
            self.warned = 0;
            return;
        }
        if index.backfilled == index.frames || bytes < self.warned.saturating_mul(2) {
            return;
        }
        self.warned = bytes;
        tracing::warn!(
            bytes,
            frames = index.frames,
            checkpointed = index.backfilled,
            "the write-ahead log {} has grown to {} MiB, because {} still reads an older state \
             of the database; end that read, or the log keeps growing",
            files.log_path().display(),
            bytes / MIB,
            describe(files, &index)
        );
    }
}

/// Makes the log begin again, with a link to the database. If another process commits in
/// between, this is an ordinary commit.
async fn begin_again(
    connection: &mut SqliteConnection,
    files: &Files,
) -> Result<(), CheckpointError> {
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut *connection)
        .await?;
    // No other process can commit now, so the database's file does not change.
    files.check()?;
    let is_complete = files
        .index()
        .is_some_and(|index| index.backfilled == index.frames);
    if is_complete {
        let header = files.header()?;
        set_user_version(connection, link::link(&header)).await?;
    }
    sqlx::raw_sql("COMMIT").execute(connection).await?;
    Ok(())
}

async fn set_user_version(connection: &mut SqliteConnection, version: u32) -> sqlx::Result<()> {
    let set = format!("PRAGMA user_version = {version}");
    sqlx::raw_sql(AssertSqlSafe(set))
        .execute(connection)
        .await?;
    Ok(())
}

/// Describes the processes that block a checkpoint.
fn describe(files: &Files, index: &Index) -> String {
    let mut text = String::new();
    for process in in_the_way(files.index_identity(), index) {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{}", process.describe());
    }
    if text.is_empty() {
        text.push_str("an unknown process");
    }
    text
}
