//! A database, as the event store needs it: one connection that writes, and
//! some that read.

use sqlx::sqlite::{SqliteConnection, SqlitePool, SqlitePoolOptions};

use super::connection::{OpenError, connect, options};
use super::course;
use super::file::OpenFile;
use super::migrations;
use super::url::SqliteUrl;

/// How many connections read at once.
const READERS: u32 = 4;

/// A database that is open, checked, and has the newest schema.
#[derive(Debug)]
pub struct SqliteDatabase {
    /// The one connection that writes.
    pub(super) writer: SqliteConnection,
    /// The file that both have open.
    pub(super) file: OpenFile,
    /// Connections that can only read.
    pub(super) readers: SqlitePool,
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
        let mut writer = connect(url).await?;
        migrations::run(url, &mut writer).await?;
        let known = course::Known::load(&mut writer).await;
        let known = known.map_err(|source| OpenError::unusable(url, source))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options(url).read_only(true))
            .await
            .map_err(|source| OpenError::unusable(url, source))?;
        let file = OpenFile::at(url)?;
        Ok(Self {
            writer,
            file,
            readers,
            known,
        })
    }
}
