//! The session store of a database. Each change is one statement, and so its own transaction.

use async_trait::async_trait;
use ironstar_ports::{SecretStore, SessionHash, SessionStore, StoreError, StoredSession};
use time::OffsetDateTime;

use super::database::Pools;
use crate::sessions;

/// The number of expired sessions that one sweep removes at most.
const SWEPT: i64 = 1_000;

const LOAD: &str =
    "SELECT data::text, expires_at FROM sessions WHERE id_hash = $1 AND expires_at > $2";

const CREATE: &str = "INSERT INTO sessions (id_hash, data, expires_at) VALUES ($1, $2::json, $3)";

const REPLACE: &str = "
    UPDATE sessions SET id_hash = $2, data = $3::json, expires_at = $4
    WHERE id_hash = $1 AND expires_at > $5";

const PROLONG: &str = "UPDATE sessions SET expires_at = $2 WHERE id_hash = $1 AND expires_at > $3";

const TAKE: &str = "DELETE FROM sessions WHERE id_hash = $1 RETURNING data::text, expires_at";

/// Sessions that another server is removing are left to it.
const SWEEP: &str = "
    DELETE FROM sessions WHERE id_hash IN (
        SELECT id_hash FROM sessions WHERE expires_at <= $1
        ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
    )";

const SECRET: &str = "
    INSERT INTO secrets (name, value) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET value = secrets.value
    RETURNING value";

/// Sessions and the secrets of the installation, in the same database as the log.
#[derive(Debug)]
pub struct PostgresSessionStore {
    pools: Pools,
}

impl PostgresSessionStore {
    pub(super) const fn new(pools: Pools) -> Self {
        Self { pools }
    }
}

#[async_trait]
impl SessionStore for PostgresSessionStore {
    async fn create(&self, session: StoredSession) -> Result<(), StoreError> {
        let query = sqlx::query(CREATE)
            .bind(&session.id.as_bytes()[..])
            .bind(session.data.as_str())
            .bind(session.expires_at.unix_timestamp());
        self.pools.writers.execute(query).await?;
        Ok(())
    }

    async fn load(
        &self,
        id: &SessionHash,
        now: OffsetDateTime,
    ) -> Result<Option<StoredSession>, StoreError> {
        let query = sqlx::query_as(LOAD)
            .bind(&id.as_bytes()[..])
            .bind(now.unix_timestamp());
        let row = self.pools.readers.row(query).await?;
        let session = row.map(|row| sessions::session(*id, row));
        Ok(session.transpose()?)
    }

    async fn replace(
        &self,
        old: &SessionHash,
        new: StoredSession,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query(REPLACE)
            .bind(&old.as_bytes()[..])
            .bind(&new.id.as_bytes()[..])
            .bind(new.data.as_str())
            .bind(new.expires_at.unix_timestamp())
            .bind(now.unix_timestamp());
        Ok(self.pools.writers.execute(query).await? > 0)
    }

    async fn prolong(
        &self,
        id: &SessionHash,
        expires_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query(PROLONG)
            .bind(&id.as_bytes()[..])
            .bind(expires_at.unix_timestamp())
            .bind(now.unix_timestamp());
        Ok(self.pools.writers.execute(query).await? > 0)
    }

    async fn take(
        &self,
        id: &SessionHash,
        now: OffsetDateTime,
    ) -> Result<Option<StoredSession>, StoreError> {
        let query = sqlx::query_as(TAKE).bind(&id.as_bytes()[..]);
        let row = self.pools.writers.row(query).await?;
        let taken = row.map(|row| sessions::session(*id, row)).transpose()?;
        Ok(taken.filter(|taken| taken.expires_at > now))
    }

    async fn sweep(&self, now: OffsetDateTime) -> Result<usize, StoreError> {
        let query = sqlx::query(SWEEP).bind(now.unix_timestamp()).bind(SWEPT);
        let swept = self.pools.writers.execute(query).await?;
        Ok(usize::try_from(swept).unwrap_or(usize::MAX))
    }
}

#[async_trait]
impl SecretStore for PostgresSessionStore {
    async fn secret(&self, name: &str, new: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let query = sqlx::query_as(SECRET).bind(name).bind(&new[..]);
        let secret: Option<(Vec<u8>,)> = self.pools.writers.row(query).await?;
        let (secret,) = secret.unwrap_or_default();
        Ok(sessions::secret(secret)?)
    }
}
