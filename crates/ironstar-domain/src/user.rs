//! The user: a person who has signed in.
//!
//! An identity provider knows the person. The [`identity`](crate::identity) knows which user it
//! belongs to. This module keeps the events of the user, and as little other data as possible.

mod id;

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::line::{self, LineError, Rules};
use crate::{
    Aggregate, DomainError, DomainEvent, EventSchema, Fingerprint, GuestId, IdentityId, Refusal,
    UpcastError,
};

pub use id::{UserId, UserIdError};

/// The name of a user: trimmed, in form C, with 1 to [`UserName::MAX_CHARS`] characters (Unicode
/// scalar values). At least one character is visible. None is a control character, or hidden
/// without a purpose. `Deserialize` reads a stored name, even one that only older rules accept;
/// see [`typed`](crate::typed).
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct UserName(#[serde(deserialize_with = "line::stored")] String);

/// The names of a user, as the identity provider reports them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Profile {
    /// The name of the account at the identity provider.
    pub login: UserName,
    /// The user's display name; `None` if the account has none.
    pub name: Option<UserName>,
}

/// The commands of a user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum UserCommand {
    /// Register the user, at the first sign-in.
    Register {
        /// The identity that signs in.
        identity: IdentityId,
        /// The profile at this sign-in.
        profile: Profile,
        /// The guest that signs in.
        guest: GuestId,
    },
    /// Sign in again.
    SignIn {
        /// The profile at this sign-in.
        profile: Profile,
        /// The guest that signs in.
        guest: GuestId,
    },
    /// Sign out on one device.
    SignOut,
}

/// The events of a user. The JSON form is the stored payload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum UserEvent {
    /// The user was registered.
    Registered,
    /// An identity was linked, with which the user can sign in.
    IdentityLinked {
        /// The linked identity.
        identity: IdentityId,
    },
    /// The profile was set, or has changed.
    ProfileChanged {
        /// The new profile.
        profile: Profile,
    },
    /// The user signed in on a device.
    SignedIn {
        /// The guest that has become the user: all that it owns belongs to the user from now on.
        /// `None` in old events, which did not record it.
        #[serde(deserialize_with = "Option::deserialize")]
        guest: Option<GuestId>,
    },
    /// The user signed out on a device.
    SignedOut,
}

/// The state of a user, as far as decisions need it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum UserState {
    /// The user has no events yet.
    #[default]
    NotRegistered,
    /// The user is registered, and can sign in.
    Registered(UserDetails),
}

/// The details of a registered user.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct UserDetails {
    /// The identities with which the user can sign in.
    pub identities: Vec<IdentityId>,
    /// The latest profile; `None` only between the first two events of a registration.
    pub profile: Option<Profile>,
    /// The number of sign-ins minus the number of sign-outs. A user who abandons a session never
    /// signs out, so this number may be too high.
    pub sessions: u64,
}

/// The reasons why a user refuses a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UserError {
    /// The id is already in use.
    #[error("this user already exists")]
    AlreadyRegistered,
    /// The user does not exist.
    #[error("there is no such user")]
    NotFound,
}

/// The error for a text that is not a [`UserName`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the name of a user {0}")]
pub struct UserNameError(pub LineError);

impl Aggregate for UserState {
    const TYPE: &'static str = "User";
    const FINGERPRINT: Fingerprint = Fingerprint::of(&[
        include_str!("user.rs"),
        include_str!("line.rs"),
        include_str!("characters.rs"),
        include_str!("identity/id.rs"),
        include_str!("principal.rs"),
        include_str!("text.rs"),
    ]);

    type Id = UserId;
    type Command = UserCommand;
    type Event = UserEvent;
    type Error = UserError;

    fn handle(&self, command: &UserCommand) -> Result<Vec<UserEvent>, UserError> {
        use {UserCommand as C, UserError as E, UserEvent as Happened};

        match (self, command) {
            (
                Self::NotRegistered,
                C::Register {
                    identity,
                    profile,
                    guest,
                },
            ) => Ok(vec![
                Happened::Registered,
                Happened::IdentityLinked {
                    identity: identity.clone(),
                },
                Happened::ProfileChanged {
                    profile: profile.clone(),
                },
                Happened::SignedIn {
                    guest: Some(*guest),
                },
            ]),
            (Self::Registered(_), C::Register { .. }) => Err(E::AlreadyRegistered),
            (Self::NotRegistered, C::SignIn { .. } | C::SignOut) => Err(E::NotFound),
            (Self::Registered(user), C::SignIn { profile, guest }) => {
                let is_news = user.profile.as_ref() != Some(profile);
                let changed = is_news.then(|| Happened::ProfileChanged {
                    profile: profile.clone(),
                });
                let signed_in = Happened::SignedIn {
                    guest: Some(*guest),
                };
                Ok(changed.into_iter().chain([signed_in]).collect())
            }
            (Self::Registered(user), C::SignOut) => Ok(if user.sessions == 0 {
                vec![]
            } else {
                vec![Happened::SignedOut]
            }),
        }
    }

    fn apply(self, event: &UserEvent) -> Self {
        match (self, event) {
            (Self::NotRegistered, UserEvent::Registered) => {
                Self::Registered(UserDetails::default())
            }
            (Self::Registered(user), event) => Self::Registered(user.apply(event)),
            (
                state @ Self::NotRegistered,
                UserEvent::IdentityLinked { .. }
                | UserEvent::ProfileChanged { .. }
                | UserEvent::SignedIn { .. }
                | UserEvent::SignedOut,
            ) => state,
        }
    }
}

impl UserDetails {
    fn apply(mut self, event: &UserEvent) -> Self {
        match event {
            UserEvent::Registered => {}
            UserEvent::IdentityLinked { identity } => {
                if !self.identities.contains(identity) {
                    self.identities.push(identity.clone());
                }
            }
            UserEvent::ProfileChanged { profile } => self.profile = Some(profile.clone()),
            UserEvent::SignedIn { .. } => self.sessions += 1,
            UserEvent::SignedOut => self.sessions = self.sessions.saturating_sub(1),
        }
        self
    }
}

impl DomainEvent for UserEvent {
    const SCHEMAS: &'static [EventSchema] = &[
        EventSchema::new("registered"),
        EventSchema::new("identity_linked"),
        EventSchema::new("profile_changed"),
        EventSchema::lifted("signed_in", &[signed_in_without_a_guest]),
        EventSchema::new("signed_out"),
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::IdentityLinked { .. } => "identity_linked",
            Self::ProfileChanged { .. } => "profile_changed",
            Self::SignedIn { .. } => "signed_in",
            Self::SignedOut => "signed_out",
        }
    }
}

/// Version 1 did not record the guest.
fn signed_in_without_a_guest(event: &mut Map<String, Value>) -> Result<(), UpcastError> {
    event.insert("guest".to_owned(), Value::Null);
    Ok(())
}

impl DomainError for UserError {
    fn refusal(&self) -> Refusal {
        match self {
            Self::AlreadyRegistered => Refusal::conflict("user-already-exists"),
            Self::NotFound => Refusal::not_found("user-not-found"),
        }
    }
}

impl Profile {
    /// The name to show: the display name, or the account's name if there is none.
    #[must_use]
    pub fn display_name(&self) -> &UserName {
        self.name.as_ref().unwrap_or(&self.login)
    }
}

impl UserName {
    /// The most characters (Unicode scalar values) in a name.
    pub const MAX_CHARS: usize = 100;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserName {
    type Err = UserNameError;

    fn from_str(name: &str) -> Result<Self, UserNameError> {
        line::parse(name, Rules::name(Self::MAX_CHARS))
            .map(Self)
            .map_err(UserNameError)
    }
}

impl Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
