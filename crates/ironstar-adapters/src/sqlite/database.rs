//! A database, as the event store needs it: one connection that writes, and
//! some that read.

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
    /// The one connection that writes.
    pub(super) writer: SqliteConnection,
    /// The files that both have open.
    pub(super) files: Files,
    /// Keeps the write-ahead log small.
    pub(super) checkpoints: Checkpoints,
    /// Where the database is.
    pub(super) place: DatabaseFile,
    /// How long a change waits for another process's lock.
    pub(super) patience: Duration,
    /// Connections that can only read.
    pub(super) readers: Readers,
    /// What is known of the times before this process.
    pub(super) known: course::Known,
}

impl SqliteDatabase {
    /// Opens a database file, creates it if there is none, checks that it
    /// keeps events safe, and brings its schema up to date.
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
        // From here on, the task that writes does the waiting.
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

    /// Keeps the write-ahead log smaller, or warns later.
    #[must_use]
    pub fn with_wal_limits(mut self, limits: WalLimits) -> Self {
        self.checkpoints.limits = limits;
        self
    }

    /// Has changes wait so long for another process's lock.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The file: an absolute path without links.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.place.path()
    }
}
