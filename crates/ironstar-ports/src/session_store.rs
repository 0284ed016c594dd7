//! Sessions: what is remembered of whoever comes back with the same secret.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{Payload, StoreError};

/// Keeps sessions, under names that are no use to anybody who reads the store.
///
/// Unlike a read model, what is in here cannot be made anew from the log. Every
/// adapter passes `contract::session_store`.
#[async_trait]
pub trait SessionStore: Debug + Send + Sync {
    /// Stores a new session.
    ///
    /// # Errors
    ///
    /// If the store does not work, or there is one of this name already.
    async fn create(&self, session: StoredSession) -> Result<(), StoreError>;

    /// A session that has not expired at `now`.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    async fn load(
        &self,
        id: &SessionHash,
        now: OffsetDateTime,
    ) -> Result<Option<StoredSession>, StoreError>;

    /// Has a session take the place of another, if that is there and has not expired
    /// at `now`: under the same name, or under a new one, and then the old name is
    /// nobody's. Returns whether it was: one that has been removed does not come back.
    /// Of many who replace the same one by others at once, one does. All of it
    /// happens, or nothing.
    ///
    /// # Errors
    ///
    /// If the store does not work, or there is another session of the new name.
    async fn replace(
        &self,
        old: &SessionHash,
        new: StoredSession,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError>;

    /// Has a session expire at another time, and hold what it does, if it is there and
    /// has not expired at `now`. Returns whether it was.
    ///
    /// # Errors
    ///
    /// If the store does not work.
    async fn prolong(
        &self,
        id: &SessionHash,
        expires_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError>;

    /// Removes a session, and returns it if it had not expired at `now`. Of many who
    /// take the same one at once, one gets it.
    ///
    /// # Errors
    ///
    /// If the store does not work.
    async fn take(
        &self,
        id: &SessionHash,
        now: OffsetDateTime,
    ) -> Result<Option<StoredSession>, StoreError>;

    /// Removes sessions that have expired at `now`: all of them, or so many that
    /// others need not wait for long. Returns how many.
    ///
    /// # Errors
    ///
    /// If the store does not work.
    async fn sweep(&self, now: OffsetDateTime) -> Result<usize, StoreError>;
}

/// Names a session: a hash of the secret that whoever it belongs to comes with, 32
/// bytes.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct SessionHash([u8; 32]);

/// A session, as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSession {
    /// Which one.
    pub id: SessionHash,
    /// What is remembered.
    pub data: Payload,
    /// From when on it is as if it had never been. Kept to the second, and rounded
    /// down.
    pub expires_at: OffsetDateTime,
}

impl SessionHash {
    /// The session of this name.
    #[must_use]
    pub const fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The name.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Debug for SessionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As much as tells them apart.
        let [a, b, c, d, ..] = self.0;
        write!(f, "SessionHash({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}
