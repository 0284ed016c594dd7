//! Sessions and secrets as rows, which are the same for every technology.

use ironstar_ports::{Payload, PayloadError, SessionHash, StoreError, StoredSession};
use time::OffsetDateTime;

/// A row of a session or a secret that is damaged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RowError {
    #[error(transparent)]
    NotJson(#[from] PayloadError),
    #[error("the timestamp {0} is invalid")]
    NoTime(i64),
    #[error("a secret has {0} bytes instead of 32")]
    NoSecret(usize),
}

impl From<RowError> for StoreError {
    fn from(error: RowError) -> Self {
        Self::unavailable(error)
    }
}

/// Converts the columns of a session: its data, and its expiry in seconds since 1970.
pub(crate) fn session(
    id: SessionHash,
    (data, expires_at): (String, i64),
) -> Result<StoredSession, RowError> {
    let time = OffsetDateTime::from_unix_timestamp(expires_at);
    Ok(StoredSession {
        id,
        data: Payload::from_text(data)?,
        expires_at: time.map_err(|_| RowError::NoTime(expires_at))?,
    })
}

/// Converts a stored secret.
pub(crate) fn secret(secret: Vec<u8>) -> Result<[u8; 32], RowError> {
    let length = secret.len();
    secret.try_into().map_err(|_| RowError::NoSecret(length))
}
