//! Connections that only read. Their results reach a caller only after a check of the files.

use std::future::Future;

use ironstar_ports::StoreError;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqlitePoolOptions};
use tokio::sync::mpsc;

use super::connection::{BUSY_TIMEOUT, options};
use super::file::Files;
use super::open_error::OpenError;
use super::path::DatabaseFile;
use super::writer::closed;

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
        // sqlx opens a refused connection again until its patience ends, and then returns a
        // timeout instead of the reason.
        let (refused, mut refusals) = mpsc::unbounded_channel();
        let pool = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            // A connection inside the process does not break by itself.
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let (files, refused) = (of_connection.clone(), refused.clone());
                Box::pin(async move {
                    let Err(error) = begin(connection, &files).await else {
                        return Ok(());
                    };
                    let text = error.to_string();
                    // After the opening, the reason is not needed any more.
                    let _ = refused.send(error);
                    Err(sqlx::Error::Protocol(text))
                })
            })
            .connect_lazy_with(options(place).read_only(true));
        // With `min_connections`, a background task of sqlx would open some of them, perhaps
        // later.
        let mut all = Vec::new();
        for _ in 0..READERS {
            let reader = tokio::select! {
                Some(reason) = refusals.recv() => Err(reason),
                reader = pool.acquire() => reader,
            };
            all.push(reader.map_err(unusable)?);
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
        self.check_open()?;
        let may_read = self.files.check_before_read().await;
        may_read.map_err(StoreError::from)?;
        let outcome = read.await;
        // The last connection to close removes the log and the index.
        self.check_open()?;
        let may_tell = self.files.check_after_read().await;
        may_tell.map_err(StoreError::from)?;
        outcome
    }

    fn check_open(&self) -> Result<(), StoreError> {
        if self.pool.is_closed() {
            return Err(closed());
        }
        Ok(())
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Makes a new connection open the log, and checks that it has the right files.
async fn begin(connection: &mut SqliteConnection, files: &Files) -> sqlx::Result<()> {
    // SQLite opens the log at the first read.
    sqlx::query("SELECT count(*) FROM sqlite_schema")
        .execute(connection)
        .await?;
    let checked = files.check();
    checked.map_err(|error| sqlx::Error::Configuration(error.into()))
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::{fs, iter};

    use tempfile::TempDir;

    use super::*;
    use crate::sqlite::SqliteDatabase;

    #[tokio::test]
    async fn refused_reader_is_reported_with_the_reason() {
        let directory = TempDir::new().expect("a directory");
        let url = directory.path().join("ironstar.db").into();
        let database = SqliteDatabase::open(&url).await.expect("opened");
        fs::remove_file(directory.path().join("ironstar.db-shm")).expect("removed");
        let refused = Readers::open(&database.place, database.files).await;
        let error = refused.map(|_| ()).expect_err("refused");
        let error: &dyn Error = &error;
        let causes = iter::successors(Some(error), |error| (*error).source());
        let texts: Vec<_> = causes.map(ToString::to_string).collect();
        let is_told = |text: &String| text.contains("-shm was removed while it was open");
        assert!(texts.iter().any(is_told), "{texts:?}");
    }
}
