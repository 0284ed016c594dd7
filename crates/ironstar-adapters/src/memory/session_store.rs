//! Sessions and secrets in maps.

use std::collections::HashMap;

use async_trait::async_trait;
use ironstar_ports::{SecretStore, SessionHash, SessionStore, StoreError, StoredSession};
use parking_lot::Mutex;
use time::OffsetDateTime;

/// Sessions that are lost when the process ends.
#[derive(Debug, Default)]
pub struct MemorySessionStore {
    sessions: Mutex<HashMap<SessionHash, StoredSession>>,
}

/// Secrets that are lost when the process ends.
#[derive(Default)]
pub struct MemorySecretStore {
    secrets: Mutex<HashMap<String, [u8; 32]>>,
}

impl MemorySessionStore {
    /// Creates a store without sessions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of sessions, including expired ones.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sessions.lock().len()
    }
}

impl MemorySecretStore {
    /// Creates a store without secrets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl std::fmt::Debug for MemorySecretStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemorySecretStore").finish_non_exhaustive()
    }
}

fn name_is_taken() -> StoreError {
    StoreError::unavailable("a session with this id already exists")
}

/// Returns the session as it is stored: its expiry is cut to the second.
fn to_the_second(session: StoredSession) -> StoredSession {
    StoredSession {
        expires_at: session.expires_at.truncate_to_second(),
        ..session
    }
}

#[async_trait]
impl SessionStore for MemorySessionStore {
    async fn create(&self, session: StoredSession) -> Result<(), StoreError> {
        let mut sessions = self.sessions.lock();
        if sessions.contains_key(&session.id) {
            return Err(name_is_taken());
        }
        sessions.insert(session.id, to_the_second(session));
        Ok(())
    }

    async fn load(
        &self,
        id: &SessionHash,
        now: OffsetDateTime,
    ) -> Result<Option<StoredSession>, StoreError> {
        let session = self.sessions.lock().get(id).cloned();
        Ok(session.filter(|session| session.expires_at > now))
    }

    async fn replace(
        &self,
        old: &SessionHash,
        new: StoredSession,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let mut sessions = self.sessions.lock();
        if sessions.get(old).is_none_or(|old| old.expires_at <= now) {
            return Ok(false);
        }
        if new.id != *old && sessions.contains_key(&new.id) {
            return Err(name_is_taken());
        }
        sessions.remove(old);
        sessions.insert(new.id, to_the_second(new));
        Ok(true)
    }

    async fn prolong(
        &self,
        id: &SessionHash,
        expires_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let mut sessions = self.sessions.lock();
        let known = sessions.get_mut(id);
        let Some(known) = known.filter(|known| known.expires_at > now) else {
            return Ok(false);
        };
        known.expires_at = expires_at.truncate_to_second();
        Ok(true)
    }

    async fn take(
        &self,
        id: &SessionHash,
        now: OffsetDateTime,
    ) -> Result<Option<StoredSession>, StoreError> {
        let taken = self.sessions.lock().remove(id);
        Ok(taken.filter(|session| session.expires_at > now))
    }

    async fn sweep(&self, now: OffsetDateTime) -> Result<usize, StoreError> {
        let mut sessions = self.sessions.lock();
        let before = sessions.len();
        sessions.retain(|_, session| session.expires_at > now);
        Ok(before - sessions.len())
    }
}

#[async_trait]
impl SecretStore for MemorySecretStore {
    async fn secret(&self, name: &str, new: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let mut secrets = self.secrets.lock();
        Ok(*secrets.entry(name.to_owned()).or_insert(new))
    }
}
