//! Decides whether an existing file holds a database of ironstar.
//!
//! The first migration marks a file with an application id. A dump does not contain that mark
//! (`sqlite3 old.db .dump | sqlite3 new.db`). So a file without any mark is recognised by the
//! checksum of the first migration, provided that the dump was loaded completely.

use std::collections::BTreeSet;
use std::fs;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use super::connection::options;
use super::migrations::MIGRATOR;
use super::open_error::OpenError;
use super::path::{DatabaseFile, beside};

/// The application id that the first migration sets: 'iron' in ASCII.
pub(super) const APPLICATION_ID: i64 = 1_769_107_310;

const MARK: &str = "PRAGMA application_id = 1769107310";

/// Reads the mark, the number of tables and similar objects besides the list of migrations,
/// and whether that list exists.
const LOOK: &str = "
    SELECT application_id, (SELECT count(*) FROM sqlite_schema
                            WHERE name <> '_sqlx_migrations' AND name NOT LIKE 'sqlite_%'),
           EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')
    FROM pragma_application_id";

const NAMES: &str = "SELECT type || ' ' || name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'";

/// Returns true if the log, or a stream in it, has a gap.
const HAS_GAP: &str = "
    SELECT (SELECT count(*) <> coalesce(max(id), 0) FROM events)
        OR EXISTS (SELECT 1 FROM events GROUP BY aggregate_type, aggregate_id
                   HAVING count(*) <> max(sequence) + 1)";

/// The content of a file that may be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Recognised {
    /// The file is empty.
    Empty,
    /// A database with the mark.
    Marked,
    /// A complete database without the mark, loaded from a dump.
    Unmarked,
}

/// Inspects a file before anything in it is changed. If the file has a log, the connection is
/// read-only: otherwise SQLite would copy the log to the database at the close. If it has no
/// log, a connection that may write removes the empty log that it creates.
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

/// Marks a database that was loaded from a dump.
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
        // An interrupted start may have left only the list of migrations.
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

/// Returns the last migration of a database, if its first migration is ironstar's.
async fn version(connection: &mut SqliteConnection) -> Result<Option<i64>, sqlx::Error> {
    let first = MIGRATOR.iter().next().expect("there are migrations");
    sqlx::query_scalar(
        "SELECT max(version) FROM _sqlx_migrations WHERE success AND EXISTS (
             SELECT 1 FROM _sqlx_migrations WHERE version = ?1 AND checksum = ?2)",
    )
    .bind(first.version)
    .bind(first.checksum.to_vec())
    .fetch_one(connection)
    .await
}

/// Returns the first object or data that a database of this schema version lacks.
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

/// The names of all tables, indexes, triggers and views, such as `table events`.
async fn names(connection: &mut SqliteConnection) -> Result<BTreeSet<String>, sqlx::Error> {
    let names: Vec<String> = sqlx::query_scalar(NAMES).fetch_all(connection).await?;
    Ok(names.into_iter().collect())
}
