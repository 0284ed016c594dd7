//! Links, which give their holders access to an aggregate of another owner.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::text::serde_as_text;

/// The access that a link gives to its holders.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkAccess {
    /// The holder may see the aggregate and its parts.
    Read,
    /// The holder may also change the parts.
    Edit,
}

/// The id of a link. It is not a secret and gives no access by itself: the link is made from the
/// id and a secret.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkId(Uuid);

/// A link that gives access to its holders until it is revoked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Link {
    /// The id of the link.
    pub id: LinkId,
    /// The access that the link gives.
    pub access: LinkAccess,
}

/// The error for a text that is not a [`LinkId`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the id of a link must be a UUID, such as 019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e")]
pub struct LinkIdError;

impl From<Uuid> for LinkId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl FromStr for LinkId {
    type Err = LinkIdError;

    fn from_str(text: &str) -> Result<Self, LinkIdError> {
        Uuid::try_parse(text).map(Self).map_err(|_| LinkIdError)
    }
}

serde_as_text!(LinkId);

impl Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::LinkId;

    #[test]
    fn link_id_is_written_as_a_uuid() {
        let uuid = Uuid::from_u128(7);
        let id = LinkId::from(uuid);
        assert_eq!(id.to_string(), uuid.to_string());
        assert_eq!(json!(id), json!(uuid.to_string()));
    }
}
