//! Opening a database file, and refusing one that cannot be trusted.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, migrate::MigrateError};

use super::migrations;

/// The first SQLite whose write-ahead log cannot be corrupted by a reset
/// (<https://sqlite.org/wal.html#walresetbug>).
const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);

/// How many connections read at once.
const READERS: u32 = 4;

/// How long a connection waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a SQLite database is: `sqlite:PATH`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SqliteUrl {
    path: PathBuf,
}

/// Why a text is not a [`SqliteUrl`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UrlError {
    /// It names no SQLite file.
    #[error("a database URL looks like sqlite:ironstar.db or sqlite:/var/lib/ironstar.db")]
    Malformed,
    /// A database in memory cannot be durable.
    #[error("a SQLite database in memory loses every event; name a file, as in sqlite:ironstar.db")]
    InMemory,
    /// It has parameters, and there are none.
    #[error("a SQLite database URL has no parameters; remove {parameters:?}")]
    Parameters {
        /// From the question mark on.
        parameters: String,
    },
}

/// A database that is open, checked, and has the newest schema.
#[derive(Debug)]
pub struct SqliteDatabase {
    /// The one connection that writes.
    pub(super) writer: SqliteConnection,
    /// Connections that can only read.
    pub(super) readers: SqlitePool,
}

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite cannot open or use the file.
    #[error("cannot open the database {}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// The linked SQLite is too old to be trusted.
    #[error("SQLite {version} can corrupt its write-ahead log; 3.51.3 or later is needed")]
    OldSqlite {
        /// The linked version.
        version: String,
    },
    /// A setting that durability depends on did not take.
    #[error(
        "the database {} runs with {setting}={actual}, but {expected} is needed to keep events safe",
        path.display()
    )]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// The setting.
        setting: &'static str,
        /// Its value.
        actual: String,
        /// The value that it must have.
        expected: &'static str,
    },
    /// A later version of ironstar has changed the schema.
    #[error(
        "the database {} has schema version {version}, which is newer than this ironstar knows; run a newer one",
        path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The schema version that is not known.
        version: i64,
    },
    /// The schema cannot be brought up to date.
    #[error("cannot bring the schema of the database {} up to date", path.display())]
    Migration {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: MigrateError,
    },
}

impl SqliteUrl {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl From<PathBuf> for SqliteUrl {
    fn from(path: PathBuf) -> Self {
        Self { path }
    }
}

impl FromStr for SqliteUrl {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        let path = url.strip_prefix("sqlite:").ok_or(UrlError::Malformed)?;
        if path.contains(":memory:") || path.contains("mode=memory") {
            return Err(UrlError::InMemory);
        }
        if let Some(start) = path.find('?') {
            return Err(UrlError::Parameters {
                parameters: path[start..].to_owned(),
            });
        }
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return Err(UrlError::Malformed);
        }
        Ok(Self { path: path.into() })
    }
}

impl Display for SqliteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sqlite:{}", self.path.display())
    }
}

impl SqliteDatabase {
    /// Opens a database file, creates it if there is none, checks that it
    /// keeps events safe, and brings its schema up to date.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub async fn open(url: &SqliteUrl) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Unusable {
            path: url.path.clone(),
            source,
        };
        let mut writer = connect(url).await?;
        migrations::run(&mut writer)
            .await
            .map_err(|error| migration_error(url, error))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options(url).read_only(true))
            .await
            .map_err(unusable)?;
        Ok(Self { writer, readers })
    }
}

/// Opens the connection that writes, and checks it.
pub(super) async fn connect(url: &SqliteUrl) -> Result<SqliteConnection, OpenError> {
    let unusable = |source| OpenError::Unusable {
        path: url.path.clone(),
        source,
    };
    let mut connection = options(url)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await
        .map_err(unusable)?;
    match check(&mut connection, &url.path).await {
        Ok(()) => Ok(connection),
        Err(error) => {
            // The failed check is what matters to the caller.
            let _ = connection.close().await;
            Err(error)
        }
    }
}

/// Tells apart why the schema could not be brought up to date.
pub(super) fn migration_error(url: &SqliteUrl, error: MigrateError) -> OpenError {
    let path = url.path.clone();
    if let MigrateError::VersionMissing(version) = error {
        return OpenError::NewerSchema { path, version };
    }
    OpenError::Migration {
        path,
        source: error,
    }
}

pub(super) fn options(url: &SqliteUrl) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(&url.path)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging()
}

async fn check(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let version = read(connection, path, "SELECT sqlite_version()").await?;
    if parse_version(&version) < Some(OLDEST_SQLITE) {
        return Err(OpenError::OldSqlite { version });
    }
    for (setting, query, expected) in [
        (
            "journal_mode",
            "SELECT journal_mode FROM pragma_journal_mode",
            "wal",
        ),
        (
            "synchronous",
            "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous",
            "2",
        ),
    ] {
        let actual = read(connection, path, query).await?;
        if actual != expected {
            return Err(OpenError::Unsafe {
                path: path.to_owned(),
                setting,
                actual,
                expected,
            });
        }
    }
    Ok(())
}

async fn read(
    connection: &mut SqliteConnection,
    path: &Path,
    query: &'static str,
) -> Result<String, OpenError> {
    sqlx::query_scalar(query)
        .fetch_one(connection)
        .await
        .map_err(|source| OpenError::Unusable {
            path: path.to_owned(),
            source,
        })
}

fn parse_version(version: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests;
