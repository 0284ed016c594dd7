//! The data that a session stores about its visitor.

use ironstar_app::Caller;
use ironstar_domain::{GuestId, Principal, UserId, UserName};
use serde::{Deserialize, Serialize};

/// The data that a session stores about its visitor.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct SessionData {
    /// The owner of the visitor's lists until they sign in. It is kept after that, because a
    /// list that was created during the sign-in may still belong to the guest.
    pub(crate) guest: GuestId,
    /// The user, once the visitor has signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<SignedIn>,
    #[serde(default)]
    pub(crate) theme: Theme,
}

/// A user who is signed in on this device.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct SignedIn {
    pub(crate) id: UserId,
    pub(crate) name: UserName,
}

/// The colors of pages.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Theme {
    /// The setting of the visitor's system.
    #[default]
    Auto,
    Light,
    Dark,
}

impl SessionData {
    /// The data of a new visitor.
    pub(crate) fn of(guest: GuestId) -> Self {
        Self {
            guest,
            user: None,
            theme: Theme::Auto,
        }
    }

    /// The same visitor, now signed in as a user.
    pub(crate) fn signed_in(self, user: SignedIn) -> Self {
        Self {
            user: Some(user),
            ..self
        }
    }

    /// The caller: the user and the guest as whom this visitor may own lists.
    pub(crate) fn caller(&self) -> Caller {
        let user = self.user.as_ref().map(|user| Principal::User(user.id));
        let guest = Principal::Guest(self.guest);
        Caller::of(user.into_iter().chain([guest]).collect())
    }
}

impl Theme {
    pub(crate) const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    /// The theme's name in forms and style sheets.
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
