//! The identity: an account at an identity provider, linked to a user of ironstar.
//!
//! Each identity has its own stream, and its first event links it to its only user. So if several
//! sign-ins with a new identity run concurrently, one of them creates the user. The others find
//! that the stream already exists.

mod id;

use serde::{Deserialize, Serialize};

use crate::user::UserId;
use crate::{Aggregate, DomainError, DomainEvent, EventSchema, Fingerprint, Refusal};

pub use id::{IdentityId, IdentityIdError};

/// The commands of an identity.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum IdentityCommand {
    /// Link the identity to a user.
    Link {
        /// The user.
        user: UserId,
    },
}

/// The events of an identity. The JSON form is the stored payload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum IdentityEvent {
    /// The identity was linked to a user, permanently.
    Linked {
        /// The user.
        user: UserId,
    },
}

/// The state of an identity, as far as decisions need it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum IdentityState {
    /// The identity belongs to no user.
    #[default]
    NotLinked,
    /// The identity belongs to a user.
    Linked {
        /// The user.
        user: UserId,
    },
}

/// The reasons why an identity refuses a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdentityError {
    /// The identity belongs to another user.
    #[error("this identity belongs to another user")]
    AlreadyLinked,
}

impl Aggregate for IdentityState {
    const TYPE: &'static str = "Identity";
    const FINGERPRINT: Fingerprint = Fingerprint::of(&[
        include_str!("identity.rs"),
        include_str!("text.rs"),
        include_str!("user/id.rs"),
    ]);

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
    fn refusal(&self) -> Refusal {
        match self {
            Self::AlreadyLinked => Refusal::conflict("identity-already-linked"),
        }
    }
}

#[cfg(test)]
mod tests;
