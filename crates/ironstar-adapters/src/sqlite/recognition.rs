//! Whether a file that exists holds a database of ironstar's.
//!
//! The first migration marks a file with an application id. A dump does not carry
//! that mark (`sqlite3 old.db .dump | sqlite3 new.db`), so a file without any mark is
//! recognised by the first migration's checksum, if nothing of the dump is missing.

use std::collections::BTreeSet;
use std::fs;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use super::connection::options;
use super::migrations::MIGRATOR;
use super::open_error::OpenError;
use super::path::{DatabaseFile, beside};

/// 'iron' in ASCII, set by the first migration.
pub(super) const APPLICATION_ID: i64 = 1_769_107_310;

const MARK: &str = "PRAGMA application_id = 1769107310";

/// The mark, how many tables and the like there are besides the list of migrations,
/// and whether there is that list.
const LOOK: &str = "
    SELECT application_id, (SELECT count(*) FROM sqlite_schema
                            WHERE name <> '_sqlx_migrations' AND name NOT LIKE 'sqlite_%'),
           EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')
    FROM pragma_application_id";

const NAMES: &str = "SELECT type || ' ' || name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'";

/// Whether the log, or a stream in it, has a gap.
const HAS_GAP: &str = "
    SELECT (SELECT count(*) <> coalesce(max(id), 0) FROM events)
        OR EXISTS (SELECT 1 FROM events GROUP BY aggregate_type, aggregate_id
                   HAVING count(*) <> max(sequence) + 1)";

/// What a file holds that may be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Recognised {
    /// Nothing yet.
    Empty,
    /// A database with the mark.
    Marked,
    /// A whole database, loaded from a dump.
    Unmarked,
}

/// Looks at a file, before anything in it is changed. If it has a log, the connection
/// can only read, or SQLite would bring the log into the database when it is closed.
/// If it has none, a connection that writes removes the empty log that it makes.
pub(super) async fn recognise(file: &DatabaseFile) -> Result<Recognised, OpenError> {
    let unusable = |source| OpenError::unusable(file, source);
    let log = fs::metadata(beside(file.path(), "-wal"));
    let options = options(file).read_only(log.is_ok_and(|log| log.len() > 0));
    let mut connection = options.connect().await.map_err(unusable)?;
    let looked = look(&mut connection, file).await;
    let closed = connection.close().await.map_err(unusable);
    let recognised = looked?;
    closed?;
    Ok(recognised)
}

/// Gives a database from a dump the mark.
pub(super) async fn mark(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(MARK).execute(connection).await?;
    Ok(())
}

async fn look(
    connection: &mut SqliteConnection,
    file: &DatabaseFile,
) -> Result<Recognised, OpenError> {
    let unusable = |source| OpenError::unusable(file, source);
    let path = || file.path().to_owned();
    let (mark, objects, has_migrations): (i64, i64, bool) = sqlx::query_as(LOOK)
        .fetch_one(&mut *connection)
        .await
        .map_err(unusable)?;
    match (mark, objects) {
        (APPLICATION_ID, _) => return Ok(Recognised::Marked),
        // A start that was cut off may have left the list of migrations alone.
        (0, 0) => return Ok(Recognised::Empty),
        (0, _) if has_migrations => {}
        (_, _) => return Err(OpenError::Foreign { path: path() }),
    }
    let Some(version) = version(connection).await.map_err(unusable)? else {
        return Err(OpenError::Foreign { path: path() });
    };
    if !MIGRATOR.version_exists(version) {
        return Err(OpenError::NewerSchema {
            path: path(),
            version,
        });
    }
    match missing(connection, version).await.map_err(unusable)? {
        None => Ok(Recognised::Unmarked),
        Some(missing) => Err(OpenError::Incomplete {
            path: path(),
            missing,
        }),
    }
}

/// The last migration that a database has, if its first is ours.
async fn version(connection: &mut SqliteConnection) -> Result<Option<i64>, sqlx::Error> {
    let first = MIGRATOR.iter().next().expect("there is a migration");
    sqlx::query_scalar(
        "SELECT max(version) FROM _sqlx_migrations WHERE success AND EXISTS (
             SELECT 1 FROM _sqlx_migrations WHERE version = ?1 AND checksum = ?2)",
    )
    .bind(first.version)
    .bind(first.checksum.to_vec())
    .fetch_one(connection)
    .await
}

/// What a database lacks that has come as far as a migration.
async fn missing(
    connection: &mut SqliteConnection,
    version: i64,
) -> Result<Option<String>, sqlx::Error> {
    let mut whole = SqliteConnectOptions::new()
        .in_memory(true)
        .connect()
        .await?;
    MIGRATOR.run_to(version, &mut whole).await?;
    let expected = names(&mut whole).await?;
    let found = names(connection).await?;
    if let Some(missing) = expected.difference(&found).next() {
        return Ok(Some(format!("the {missing}")));
    }
    let has_gap: bool = sqlx::query_scalar(HAS_GAP).fetch_one(connection).await?;
    Ok(has_gap.then(|| "some of its events".to_owned()))
}

/// Every table, index, trigger and view, such as `table events`.
async fn names(connection: &mut SqliteConnection) -> Result<BTreeSet<String>, sqlx::Error> {
    let names: Vec<String> = sqlx::query_scalar(NAMES).fetch_all(connection).await?;
    Ok(names.into_iter().collect())
}
