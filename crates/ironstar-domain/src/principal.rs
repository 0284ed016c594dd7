//! The principal: a user or a guest, and thus a possible owner of an aggregate.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::text::serde_as_text;
use crate::user::UserId;

/// A possible owner of an aggregate. Its text form is `user/{uuid}` or `guest/{uuid}`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Principal {
    /// A caller who has signed in, on any device.
    User(UserId),
    /// A caller who has not signed in, on one device.
    Guest(GuestId),
}

/// The id of a guest. It is not a secret: the session, which is stored elsewhere, proves that a
/// visitor is this guest.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct GuestId(Uuid);

/// The error for a text that is not a [`Principal`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a principal is 'user/' or 'guest/' followed by a UUID, such as user/019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e"
)]
pub struct PrincipalError;

impl From<Uuid> for GuestId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl From<UserId> for Principal {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}

impl Display for GuestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl From<GuestId> for Principal {
    fn from(guest: GuestId) -> Self {
        Self::Guest(guest)
    }
}

impl FromStr for Principal {
    type Err = PrincipalError;

    fn from_str(text: &str) -> Result<Self, PrincipalError> {
        let (kind, id) = text.split_once('/').ok_or(PrincipalError)?;
        let id = Uuid::try_parse(id).map_err(|_| PrincipalError)?;
        match kind {
            "user" => Ok(Self::User(id.into())),
            "guest" => Ok(Self::Guest(id.into())),
            _ => Err(PrincipalError),
        }
    }
}

serde_as_text!(Principal);

impl Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user/{id}"),
            Self::Guest(id) => write!(f, "guest/{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Principal, PrincipalError};

    #[test]
    fn principal_is_written_as_its_kind_and_its_id() {
        let id = "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e";
        for kind in ["user", "guest"] {
            let written = format!("{kind}/{id}");
            let principal: Principal = written.parse().expect("a principal");
            assert_eq!(principal.to_string(), written);
            assert_eq!(matches!(principal, Principal::User(_)), kind == "user");
        }
        for malformed in ["", "user", id, "user/", "User/x", &format!("admin/{id}")] {
            assert_eq!(malformed.parse::<Principal>(), Err(PrincipalError));
        }
    }
}
