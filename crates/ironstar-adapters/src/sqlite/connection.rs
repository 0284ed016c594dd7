//! Connections to a database file, and refusing one that cannot be trusted.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

use super::link::{self, WalError};
use super::url::SqliteUrl;

/// The first SQLite whose write-ahead log cannot be corrupted by a reset
/// (<https://sqlite.org/wal.html#walresetbug>).
const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);

/// Set by the first migration.
const APPLICATION_ID: i64 = 1_769_107_310;

/// Result codes (<https://sqlite.org/rescode.html>): somebody else holds a lock,
/// the file may only be read or not even that, the locks themselves do not work, and it
/// is no database at all.
const SQLITE_BUSY: i32 = 5;
const SQLITE_READONLY: i32 = 8;
const SQLITE_CANTOPEN: i32 = 14;
const SQLITE_PROTOCOL: i32 = 15;
const SQLITE_NOTADB: i32 = 26;
const SQLITE_IOERR_RDLOCK: i32 = 2_314;
const SQLITE_IOERR_CHECKRESERVEDLOCK: i32 = 3_594;
const SQLITE_IOERR_LOCK: i32 = 3_850;
const SQLITE_IOERR_SHMOPEN: i32 = 4_618;
const SQLITE_IOERR_SHMLOCK: i32 = 5_130;
const SQLITE_IOERR_SHMMAP: i32 = 5_386;

/// How long a connection waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

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
    /// There is no folder to make the file in.
    #[error(
        "cannot make the database {}, as its folder does not exist; make the folder, or name another file",
        path.display()
    )]
    NoFolder {
        /// The file.
        path: PathBuf,
    },
    /// The file is a folder.
    #[error("cannot open the database {}, as that is a folder; name a file in it", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// The user who runs this may not read the file, or make it.
    #[error(
        "this user may not open the database {}; let them read and write the file and its folder, or name another file",
        path.display()
    )]
    Denied {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "the file {} is not a database, and was left as it is; name another file",
        path.display()
    )]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// The file, or the folder that it is in, may only be read.
    #[error(
        "cannot write to the database {}; make the file and its folder writable for this user",
        path.display()
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// The file cannot be locked, be it that another program holds the lock or
    /// that its file system has none.
    #[error(
        "cannot lock the database {}; stop the other program that has it locked, or, \
         if its file system has no working locks, move it to a local disk",
        path.display()
    )]
    Unlockable {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// The file is somebody else's.
    #[error(
        "the file {} is a database of another application, and was left as it is; name another file",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// What is beside the file does not belong to it.
    #[error(transparent)]
    Wal(#[from] WalError),
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

impl OpenError {
    /// What SQLite says of a file.
    pub(super) fn unusable(url: &SqliteUrl, source: sqlx::Error) -> Self {
        let path = url.path().to_owned();
        let Some(code) = result_code(&source) else {
            return Self::Unusable { path, source };
        };
        // The low byte is the code without its details.
        match (code, code & 0xff) {
            (_, SQLITE_READONLY) => Self::ReadOnly { path, source },
            (_, SQLITE_NOTADB) => Self::NotADatabase { path, source },
            (_, SQLITE_CANTOPEN) => Self::unopened(path, source),
            (_, SQLITE_BUSY | SQLITE_PROTOCOL)
            | (
                SQLITE_IOERR_RDLOCK
                | SQLITE_IOERR_CHECKRESERVEDLOCK
                | SQLITE_IOERR_LOCK
                | SQLITE_IOERR_SHMOPEN
                | SQLITE_IOERR_SHMLOCK
                | SQLITE_IOERR_SHMMAP,
                _,
            ) => Self::Unlockable { path, source },
            _ => Self::Unusable { path, source },
        }
    }

    /// Why a file cannot be opened. SQLite does not say so, but the system does.
    fn unopened(path: PathBuf, source: sqlx::Error) -> Self {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let mut existing = OpenOptions::new();
        match existing.read(true).write(true).open(&path) {
            Err(_) if path.is_dir() => Self::Folder { path },
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Self::Denied {
                path,
                source: error,
            },
            Err(_) if folder.is_some_and(|folder| !folder.exists()) => Self::NoFolder { path },
            Err(_) | Ok(_) => Self::Unusable { path, source },
        }
    }
}

/// Opens the connection that writes, and checks it.
pub(super) async fn connect(url: &SqliteUrl) -> Result<SqliteConnection, OpenError> {
    link::check(url.path())?;
    if url.path().exists() {
        refuse_foreign(url).await?;
        warn_if_open(url.path());
    } else {
        create(url.path())?;
    }
    let mut connection = options(url)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await
        .map_err(|source| OpenError::unusable(url, source))?;
    match check(&mut connection, url).await {
        Ok(()) => Ok(connection),
        Err(error) => {
            // The failed check is what matters to the caller.
            let _ = connection.close().await;
            Err(error)
        }
    }
}

/// Makes an empty file that nobody but its owner can read, since it is going to hold
/// what is not for everyone; SQLite gives the files beside it the same mode.
fn create(path: &Path) -> Result<(), OpenError> {
    let mut new = OpenOptions::new();
    match new.write(true).create_new(true).mode(0o600).open(path) {
        Err(source) if source.kind() == io::ErrorKind::PermissionDenied => Err(OpenError::Denied {
            path: path.to_owned(),
            source,
        }),
        // Somebody may be first. What is wrong otherwise is found out when it is opened.
        Err(_) | Ok(_) => Ok(()),
    }
}

/// Says so if others on the machine can read the file. It may be meant so, and is left
/// so.
fn warn_if_open(path: &Path) {
    let mode = path.metadata().map(|file| file.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o077 != 0) {
        tracing::warn!(
            "others on this machine can read {path}, and with it all lists and whatever opens \
             links; keep it to yourself by `chmod 600 {path}`",
            path = path.display()
        );
    }
}

/// How every connection is made; without more, it neither creates a file nor
/// changes a setting.
pub(super) fn options(url: &SqliteUrl) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(url.path())
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging()
}

/// Makes sure that an existing file is ours, or empty, before anything in it
/// is changed.
async fn refuse_foreign(url: &SqliteUrl) -> Result<(), OpenError> {
    let unusable = |source| OpenError::unusable(url, source);
    let mut connection = options(url).connect().await.map_err(unusable)?;
    let (application, objects): (i64, i64) = sqlx::query_as(
        "SELECT application_id, (SELECT count(*) FROM sqlite_schema
                                 WHERE name <> '_sqlx_migrations' AND name NOT LIKE 'sqlite_%')
         FROM pragma_application_id",
    )
    .fetch_one(&mut connection)
    .await
    .map_err(unusable)?;
    connection.close().await.map_err(unusable)?;
    // A start that was cut off may have left the list of migrations alone.
    let is_empty = application == 0 && objects == 0;
    if application == APPLICATION_ID || is_empty {
        return Ok(());
    }
    Err(OpenError::Foreign {
        path: url.path().to_owned(),
    })
}

async fn check(connection: &mut SqliteConnection, url: &SqliteUrl) -> Result<(), OpenError> {
    let version = read(connection, url, "SELECT sqlite_version()").await?;
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
        let actual = read(connection, url, query).await?;
        if actual != expected {
            return Err(OpenError::Unsafe {
                path: url.path().to_owned(),
                setting,
                actual,
                expected,
            });
        }
    }
    // SQLite opens a file that it may not write as if nothing were wrong.
    sqlx::raw_sql("BEGIN IMMEDIATE; ROLLBACK")
        .execute(connection)
        .await
        .map_err(|source| OpenError::unusable(url, source))?;
    Ok(())
}

async fn read(
    connection: &mut SqliteConnection,
    url: &SqliteUrl,
    query: &'static str,
) -> Result<String, OpenError> {
    sqlx::query_scalar(query)
        .fetch_one(connection)
        .await
        .map_err(|source| OpenError::unusable(url, source))
}

/// SQLite's result code, with its details.
fn result_code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

fn parse_version(version: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests;
