//! What is remembered of a visitor.

use ironstar_app::Caller;
use ironstar_domain::{GuestId, Principal, UserId, UserName};
use serde::{Deserialize, Serialize};

/// What is remembered of a visitor.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct SessionData {
    /// Who they are to their lists until they sign in. Also after that: a list that
    /// they made just then may still be the guest's.
    pub(crate) guest: GuestId,
    /// Who they are once they have signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<SignedIn>,
    #[serde(default)]
    pub(crate) theme: Theme,
}

/// A user, on this device.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct SignedIn {
    pub(crate) id: UserId,
    /// What they are called.
    pub(crate) name: UserName,
}

/// How pages look.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Theme {
    /// As the system says.
    #[default]
    Auto,
    Light,
    Dark,
}

impl SessionData {
    /// That of somebody new.
    pub(crate) fn of(guest: GuestId) -> Self {
        Self {
            guest,
            user: None,
            theme: Theme::Auto,
        }
    }

    /// The same visitor, who has proved to be a user.
    pub(crate) fn signed_in(self, user: SignedIn) -> Self {
        Self {
            user: Some(user),
            ..self
        }
    }

    /// All that they are, to lists.
    pub(crate) fn caller(&self) -> Caller {
        let user = self.user.as_ref().map(|user| Principal::User(user.id));
        let guest = Principal::Guest(self.guest);
        Caller::of(user.into_iter().chain([guest]).collect())
    }
}

impl Theme {
    pub(crate) const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    /// Its name in forms and style sheets.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.name() == name)
    }
}
