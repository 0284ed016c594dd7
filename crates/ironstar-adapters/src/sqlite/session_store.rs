//! The session store of a database: the writer makes changes, and the readers answer queries.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{FutureExt, TryFutureExt};
use ironstar_ports::{SecretStore, SessionHash, SessionStore, StoreError, StoredSession};
use time::OffsetDateTime;

use super::readers::Readers;
use super::sessions;
use super::writer::Writer;

/// Sessions and the secrets of the installation, in the same SQLite file as the log.
#[derive(Debug)]
pub struct SqliteSessionStore {
    pub(super) writer: Writer,
    pub(super) readers: Readers,
}

#[async_trait]
impl SessionStore for SqliteSessionStore {
    async fn create(&self, session: StoredSession) -> Result<(), StoreError> {
        let session = Arc::new(session);
        self.writer
            .run(move |connection| {
                let session = Arc::clone(&session);
                async move { sessions::create(connection, &session).await }.boxed()
            })
            .await
    }

    async fn load(
        &self,
        id: &SessionHash,
        now: OffsetDateTime,
    ) -> Result<Option<StoredSession>, StoreError> {
        let load = sessions::load(self.readers.pool(), id, now);
        self.readers
            .read(load.map_err(StoreError::unavailable))
            .await
    }

    async fn replace(
        &self,
        old: &SessionHash,
        new: StoredSession,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let (old, new) = (*old, Arc::new(new));
        self.writer
            .run(move |connection| {
                let new = Arc::clone(&new);
                async move { sessions::replace(connection, old, &new, now).await }.boxed()
            })
            .await
    }

    async fn prolong(
        &self,
        id: &SessionHash,
        expires_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let id = *id;
        self.writer
            .run(move |connection| sessions::prolong(connection, id, expires_at, now).boxed())
            .await
    }

    async fn take(
        &self,
        id: &SessionHash,
        now: OffsetDateTime,
    ) -> Result<Option<StoredSession>, StoreError> {
        let id = *id;
        self.writer
            .run(move |connection| sessions::take(connection, id, now).boxed())
            .await
    }

    async fn sweep(&self, now: OffsetDateTime) -> Result<usize, StoreError> {
        self.writer
            .run(move |connection| sessions::sweep(connection, now).boxed())
            .await
    }
}

#[async_trait]
impl SecretStore for SqliteSessionStore {
    async fn secret(&self, name: &str, new: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let name: Arc<str> = name.into();
        self.writer
            .run(move |connection| {
                let name = Arc::clone(&name);
                async move { sessions::secret(connection, &name, new).await }.boxed()
            })
            .await
    }
}
