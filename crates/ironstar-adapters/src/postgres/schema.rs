//! The migrations that this program knows, and whether it may use a database.
//!
//! During an upgrade, programs of two versions serve one database. So a database may have
//! migrations that a program does not know, as long as it is compatible with the program
//! (docs/adr/0019).

use std::sync::LazyLock;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;

/// All migrations in `migrations/postgres`.
pub(super) static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("../../migrations/postgres");
    migrator.set_ignore_missing(true);
    migrator
});

const SELECT_OLDEST: &str = "SELECT oldest FROM compatibility";

/// Returns the migration that a program must know to use this database, unless this program
/// knows it.
pub(super) async fn lacking(connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
    let oldest: i64 = sqlx::query_scalar(SELECT_OLDEST)
        .fetch_one(connection)
        .await?;
    Ok(Some(oldest).filter(|oldest| !MIGRATOR.version_exists(*oldest)))
}
