//! A database, as the event store needs it: one connection that writes, and
//! some that read.

use sqlx::sqlite::SqliteConnection;

use super::checkpoint::{Checkpoints, WalLimits};
use super::connection::{OpenError, connect};
use super::file::Files;
use super::migrations;
use super::readers::Readers;
use super::url::SqliteUrl;

/// A database that is open, checked, and has the newest schema.
#[derive(Debug)]
pub struct SqliteDatabase {
    /// The one connection that writes.
    pub(super) writer: SqliteConnection,
    /// The files that both have open.
    pub(super) files: Files,
    /// Keeps the write-ahead log small.
    pub(super) checkpoints: Checkpoints,
    /// Connections that can only read.
    pub(super) readers: Readers,
}

impl SqliteDatabase {
    /// Opens a database file, creates it if there is none, checks that it
    /// keeps events safe, and brings its schema up to date.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub async fn open(url: &SqliteUrl) -> Result<Self, OpenError> {
        let mut writer = connect(url).await?;
        migrations::run(url, &mut writer).await?;
        let mut checkpoints = Checkpoints::default();
        let files = checkpoints.begin(url, &mut writer).await?;
        let readers = Readers::open(url, files.clone()).await?;
        Ok(Self {
            writer,
            files,
            checkpoints,
            readers,
        })
    }

    /// Keeps the write-ahead log smaller, or warns later.
    #[must_use]
    pub fn with_wal_limits(mut self, limits: WalLimits) -> Self {
        self.checkpoints.limits = limits;
        self
    }
}
