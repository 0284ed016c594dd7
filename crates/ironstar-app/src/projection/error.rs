//! The reasons why a build stops.

use std::error::Error;

use ironstar_ports::{
    Build, BuildUpdate, CommitError, Envelope, Failure, Position, ProjectionStore, StoreError,
    UpdateError,
};
use time::OffsetDateTime;

use super::Projection;
use crate::history::FeedError;

/// The reason why a build does not continue, whether it is in progress or follows the log.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// An event cannot be folded.
    #[error("the {event_type:?} event at position {position} cannot be folded: {reason}")]
    Stuck {
        /// The position of the event.
        position: Position,
        /// The stored type of the event.
        event_type: String,
        /// The reason.
        reason: String,
    },
    /// Another process continues the same build.
    #[error("another process continues this build")]
    Moved,
    /// The build has ended, or was cancelled.
    #[error("the build has ended, or was cancelled")]
    Ended,
    /// Another node holds the lease of the projection now.
    #[error("another node continues this projection")]
    LeaseOver,
    /// The build was made of another history, and was discarded.
    #[error(
        "the build was made of a log that a backup has replaced, and was discarded; build it again"
    )]
    OtherHistory,
    /// The log does not continue behind the last event.
    #[error(transparent)]
    Log(FeedError),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BuildError {
    /// An event cannot be folded.
    pub(super) fn stuck(event: &Envelope, reason: String) -> Self {
        Self::Stuck {
            position: event.position,
            event_type: event.event_type.clone(),
            reason,
        }
    }

    /// Logs the error, with what it means for the projection.
    pub(super) fn log<P: Projection>(&self, message: &str) {
        tracing::error!(
            error = self as &dyn Error,
            projection = P::NAME,
            "{message}"
        );
    }

    /// Stores the failure of a build, for an operator, if an event cannot be folded.
    pub(super) async fn report(
        &self,
        build: &Build,
        store: &dyn ProjectionStore,
        now: OffsetDateTime,
    ) -> Result<(), UpdateError> {
        let Self::Stuck {
            position,
            event_type,
            reason,
        } = self
        else {
            return Ok(());
        };
        let before = build.failure.as_ref();
        let before = before.filter(|before| before.position == *position);
        let failure = Failure {
            position: *position,
            event_type: event_type.clone(),
            reason: reason.clone(),
            attempts: before.map_or(0, |before| before.attempts) + 1,
            failed_at: now,
        };
        store.update(build.id, BuildUpdate::Fail(failure)).await
    }
}

impl From<FeedError> for BuildError {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Store(StoreError::Damaged { position, source }) => Self::Stuck {
                position,
                event_type: "unreadable".to_owned(),
                reason: chain(&*source),
            },
            FeedError::Store(error @ StoreError::Unavailable(_)) => Self::Store(error),
            error @ (FeedError::Gap { .. } | FeedError::OtherHistory) => Self::Log(error),
        }
    }
}

impl From<CommitError> for BuildError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Moved { .. } => Self::Moved,
            CommitError::Ended => Self::Ended,
            CommitError::LeaseOver => Self::LeaseOver,
            CommitError::Store(error) => Self::Store(error),
        }
    }
}

impl From<UpdateError> for BuildError {
    fn from(error: UpdateError) -> Self {
        match error {
            UpdateError::NoSuchBuild | UpdateError::WrongState => Self::Ended,
            UpdateError::LeaseOver => Self::LeaseOver,
            UpdateError::Store(error) => Self::Store(error),
            error @ UpdateError::Behind { .. } => Self::Store(StoreError::unavailable(error)),
        }
    }
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
