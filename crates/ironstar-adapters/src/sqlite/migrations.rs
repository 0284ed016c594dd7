//! The schema, and how far a database has got with it.

use std::collections::HashSet;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, Connection};

use super::connection::{OpenError, connect, options};
use super::file::beside;
use super::link;
use super::url::SqliteUrl;

/// Every migration of `migrations/sqlite`.
static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// One step of the schema.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Migration {
    /// Its number.
    pub version: i64,
    /// What it is about.
    pub description: String,
    /// Whether the database has it.
    pub applied: bool,
}

/// Brings a database's schema up to date, creating the file if there is none.
/// Returns every migration that it has now.
///
/// # Errors
///
/// See [`OpenError`].
pub async fn migrate(url: &SqliteUrl) -> Result<Vec<Migration>, OpenError> {
    let mut connection = connect(url).await?;
    let outcome = run(url, &mut connection).await;
    let closed = connection.close().await;
    outcome?;
    closed.map_err(|source| OpenError::unusable(url, source))?;
    migration_status(url).await
}

/// Every migration, and whether a database has it. Changes nothing: a file
/// that does not exist has none, and is not created.
///
/// # Errors
///
/// See [`OpenError`].
pub async fn migration_status(url: &SqliteUrl) -> Result<Vec<Migration>, OpenError> {
    let applied = applied_versions(url).await?;
    if let Some(&version) = applied
        .iter()
        .find(|version| !MIGRATOR.version_exists(**version))
    {
        return Err(OpenError::NewerSchema {
            path: url.path().to_owned(),
            version,
        });
    }
    Ok(MIGRATOR
        .iter()
        .map(|migration| Migration {
            version: migration.version,
            description: migration.description.to_string(),
            applied: applied.contains(&migration.version),
        })
        .collect())
}

/// How often migrations are tried when others apply them at the same time: each
/// time at least one is.
const ATTEMPTS: u32 = 8;

/// Applies what is missing.
pub(super) async fn run(
    url: &SqliteUrl,
    connection: &mut SqliteConnection,
) -> Result<(), OpenError> {
    let mut attempts = 1;
    let error = loop {
        match MIGRATOR.run(&mut *connection).await {
            Ok(()) => return Ok(()),
            // Another process may have been quicker with the very same.
            Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..))
                if attempts < ATTEMPTS =>
            {
                attempts += 1;
            }
            Err(error) => break error,
        }
    };
    let path = url.path().to_owned();
    if let MigrateError::VersionMissing(version) = error {
        return Err(OpenError::NewerSchema { path, version });
    }
    let source = error;
    Err(OpenError::Migration { path, source })
}

async fn applied_versions(url: &SqliteUrl) -> Result<HashSet<i64>, OpenError> {
    let unusable = |source| OpenError::unusable(url, source);
    if !url.path().exists() {
        return Ok(HashSet::new());
    }
    // Reading a write-ahead log needs files beside it; without one, none are made.
    link::check(url.path())?;
    let has_log = beside(url.path(), "-wal").exists();
    let mut connection = options(url)
        .read_only(true)
        .immutable(!has_log)
        .connect()
        .await
        .map_err(unusable)?;
    let migrated: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')",
    )
    .fetch_one(&mut connection)
    .await
    .map_err(unusable)?;
    let versions = if migrated {
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success")
            .fetch_all(&mut connection)
            .await
            .map_err(unusable)?
    } else {
        Vec::new()
    };
    connection.close().await.map_err(unusable)?;
    Ok(versions.into_iter().collect())
}
