//! Connections that only read. Their results reach a caller only after a check of the files.

use std::future::Future;

use ironstar_ports::StoreError;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};

use super::connection::{BUSY_TIMEOUT, options};
use super::file::Files;
use super::open_error::OpenError;
use super::path::DatabaseFile;

/// The number of connections that can read at the same time.
const READERS: u32 = 4;

/// A pool of connections that can only read.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    pool: SqlitePool,
    files: Files,
}

impl Readers {
    /// Opens all connections, and keeps them open. If sqlx has to open a connection again, it
    /// opens the files at the paths of that moment. So the files are checked before the
    /// connection is used.
    pub(super) async fn open(place: &DatabaseFile, files: Files) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::unusable(place, source);
        let of_connection = files.clone();
        let pool = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            // A connection inside the process does not break by itself.
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let files = of_connection.clone();
                Box::pin(async move {
                    // SQLite opens the log at the first read.
                    sqlx::query("SELECT count(*) FROM sqlite_schema")
                        .execute(connection)
                        .await?;
                    let checked = files.check();
                    checked.map_err(|error| sqlx::Error::Configuration(error.into()))
                })
            })
            .connect_with(options(place).read_only(true))
            .await
            .map_err(unusable)?;
        // With `min_connections`, a background task of sqlx would open some of them, perhaps
        // later.
        let mut all = Vec::new();
        for _ in 0..READERS {
            all.push(pool.acquire().await.map_err(unusable)?);
        }
        Ok(Self { pool, files })
    }

    /// The connections. Their results must pass through [`Self::read`].
    pub(super) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Runs a read, and returns its result only if the files are still in place.
    pub(super) async fn read<T, E>(
        &self,
        read: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        let may_read = self.files.check_before_read().await;
        may_read.map_err(StoreError::from)?;
        let outcome = read.await;
        let may_tell = self.files.check_after_read().await;
        may_tell.map_err(StoreError::from)?;
        outcome
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}
