//! The reasons why a session is not available, and the problems that visitors are told.

use std::time::Duration;

use axum::http::StatusCode;
use ironstar_ports::{PayloadError, StoreError};

use crate::edge::problem::Problem;

/// The reason why a session is not available.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The store of sessions failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored data of the session is not valid.
    #[error("a session is damaged")]
    Damaged(#[source] serde_json::Error),
    /// The data of the session has no stored form.
    #[error("a session cannot be stored")]
    Unwritable(#[from] PayloadError),
    /// The client has begun too many sessions; it may try again after this time.
    #[error("too many new sessions from your network; try again in a minute")]
    TooMany(Duration),
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match &error {
            SessionError::Store(error) => Self::from_store(error),
            SessionError::Damaged(_) | SessionError::Unwritable(_) => Self::unavailable(&error),
            SessionError::TooMany(wait) => Self {
                retry_after: Some(*wait),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too-many-sessions",
                    error.to_string(),
                )
            },
        }
    }
}
