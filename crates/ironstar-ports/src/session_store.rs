//! Sessions: data about visitors who return with the same secret.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{Payload, StoreError};

/// Stores sessions under hashed names. The names are useless to a person who reads the store.
///
/// Sessions cannot be made again from the log, as read models can. Every adapter passes
/// `contract::session_store`.
#[async_trait]
pub trait SessionStore: Debug + Send + Sync {
    /// Stores a new session.
    ///
    /// # Errors
    ///
    /// If the store is not available, or a session already has this name.
    async fn create(&self, session: StoredSession) -> Result<(), StoreError>;

    /// Returns a session, unless it has expired at `now`.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    async fn load(
        &self,
        id: &SessionHash,
        now: OffsetDateTime,
    ) -> Result<Option<StoredSession>, StoreError>;

    /// Replaces a session, if it exists and has not expired at `now`. The new session has the
    /// same name, or another one; then the old name has no session any more.
    ///
    /// Returns true if the session was replaced. A session that was removed does not come back.
    /// If several callers replace the same session concurrently, one of them succeeds. All of a
    /// replacement happens, or nothing.
    ///
    /// # Errors
    ///
    /// If the store is not available, or another session already has the new name.
    async fn replace(
        &self,
        old: &SessionHash,
        new: StoredSession,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError>;

    /// Changes the expiry of a session and keeps its data, if the session exists and has not
    /// expired at `now`. Returns true if the session was changed.
    ///
    /// # Errors
    ///
    /// If the store is not available.
    async fn prolong(
        &self,
        id: &SessionHash,
        expires_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError>;

    /// Removes a session, and returns it unless it had expired at `now`. If several callers take
    /// the same session concurrently, one of them gets it.
    ///
    /// # Errors
    ///
    /// If the store is not available.
    async fn take(
        &self,
        id: &SessionHash,
        now: OffsetDateTime,
    ) -> Result<Option<StoredSession>, StoreError>;

    /// Removes sessions that have expired at `now`. Removes all of them, or only so many that
    /// other requests do not wait for long. Returns the number of removed sessions.
    ///
    /// # Errors
    ///
    /// If the store is not available.
    async fn sweep(&self, now: OffsetDateTime) -> Result<usize, StoreError>;
}

/// The name of a session: a hash of 32 bytes, made from the visitor's secret.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct SessionHash([u8; 32]);

/// A session, as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSession {
    /// The name of the session.
    pub id: SessionHash,
    /// The data of the session, as JSON.
    pub data: Payload,
    /// The time from which the session no longer exists. The store rounds it down to the second.
    pub expires_at: OffsetDateTime,
}

impl SessionHash {
    /// The name with these bytes.
    #[must_use]
    pub const fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// Returns the bytes of the name.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Debug for SessionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Four bytes are enough to tell sessions apart.
        let [a, b, c, d, ..] = self.0;
        write!(f, "SessionHash({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}
