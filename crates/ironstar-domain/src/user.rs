//! The user: somebody who has signed in.
//!
//! Who that is, others know: an identity provider. Which user an identity belongs
//! to is for [`identity`](crate::identity) to say; what is kept here is what has
//! happened to the user, and as little else as possible.

mod id;

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::line::{self, LineError, Rules};
use crate::{Aggregate, DomainError, DomainEvent, ErrorKind, EventSchema, Fingerprint, IdentityId};

pub use id::{UserId, UserIdError};

/// What a user is called: trimmed, in form C, 1 to [`UserName::MAX_CHARS`] characters
/// (Unicode scalar values), one of them visible, and none of them a control
/// character or hidden without a purpose. As JSON it reads what is stored, also by
/// older rules; see [`typed`](crate::typed).
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(into = "String")]
pub struct UserName(String);

/// What an identity provider tells of somebody.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Profile {
    /// What they sign in as.
    pub login: UserName,
    /// What they are called; `None` if they do not say.
    pub name: Option<UserName>,
}

/// What can be asked of a user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum UserCommand {
    /// Become a user, by signing in for the first time.
    Register {
        /// As whom.
        identity: IdentityId,
        /// What is told of them.
        profile: Profile,
    },
    /// Sign in again.
    SignIn {
        /// What is told of them by now.
        profile: Profile,
    },
    /// Sign out on one device.
    SignOut,
}

/// What has happened to a user. The JSON form is the stored payload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum UserEvent {
    /// Became a user.
    Registered,
    /// Can sign in as this.
    IdentityLinked {
        /// Who they are to others.
        identity: IdentityId,
    },
    /// Is called something, or something else.
    ProfileChanged {
        /// What is told of them from now on.
        profile: Profile,
    },
    /// Signed in on some device.
    SignedIn,
    /// Signed out on some device.
    SignedOut,
}

/// What a user is, as far as decisions need to know.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum UserState {
    /// Nothing has happened yet.
    #[default]
    NotRegistered,
    /// Can sign in.
    Registered(UserDetails),
}

/// What is known of a user.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct UserDetails {
    /// Who they are to others.
    pub identities: Vec<IdentityId>,
    /// What is told of them; nothing in the midst of becoming a user.
    pub profile: Option<Profile>,
    /// How often they have signed in without signing out since. Whoever never
    /// comes back does not sign out.
    pub sessions: u64,
}

/// Why a user refuses a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UserError {
    /// The id has been used.
    #[error("this user already exists")]
    AlreadyRegistered,
    /// There is no such user.
    #[error("there is no such user")]
    NotFound,
}

/// Why a text is not a [`UserName`].
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
    ]);

    type Id = UserId;
    type Command = UserCommand;
    type Event = UserEvent;
    type Error = UserError;

    fn handle(&self, command: &UserCommand) -> Result<Vec<UserEvent>, UserError> {
        use {UserCommand as C, UserError as E, UserEvent as Happened};

        match (self, command) {
            (Self::NotRegistered, C::Register { identity, profile }) => Ok(vec![
                Happened::Registered,
                Happened::IdentityLinked {
                    identity: identity.clone(),
                },
                Happened::ProfileChanged {
                    profile: profile.clone(),
                },
                Happened::SignedIn,
            ]),
            (Self::Registered(_), C::Register { .. }) => Err(E::AlreadyRegistered),
            (Self::NotRegistered, C::SignIn { .. } | C::SignOut) => Err(E::NotFound),
            (Self::Registered(user), C::SignIn { profile }) => {
                let is_news = user.profile.as_ref() != Some(profile);
                let changed = is_news.then(|| Happened::ProfileChanged {
                    profile: profile.clone(),
                });
                Ok(changed.into_iter().chain([Happened::SignedIn]).collect())
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
                | UserEvent::SignedIn
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
            UserEvent::SignedIn => self.sessions += 1,
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
        EventSchema::new("signed_in"),
        EventSchema::new("signed_out"),
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::IdentityLinked { .. } => "identity_linked",
            Self::ProfileChanged { .. } => "profile_changed",
            Self::SignedIn => "signed_in",
            Self::SignedOut => "signed_out",
        }
    }
}

impl DomainError for UserError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::AlreadyRegistered => ErrorKind::Conflict,
            Self::NotFound => ErrorKind::NotFound,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyRegistered => "user-already-exists",
            Self::NotFound => "user-not-found",
        }
    }
}

impl Profile {
    /// What to call them.
    #[must_use]
    pub fn display_name(&self) -> &UserName {
        self.name.as_ref().unwrap_or(&self.login)
    }
}

impl UserName {
    /// The most characters that a name may have.
    pub const MAX_CHARS: usize = 100;

    /// The name itself.
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

impl TryFrom<String> for UserName {
    type Error = UserNameError;

    fn try_from(name: String) -> Result<Self, UserNameError> {
        name.parse()
    }
}

impl<'de> Deserialize<'de> for UserName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        line::stored(deserializer).map(Self)
    }
}

impl From<UserName> for String {
    fn from(name: UserName) -> Self {
        name.0
    }
}

impl Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
