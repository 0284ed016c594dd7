//! The id of a list.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::text::serde_as_text;

/// The id of a list: `shared` for the list that always exists, or the UUID of a list that was
/// created.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct ListId(Uuid);

/// The error for a text that is not a [`ListId`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the id of a list must be 'shared' or a UUID, such as 019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e"
)]
pub struct ListIdError;

const SHARED: &str = "shared";

impl ListId {
    /// The list that belongs to everyone. A todo belongs to it unless its creator names another
    /// list. The shared list was never created, and never changes.
    pub const SHARED: Self = Self(Uuid::nil());

    /// Returns true if this is [`ListId::SHARED`].
    #[must_use]
    pub fn is_shared(self) -> bool {
        self == Self::SHARED
    }
}

impl From<Uuid> for ListId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl FromStr for ListId {
    type Err = ListIdError;

    fn from_str(text: &str) -> Result<Self, ListIdError> {
        if text == SHARED {
            return Ok(Self::SHARED);
        }
        let id = Uuid::try_parse(text).map(Self).map_err(|_| ListIdError)?;
        // A list id has only one text form.
        if id.is_shared() {
            Err(ListIdError)
        } else {
            Ok(id)
        }
    }
}

serde_as_text!(ListId);

impl Display for ListId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_shared() {
            return f.write_str(SHARED);
        }
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::{ListId, ListIdError};

    #[test]
    fn list_id_is_shared_or_a_uuid() {
        for written in ["shared", "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e"] {
            let id: ListId = written.parse().expect("an id");
            assert_eq!(id.to_string(), written);
            assert_eq!(json!(id), json!(written));
            assert_eq!(id.is_shared(), written == "shared");
        }
        let uuid = Uuid::from_u128(7);
        assert_eq!(ListId::from(uuid).to_string(), uuid.to_string());
        let nil = "00000000-0000-0000-0000-000000000000";
        for malformed in ["", "Shared", "1", "../../etc", nil] {
            assert_eq!(malformed.parse::<ListId>(), Err(ListIdError), "{malformed}");
        }
    }
}
