//! The identity: whom somebody elsewhere knows, and which user that is here.
//!
//! Each identity has a stream of its own, which begins with the one user that it
//! belongs to. So however many sign in at once with the same identity for the
//! first time, one of them makes the user: the others find that the stream is
//! there.

mod id;

use serde::{Deserialize, Serialize};

use crate::user::UserId;
use crate::{Aggregate, DomainError, DomainEvent, ErrorKind, EventSchema, Fingerprint};

pub use id::{IdentityId, IdentityIdError};

/// What can be asked of an identity.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum IdentityCommand {
    /// Belong to a user.
    Link {
        /// Which user.
        user: UserId,
    },
}

/// What has happened to an identity. The JSON form is the stored payload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum IdentityEvent {
    /// Belongs to a user, for good.
    Linked {
        /// Which user.
        user: UserId,
    },
}

/// What an identity is, as far as decisions need to know.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum IdentityState {
    /// Nobody here has it.
    #[default]
    NotLinked,
    /// It belongs to a user.
    Linked {
        /// Which user.
        user: UserId,
    },
}

/// Why an identity refuses a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdentityError {
    /// It belongs to another user.
    #[error("this identity belongs to another user")]
    AlreadyLinked,
}

impl Aggregate for IdentityState {
    const TYPE: &'static str = "Identity";
    const FINGERPRINT: Fingerprint =
        Fingerprint::of(&[include_str!("identity.rs"), include_str!("user/id.rs")]);

    type Id = IdentityId;
    type Command = IdentityCommand;
    type Event = IdentityEvent;
    type Error = IdentityError;

    fn handle(&self, command: &IdentityCommand) -> Result<Vec<IdentityEvent>, IdentityError> {
        let IdentityCommand::Link { user } = command;
        match self {
            Self::NotLinked => Ok(vec![IdentityEvent::Linked { user: *user }]),
            Self::Linked { user: current } if current == user => Ok(vec![]),
            Self::Linked { .. } => Err(IdentityError::AlreadyLinked),
        }
    }

    fn apply(self, event: &IdentityEvent) -> Self {
        let IdentityEvent::Linked { user } = event;
        match self {
            Self::NotLinked => Self::Linked { user: *user },
            state @ Self::Linked { .. } => state,
        }
    }
}

impl DomainEvent for IdentityEvent {
    const SCHEMAS: &'static [EventSchema] = &[EventSchema::new("linked")];

    fn event_type(&self) -> &'static str {
        match self {
            Self::Linked { .. } => "linked",
        }
    }
}

impl DomainError for IdentityError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::AlreadyLinked => ErrorKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyLinked => "identity-already-linked",
        }
    }
}

#[cfg(test)]
mod tests;
