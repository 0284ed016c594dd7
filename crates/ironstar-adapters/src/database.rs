//! The database of a server: SQLite or PostgreSQL, as its URL says.
//!
//! This is the only place that knows both. All else uses the ports.

use std::fmt::{self, Display};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ironstar_ports::{
    Clock, EventStore, LeaseStore, ProjectionStore, SecretStore, SessionStore, SnapshotStore,
    StoreError,
};

use crate::archive::Archive;
use crate::migration::Migration;
use crate::postgres::{self, PostgresArchive, PostgresDatabase, PostgresEventStore, PostgresUrl};
use crate::sqlite::{
    self, DatabaseFile, SqliteArchive, SqliteDatabase, SqliteEventStore, SqliteUrl,
};

/// The address of a database.
#[derive(Clone, Debug)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(SqliteUrl),
    /// A PostgreSQL database.
    Postgres(PostgresUrl),
}

/// Reasons why a text is not a [`DatabaseUrl`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UrlError {
    /// The text names no database.
    #[error(
        "a database URL looks like sqlite:ironstar.db, sqlite:/var/lib/ironstar.db or \
         postgres://user@host/database"
    )]
    Malformed,
    /// The text names no SQLite file.
    #[error(transparent)]
    Sqlite(sqlite::UrlError),
    /// The text names no PostgreSQL database.
    #[error(transparent)]
    Postgres(postgres::UrlError),
}

/// Reasons why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The SQLite file cannot be opened.
    #[error(transparent)]
    Sqlite(#[from] sqlite::OpenError),
    /// The PostgreSQL database cannot be opened.
    #[error(transparent)]
    Postgres(#[from] postgres::OpenError),
}

/// All stores of one open database. They end together.
#[derive(Clone, Debug)]
pub struct Stores {
    /// The log.
    pub events: Arc<dyn EventStore>,
    /// The snapshots.
    pub snapshots: Arc<dyn SnapshotStore>,
    /// The read models.
    pub projections: Arc<dyn ProjectionStore>,
    /// The nodes that share the database, and their leases. `None` if the database is not made
    /// for several nodes.
    pub leases: Option<Arc<dyn LeaseStore>>,
    /// The sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// The secrets.
    pub secrets: Arc<dyn SecretStore>,
    /// The clock by which data expires.
    pub clock: Arc<dyn Clock>,
    /// The database as text, without its password.
    pub name: String,
    log: Log,
}

/// The log, as its adapter has it.
#[derive(Clone, Debug)]
enum Log {
    Sqlite(Arc<SqliteEventStore>),
    Postgres(Arc<PostgresEventStore>),
}

impl DatabaseUrl {
    /// The database as text, without its password. For a SQLite file, its absolute path.
    ///
    /// # Errors
    ///
    /// If the SQLite file cannot be found.
    pub fn name(&self) -> Result<String, OpenError> {
        match self {
            Self::Sqlite(url) => Ok(text(DatabaseFile::find(url)?.path())),
            Self::Postgres(url) => Ok(url.to_string()),
        }
    }

    /// Returns false if the database is a SQLite file that does not exist. Asks no PostgreSQL
    /// server.
    ///
    /// # Errors
    ///
    /// If the SQLite file cannot be found.
    pub fn may_exist(&self) -> Result<bool, OpenError> {
        match self {
            Self::Sqlite(url) => Ok(DatabaseFile::find(url)?.exists()),
            Self::Postgres(_) => Ok(true),
        }
    }

    /// Opens the database, and brings its schema up to date. A missing SQLite file is created.
    /// Commands are remembered for at least `retention`.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub async fn open(
        &self,
        clock: Arc<dyn Clock>,
        retention: Duration,
    ) -> Result<Stores, OpenError> {
        match self {
            Self::Sqlite(url) => {
                let database = SqliteDatabase::open(url).await?;
                let name = text(database.path());
                let log = Arc::new(SqliteEventStore::new(database, clock, retention));
                let sessions = Arc::new(log.sessions());
                Ok(Stores {
                    events: log.clone(),
                    snapshots: log.clone(),
                    projections: Arc::new(log.projections()),
                    leases: None,
                    sessions: sessions.clone(),
                    secrets: sessions,
                    clock: log.clock(),
                    name,
                    log: Log::Sqlite(log),
                })
            }
            Self::Postgres(url) => {
                let database = PostgresDatabase::open(url, clock).await?;
                let name = database.name();
                let log = Arc::new(PostgresEventStore::new(database, retention));
                let sessions = Arc::new(log.sessions());
                Ok(Stores {
                    events: log.clone(),
                    snapshots: log.clone(),
                    projections: Arc::new(log.projections()),
                    leases: Some(Arc::new(log.leases())),
                    sessions: sessions.clone(),
                    secrets: sessions,
                    clock: log.clock(),
                    name,
                    log: Log::Postgres(log),
                })
            }
        }
    }

    /// Opens the database for a move. Brings its schema up to date. A missing SQLite file is
    /// created.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub async fn archive(&self) -> Result<Box<dyn Archive>, OpenError> {
        match self {
            Self::Sqlite(url) => Ok(Box::new(SqliteArchive::open(url).await?)),
            Self::Postgres(url) => Ok(Box::new(PostgresArchive::open(url).await?)),
        }
    }

    /// Brings the schema of the database up to date. Returns all migrations that it has now.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub async fn migrate(&self) -> Result<Vec<Migration>, OpenError> {
        match self {
            Self::Sqlite(url) => Ok(sqlite::migrate(url).await?),
            Self::Postgres(url) => Ok(postgres::migrate(url).await?),
        }
    }

    /// Lists all migrations, and whether the database has each of them. This changes nothing.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub async fn migration_status(&self) -> Result<Vec<Migration>, OpenError> {
        match self {
            Self::Sqlite(url) => Ok(sqlite::migration_status(url).await?),
            Self::Postgres(url) => Ok(postgres::migration_status(url).await?),
        }
    }
}

impl OpenError {
    /// Returns true if the same attempt may succeed later, without an operator.
    #[must_use]
    pub fn may_heal(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(error) => error.may_heal(),
        }
    }
}

impl Stores {
    /// Commits the waiting requests, and closes the database. Later requests are refused.
    ///
    /// # Errors
    ///
    /// If the database cannot be closed cleanly.
    pub async fn close(&self) -> Result<(), StoreError> {
        match &self.log {
            Log::Sqlite(log) => log.close().await,
            Log::Postgres(log) => {
                log.close().await;
                Ok(())
            }
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if PostgresUrl::is_meant(text) {
            return text.parse().map(Self::Postgres).map_err(UrlError::Postgres);
        }
        match text.parse() {
            Ok(url) => Ok(Self::Sqlite(url)),
            Err(sqlite::UrlError::Malformed) => Err(UrlError::Malformed),
            Err(error) => Err(UrlError::Sqlite(error)),
        }
    }
}

impl Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(url) => Display::fmt(url, f),
            Self::Postgres(url) => Display::fmt(url, f),
        }
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
