//! The connection that writes, and whether what it commits is on disk.
//!
//! Events have to be; what can be made anew need not. It is written over the
//! same connection, so that there is one cache of the file and one writer, but
//! without waiting for the disk. There is no way to the connection but through
//! here, which says each time what is needed of it.

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};

// SQLite may change a setting as early as it prepares the statement
// (<https://sqlite.org/pragma.html>), so a statement that is kept prepared need
// not change it again. `raw_sql` keeps none.

/// Commits are on disk when they are answered. Reads it back.
const FULL: &str = "PRAGMA synchronous = FULL; SELECT synchronous FROM pragma_synchronous";

/// Commits survive the process, but perhaps not a power cut.
const NORMAL: &str = "PRAGMA synchronous = NORMAL";

/// What SQLite calls `FULL`.
const IS_FULL: i64 = 2;

/// The connection that writes.
#[derive(Debug)]
pub(super) struct WriteConnection {
    connection: SqliteConnection,
    /// Whether a commit might not be on disk when it is answered.
    is_relaxed: bool,
}

/// Commits would not be on disk.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDurable {
    #[error("SQLite cannot be set to synchronous=FULL")]
    Sqlite(#[from] sqlx::Error),
    #[error("SQLite runs with synchronous={0}, but {IS_FULL} (FULL) is needed to keep events safe")]
    Ignored(i64),
}

impl WriteConnection {
    /// A connection that has been checked to run with `synchronous=FULL`.
    pub(super) fn new(connection: SqliteConnection) -> Self {
        Self {
            connection,
            is_relaxed: false,
        }
    }

    /// The connection, for what must be on disk when it is answered.
    pub(super) async fn durable(&mut self) -> Result<&mut SqliteConnection, NotDurable> {
        if self.is_relaxed {
            let actual = match self.restore().await {
                Ok(actual) => actual,
                Err(error) => {
                    // The setting cannot be changed while a transaction is open.
                    roll_back(&mut self.connection).await;
                    return Err(error.into());
                }
            };
            if actual != IS_FULL {
                return Err(NotDurable::Ignored(actual));
            }
            self.is_relaxed = false;
        }
        Ok(&mut self.connection)
    }

    /// The connection, for what can be made anew.
    pub(super) async fn relaxed(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        if !self.is_relaxed {
            self.is_relaxed = true;
            sqlx::raw_sql(NORMAL).execute(&mut self.connection).await?;
        }
        Ok(&mut self.connection)
    }

    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        self.connection.close().await
    }

    async fn restore(&mut self) -> Result<i64, sqlx::Error> {
        let row = sqlx::raw_sql(FULL).fetch_one(&mut self.connection).await?;
        row.try_get(0)
    }
}

/// Leaves no transaction open.
pub(super) async fn roll_back_if_failed<T, E>(
    connection: &mut SqliteConnection,
    outcome: Result<T, E>,
) -> Result<T, E> {
    if outcome.is_err() {
        roll_back(connection).await;
    }
    outcome
}

async fn roll_back(connection: &mut SqliteConnection) {
    if let Err(error) = sqlx::query("ROLLBACK").execute(connection).await {
        // Expected when SQLite has rolled back by itself, as on a full disk.
        tracing::debug!(%error, "there was nothing to roll back");
    }
}

#[cfg(test)]
mod tests;
