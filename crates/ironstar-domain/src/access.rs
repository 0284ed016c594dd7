//! Ownership: an aggregate that belongs to an owner, and the links that give other callers
//! access to it.
//!
//! An aggregate with an owner implements [`Owned`] and keeps an [`Ownership`] in its state. The
//! application layer then protects its commands, its live pages and its events.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::text::serde_as_text;
use crate::{Aggregate, Principal};

/// The access of a caller to an aggregate with an owner. Each level includes all lower levels.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Access {
    /// No access: the caller may not even know that the aggregate exists.
    None,
    /// The caller may see the aggregate and its parts.
    Read,
    /// The caller may also change the parts.
    Edit,
    /// The caller may also change the aggregate itself, and give access to others.
    Own,
}

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

/// The owner of an aggregate, and the links that give other callers access.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ownership {
    /// The owner; `None` means everyone.
    pub owner: Option<Principal>,
    /// The links that are not revoked, the oldest first. Not more than
    /// [`MAX_LINKS`](Self::MAX_LINKS), so that a caller cannot tell from the response time
    /// how many there are.
    pub links: Vec<Link>,
}

/// An aggregate that belongs to an owner. Callers without access never learn that it exists.
pub trait Owned: Aggregate {
    /// The scope of the aggregate's links: a link opens nothing in another scope. It never
    /// changes, because it is part of each link that was handed out.
    const LINK_SCOPE: &'static str;

    /// The refusal for a caller without access, and for an aggregate that does not exist.
    const NOT_FOUND: Self::Error;

    /// The refusal for a caller that has access, but is not the owner.
    const NOT_OWNER: Self::Error;

    /// The owner and the links of the aggregate, or `None` if it does not exist.
    fn ownership(&self) -> Option<&Ownership>;

    /// The access of every caller to an aggregate that has no owner and no events. By default
    /// there is no such aggregate.
    fn open_to_all(_id: &Self::Id) -> Option<Access> {
        None
    }
}

impl Ownership {
    /// The most links that an aggregate may have at once.
    pub const MAX_LINKS: usize = 20;

    /// The ownership of an aggregate that was created by this owner, or for everyone.
    #[must_use]
    pub fn of(owner: Option<Principal>) -> Self {
        Self {
            owner,
            links: Vec::new(),
        }
    }

    /// Returns the access of a caller that is all of these principals, and may hold a link.
    #[must_use]
    pub fn access(&self, caller: &[Principal], link: Option<LinkId>) -> Access {
        match self.owner {
            None => Access::Own,
            Some(owner) if caller.contains(&owner) => Access::Own,
            Some(_) => link
                .and_then(|link| self.link(link))
                .map_or(Access::None, |link| link.access.into()),
        }
    }

    /// Returns the link with this id, unless it is unknown or revoked.
    #[must_use]
    pub fn link(&self, id: LinkId) -> Option<Link> {
        self.links.iter().find(|link| link.id == id).copied()
    }

    /// Returns true if there is room for one more link.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.links.len() < Self::MAX_LINKS
    }

    /// The same ownership with one more link. A link that is already there stays as it is.
    #[must_use]
    pub fn with_link(mut self, link: Link) -> Self {
        if self.link(link.id).is_none() {
            self.links.push(link);
        }
        self
    }

    /// The same ownership without this link.
    #[must_use]
    pub fn without_link(mut self, id: LinkId) -> Self {
        self.links.retain(|link| link.id != id);
        self
    }
}

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

    use super::{Access, Link, LinkAccess, LinkId, Ownership};
    use crate::Principal;

    #[test]
    fn link_id_is_written_as_a_uuid() {
        let uuid = Uuid::from_u128(7);
        let id = LinkId::from(uuid);
        assert_eq!(id.to_string(), uuid.to_string());
        assert_eq!(json!(id), json!(uuid.to_string()));
    }

    #[test]
    fn access_follows_from_the_owner_and_the_links() {
        let guest = Principal::Guest(Uuid::from_u128(1).into());
        let user = Principal::User(Uuid::from_u128(2).into());
        let link = |number| LinkId::from(Uuid::from_u128(number));
        let mut ownership = Ownership::of(Some(guest));
        for (id, access) in [(1, LinkAccess::Read), (2, LinkAccess::Edit)] {
            let id = link(id);
            ownership = ownership.with_link(Link { id, access });
        }
        let no_principals: &[Principal] = &[];
        for (who, by, access) in [
            (no_principals, None, Access::None),
            (no_principals, Some(3), Access::None),
            (no_principals, Some(1), Access::Read),
            (no_principals, Some(2), Access::Edit),
            (&[user], None, Access::None),
            (&[user], Some(2), Access::Edit),
            (&[user, guest], None, Access::Own),
            (&[guest], Some(1), Access::Own),
        ] {
            assert_eq!(
                ownership.access(who, by.map(link)),
                access,
                "{who:?} {by:?}"
            );
        }
        // Everyone owns what has no owner.
        ownership.owner = None;
        assert_eq!(ownership.access(no_principals, None), Access::Own);
        assert!(
            Access::None < Access::Read
                && Access::Read < Access::Edit
                && Access::Edit < Access::Own
        );
    }
}
