//! The schema of a database: its migrations, and which of them a database has.

use std::collections::HashSet;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, Connection};

use super::code;
use super::connection::{connect, options};
use super::link;
use super::open_error::OpenError;
use super::path::{DatabaseFile, beside};
use super::refusal::{Refusal, cause_of};
use super::url::SqliteUrl;
use crate::migration::Migration;

/// All migrations in `migrations/sqlite`.
pub(super) static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// Brings the schema of a database up to date. Creates the file if there is none. Returns all
/// migrations that the database has now.
///
/// # Errors
///
/// See [`OpenError`].
pub async fn migrate(url: &SqliteUrl) -> Result<Vec<Migration>, OpenError> {
    let file = DatabaseFile::find(url)?;
    let mut connection = connect(&file).await?;
    let outcome = run(&file, &mut connection).await;
    let closed = connection.close().await;
    outcome?;
    closed.map_err(|source| OpenError::unusable(&file, source))?;
    status(&file).await
}

/// Lists all migrations, and whether a database has each of them. This changes nothing: a
/// file that does not exist is not created, and counts as a database without migrations.
///
/// # Errors
///
/// See [`OpenError`].
pub async fn migration_status(url: &SqliteUrl) -> Result<Vec<Migration>, OpenError> {
    status(&DatabaseFile::find(url)?).await
}

async fn status(file: &DatabaseFile) -> Result<Vec<Migration>, OpenError> {
    let applied = applied_versions(file).await?;
    if let Some(&version) = applied
        .iter()
        .find(|version| !MIGRATOR.version_exists(**version))
    {
        return Err(OpenError::NewerSchema {
            path: file.path().to_owned(),
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

/// The number of attempts if other processes apply migrations at the same time. Each attempt
/// of theirs applies at least one.
const ATTEMPTS: u32 = 8;

/// Applies the missing migrations.
pub(super) async fn run(
    file: &DatabaseFile,
    connection: &mut SqliteConnection,
) -> Result<(), OpenError> {
    let mut attempts = 1;
    let error = loop {
        match MIGRATOR.run(&mut *connection).await {
            Ok(()) => return Ok(()),
            // Another process may have applied the same migration first.
            Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..))
                if attempts < ATTEMPTS =>
            {
                attempts += 1;
            }
            Err(error) => break error,
        }
    };
    let path = file.path().to_owned();
    if let MigrateError::VersionMissing(version) = error {
        return Err(OpenError::NewerSchema { path, version });
    }
    match code::result_code(&error).and_then(|code| cause_of(&path, code)) {
        Some(cause) => Err(Refusal::new(&path, cause, error).into()),
        None => Err(OpenError::Migration {
            path,
            source: error,
        }),
    }
}

async fn applied_versions(file: &DatabaseFile) -> Result<HashSet<i64>, OpenError> {
    let unusable = |source| OpenError::unusable(file, source);
    if !file.exists() {
        return Ok(HashSet::new());
    }
    // Reading a write-ahead log creates files beside it. Without a log, `immutable` avoids
    // that.
    link::check(file.path())?;
    let has_log = beside(file.path(), "-wal").exists();
    let mut connection = options(file)
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
