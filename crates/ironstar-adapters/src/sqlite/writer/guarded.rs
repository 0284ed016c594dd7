//! The connection that writes, which stays open if its files are displaced.
//!
//! When the task ends, even by a panic, the data of displaced files is saved.

use std::mem;
use std::ops::{Deref, DerefMut};

use ironstar_ports::StoreError;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use crate::sqlite::file::Files;

/// A connection that is closed only if its files are in place. Otherwise it stays open until
/// the process ends, because SQLite would remove the file that now has the log's name.
pub(super) struct Guarded {
    /// `None` only after the close or during the drop.
    connection: Option<SqliteConnection>,
    files: Files,
}

impl Guarded {
    pub(super) fn new(connection: SqliteConnection, files: Files) -> Self {
        let connection = Some(connection);
        Self { connection, files }
    }

    /// Closes the connection if its files are in place.
    pub(super) async fn close(mut self) -> Result<(), StoreError> {
        self.files.check()?;
        match self.connection.take() {
            Some(connection) => connection.close().await.map_err(StoreError::unavailable),
            None => Ok(()),
        }
    }
}

impl Deref for Guarded {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.connection.as_ref().expect(IS_THERE)
    }
}

impl DerefMut for Guarded {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.connection.as_mut().expect(IS_THERE)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && self.files.check().is_err()
        {
            mem::forget(connection);
            self.files.rescue();
        }
    }
}

const IS_THERE: &str = "the connection is present until the drop";
