//! Sessions and secrets. Each change is one statement, and so its own transaction, on the
//! connection that writes.

use ironstar_ports::{SessionHash, StoredSession};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use time::OffsetDateTime;

use super::file::FileError;
use crate::sessions::{self, RowError, session};

/// The number of expired sessions that one sweep removes at most.
const SWEPT: i64 = 1_000;

const LOAD: &str = "SELECT data, expires_at FROM sessions WHERE id_hash = ?1 AND expires_at > ?2";

const CREATE: &str = "INSERT INTO sessions (id_hash, data, expires_at) VALUES (?1, ?2, ?3)";

const REPLACE: &str = "
    UPDATE sessions SET id_hash = ?2, data = ?3, expires_at = ?4
    WHERE id_hash = ?1 AND expires_at > ?5";

const PROLONG: &str = "UPDATE sessions SET expires_at = ?2 WHERE id_hash = ?1 AND expires_at > ?3";

const TAKE: &str = "DELETE FROM sessions WHERE id_hash = ?1 RETURNING data, expires_at";

const SWEEP: &str = "
    DELETE FROM sessions WHERE id_hash IN (
        SELECT id_hash FROM sessions WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2
    )";

const SECRET: &str = "
    INSERT INTO secrets (name, value) VALUES (?1, ?2)
    ON CONFLICT (name) DO UPDATE SET value = value
    RETURNING value";

/// Errors of storing or loading a session or a secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error(transparent)]
    Sqlite(#[from] sqlx::Error),
    #[error(transparent)]
    Row(#[from] RowError),
    #[error(transparent)]
    File(#[from] FileError),
}

pub(super) async fn load(
    readers: &SqlitePool,
    id: &SessionHash,
    now: OffsetDateTime,
) -> Result<Option<StoredSession>, SessionError> {
    let row: Option<(String, i64)> = sqlx::query_as(LOAD)
        .bind(&id.as_bytes()[..])
        .bind(now.unix_timestamp())
        .fetch_optional(readers)
        .await?;
    Ok(row.map(|row| session(*id, row)).transpose()?)
}

pub(super) async fn create(
    connection: &mut SqliteConnection,
    session: &StoredSession,
) -> Result<(), SessionError> {
    sqlx::query(CREATE)
        .bind(&session.id.as_bytes()[..])
        .bind(session.data.as_str())
        .bind(session.expires_at.unix_timestamp())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn replace(
    connection: &mut SqliteConnection,
    old: SessionHash,
    new: &StoredSession,
    now: OffsetDateTime,
) -> Result<bool, SessionError> {
    let replaced = sqlx::query(REPLACE)
        .bind(&old.as_bytes()[..])
        .bind(&new.id.as_bytes()[..])
        .bind(new.data.as_str())
        .bind(new.expires_at.unix_timestamp())
        .bind(now.unix_timestamp())
        .execute(connection)
        .await?;
    Ok(replaced.rows_affected() > 0)
}

pub(super) async fn prolong(
    connection: &mut SqliteConnection,
    id: SessionHash,
    expires_at: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<bool, SessionError> {
    let prolonged = sqlx::query(PROLONG)
        .bind(&id.as_bytes()[..])
        .bind(expires_at.unix_timestamp())
        .bind(now.unix_timestamp())
        .execute(connection)
        .await?;
    Ok(prolonged.rows_affected() > 0)
}

pub(super) async fn take(
    connection: &mut SqliteConnection,
    id: SessionHash,
    now: OffsetDateTime,
) -> Result<Option<StoredSession>, SessionError> {
    let row: Option<(String, i64)> = sqlx::query_as(TAKE)
        .bind(&id.as_bytes()[..])
        .fetch_optional(connection)
        .await?;
    let taken = row.map(|row| session(id, row)).transpose()?;
    Ok(taken.filter(|taken| taken.expires_at > now))
}

pub(super) async fn sweep(
    connection: &mut SqliteConnection,
    now: OffsetDateTime,
) -> Result<usize, SessionError> {
    let swept = sqlx::query(SWEEP)
        .bind(now.unix_timestamp())
        .bind(SWEPT)
        .execute(connection)
        .await?;
    Ok(usize::try_from(swept.rows_affected()).unwrap_or(usize::MAX))
}

pub(super) async fn secret(
    connection: &mut SqliteConnection,
    name: &str,
    new: [u8; 32],
) -> Result<[u8; 32], SessionError> {
    let secret: Vec<u8> = sqlx::query_scalar(SECRET)
        .bind(name)
        .bind(&new[..])
        .fetch_one(connection)
        .await?;
    Ok(sessions::secret(secret)?)
}
