//! Opens the connection that writes, and refuses databases that cannot be trusted.

use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

use super::link;
use super::open_error::OpenError;
use super::path::DatabaseFile;
use super::recognition::{Recognised, mark, recognise};

/// The first version of SQLite in which a reset cannot corrupt the write-ahead log
/// (<https://sqlite.org/wal.html#walresetbug>).
const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);

/// The time that a connection waits for another process's lock.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens the connection that writes, and checks it.
pub(super) async fn connect(file: &DatabaseFile) -> Result<SqliteConnection, OpenError> {
    link::check(file.path())?;
    let claim = file.claim()?;
    let recognised = if claim.is_new {
        Recognised::Empty
    } else {
        let recognised = recognise(file).await?;
        file.warn_if_open();
        recognised
    };
    let mut connection = options(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await
        .map_err(|source| OpenError::unusable(file, source))?;
    let checked = match file.verify(&claim) {
        Ok(()) => check(&mut connection, file, recognised).await,
        Err(error) => Err(error),
    };
    match checked {
        Ok(()) => Ok(connection),
        Err(error) => {
            // The caller needs the error of the check, not that of the close.
            let _ = connection.close().await;
            Err(error)
        }
    }
}

/// The common options of all connections. By themselves, they neither create a file nor
/// change a setting.
pub(super) fn options(file: &DatabaseFile) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file.path())
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging()
}

async fn check(
    connection: &mut SqliteConnection,
    file: &DatabaseFile,
    recognised: Recognised,
) -> Result<(), OpenError> {
    let version = read(connection, file, "SELECT sqlite_version()").await?;
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
        let actual = read(connection, file, query).await?;
        if actual != expected {
            return Err(OpenError::Unsafe {
                path: file.path().to_owned(),
                setting,
                actual,
                expected,
            });
        }
    }
    let unusable = |source| OpenError::unusable(file, source);
    // SQLite opens a read-only file without an error, and even begins a transaction there.
    // Only a change is refused.
    sqlx::raw_sql("BEGIN IMMEDIATE; PRAGMA user_version = 0; ROLLBACK")
        .execute(&mut *connection)
        .await
        .map_err(unusable)?;
    if recognised == Recognised::Unmarked {
        mark(connection).await.map_err(unusable)?;
        tracing::info!(
            "{} was loaded from a dump, and is now marked as a database of ironstar",
            file.path().display()
        );
    }
    Ok(())
}

async fn read(
    connection: &mut SqliteConnection,
    file: &DatabaseFile,
    query: &'static str,
) -> Result<String, OpenError> {
    sqlx::query_scalar(query)
        .fetch_one(connection)
        .await
        .map_err(|source| OpenError::unusable(file, source))
}

fn parse_version(version: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests;
