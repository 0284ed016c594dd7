//! The schema of a database: its migrations, and which of them a database has.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::postgres::PgConnection;

use super::clock::DatabaseClock;
use super::connection::{Connector, Use, close};
use super::open_error::OpenError;
use super::schema::MIGRATOR;
use super::url::PostgresUrl;
use crate::migration::Migration;
use crate::system::SystemClock;

const HAS_MIGRATIONS: &str = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
const SELECT_APPLIED: &str = "SELECT version, description FROM _sqlx_migrations WHERE success";

/// Brings the schema of a database up to date. Returns all migrations that the database has now.
/// Several processes may do this at the same time.
///
/// # Errors
///
/// See [`OpenError`].
pub async fn migrate(url: &PostgresUrl) -> Result<Vec<Migration>, OpenError> {
    let connector = connector(url)?;
    run(&connector).await?;
    status(&connector).await
}

/// Lists all migrations, and whether a database has each of them. This changes nothing.
///
/// # Errors
///
/// See [`OpenError`].
pub async fn migration_status(url: &PostgresUrl) -> Result<Vec<Migration>, OpenError> {
    status(&connector(url)?).await
}

/// Applies the missing migrations.
pub(super) async fn run(connector: &Connector) -> Result<(), OpenError> {
    let mut connection = connector.connect(Use::Migrate).await?;
    // `Migrator::run` does the same, but its future cannot move between threads.
    let migrated = MIGRATOR.run_direct(None, &mut connection, false).await;
    close(connection).await;
    migrated.map_err(|error| OpenError::migration(&connector.url, error))
}

async fn status(connector: &Connector) -> Result<Vec<Migration>, OpenError> {
    let mut connection = connector.connect(Use::Migrate).await?;
    let applied = applied(&mut connection).await;
    close(connection).await;
    let mut applied = applied.map_err(|error| OpenError::of(&connector.url, error))?;
    let own = MIGRATOR.iter().map(|migration| Migration {
        version: migration.version,
        description: migration.description.to_string(),
        applied: applied.remove(&migration.version).is_some(),
    });
    let mut migrations: Vec<Migration> = own.collect();
    migrations.extend(applied.into_iter().map(|(version, description)| Migration {
        version,
        description: format!("{description} (of a newer program)"),
        applied: true,
    }));
    Ok(migrations)
}

/// Returns the applied migrations: their numbers and descriptions.
async fn applied(connection: &mut PgConnection) -> Result<BTreeMap<i64, String>, sqlx::Error> {
    let has_migrations: bool = sqlx::query_scalar(HAS_MIGRATIONS)
        .fetch_one(&mut *connection)
        .await?;
    if !has_migrations {
        return Ok(BTreeMap::new());
    }
    let applied: Vec<(i64, String)> = sqlx::query_as(SELECT_APPLIED).fetch_all(connection).await?;
    Ok(applied.into_iter().collect())
}

fn connector(url: &PostgresUrl) -> Result<Connector, OpenError> {
    let clock = Arc::new(DatabaseClock::new(Arc::new(SystemClock)));
    Ok(Connector::new(url.clone(), clock)?)
}
