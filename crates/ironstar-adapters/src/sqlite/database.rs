//! An open database for the event store: one connection that writes, and several that only
//! read.

use std::path::Path;
use std::time::Duration;

use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

use super::checkpoint::{Checkpoints, WalLimits};
use super::connection::{BUSY_TIMEOUT, connect};
use super::course;
use super::file::Files;
use super::migrations;
use super::open_error::OpenError;
use super::path::DatabaseFile;
use super::readers::Readers;
use super::url::SqliteUrl;
use super::writer::LOCK_ATTEMPT;

/// A database that is open, checked, and has the newest schema.
#[derive(Debug)]
pub struct SqliteDatabase {
    /// The only connection that writes.
    pub(super) writer: SqliteConnection,
    /// The files that the writer and the readers have open.
    pub(super) files: Files,
    /// Keeps the write-ahead log small.
    pub(super) checkpoints: Checkpoints,
    /// The path of the database.
    pub(super) place: DatabaseFile,
    /// The time that a change waits for another process's lock.
    pub(super) patience: Duration,
    /// The connections that only read.
    pub(super) readers: Readers,
    /// The known times from before this process.
    pub(super) known: course::Known,
}

impl SqliteDatabase {
    /// Opens a database file, or creates it. Checks that the file keeps events safe, and
    /// brings its schema up to date.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub async fn open(url: &SqliteUrl) -> Result<Self, OpenError> {
        let place = DatabaseFile::find(url)?;
        let unusable = |source| OpenError::unusable(&place, source);
        let mut writer = connect(&place).await?;
        migrations::run(&place, &mut writer).await?;
        let known = course::Known::load(&mut writer).await.map_err(unusable)?;
        let mut checkpoints = Checkpoints::default();
        let files = checkpoints.begin(url.path(), &place, &mut writer).await?;
        // From here on, the task that writes waits for locks itself.
        sqlx::query(AssertSqlSafe(format!(
            "PRAGMA busy_timeout = {}",
            LOCK_ATTEMPT.as_millis()
        )))
        .execute(&mut writer)
        .await
        .map_err(unusable)?;
        let readers = Readers::open(&place, files.clone()).await?;
        Ok(Self {
            writer,
            files,
            checkpoints,
            place,
            patience: BUSY_TIMEOUT,
            readers,
            known,
        })
    }

    /// Sets the limits of the write-ahead log.
    #[must_use]
    pub fn with_wal_limits(mut self, limits: WalLimits) -> Self {
        self.checkpoints.limits = limits;
        self
    }

    /// Sets the time that changes wait for another process's lock.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The path of the file, absolute and without links.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.place.path()
    }
}
