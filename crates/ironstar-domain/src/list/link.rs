//! Who may do what with a list, and the links that let others in.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What somebody may do with a list. Who may do more may do all that is less.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Access {
    /// Not even know that it is there.
    None,
    /// See it, and what is in it.
    Read,
    /// Change what is in it.
    Edit,
    /// Change the list itself, and say who else may do what.
    Own,
}

/// What a link lets do whoever has it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkAccess {
    /// See the list, and what is in it.
    Read,
    /// Change what is in it.
    Edit,
}

/// Identifies a link. It is no secret, and does not open anything: the link itself
/// is made from it with one.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkId(Uuid);

/// A link that lets others in, until it is revoked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Link {
    /// Which one.
    pub id: LinkId,
    /// What it lets do.
    pub access: LinkAccess,
}

/// Why a text is not a [`LinkId`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the id of a link must be a UUID, such as 019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e")]
pub struct LinkIdError;

impl From<LinkAccess> for Access {
    fn from(access: LinkAccess) -> Self {
        match access {
            LinkAccess::Read => Self::Read,
            LinkAccess::Edit => Self::Edit,
        }
    }
}

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

impl TryFrom<String> for LinkId {
    type Error = LinkIdError;

    fn try_from(text: String) -> Result<Self, LinkIdError> {
        text.parse()
    }
}

impl From<LinkId> for String {
    fn from(id: LinkId) -> Self {
        id.to_string()
    }
}

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
