//! The owner of an aggregate and its links: commands, decisions and events.

use serde::{Deserialize, Serialize};

use super::{Access, Link, LinkAccess, LinkId, OwnedEvent};
use crate::{DomainError, DomainEvent, EventSchema, Principal, Refusal};

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

/// The commands that change an ownership.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OwnershipCommand {
    /// Give the aggregate to another owner, if it still belongs to the owner who hands it over.
    HandOver {
        /// The owner who hands it over; `None` if it belongs to everyone.
        from: Option<Principal>,
        /// The new owner.
        to: Principal,
    },
    /// Give access to the holders of a new link.
    CreateLink {
        /// The id of the new link.
        link: LinkId,
        /// The access that the link gives.
        access: LinkAccess,
    },
    /// End the access by a link.
    RevokeLink {
        /// The id of the link.
        link: LinkId,
    },
}

/// The events of an ownership. The JSON form is the stored payload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OwnershipEvent {
    /// The aggregate was given to another owner.
    HandedOver {
        /// The new owner.
        to: Principal,
    },
    /// A link was created, and its holders have access.
    LinkCreated {
        /// The id of the link.
        link: LinkId,
        /// The access that the link gives.
        access: LinkAccess,
    },
    /// A link was revoked, and its holders have no access any more.
    LinkRevoked {
        /// The id of the link.
        link: LinkId,
    },
}

/// The reasons why a command on an ownership is refused. The noun is
/// [`Owned::NOUN`](super::Owned::NOUN).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OwnershipError {
    /// The aggregate belongs to another owner. Only callers who may know of it get this error.
    #[error("only the owner of this {} can do that", without_article(.noun))]
    NotOwner {
        /// The aggregate in messages.
        noun: &'static str,
    },
    /// The id of the link is already in use.
    #[error("this link already exists")]
    LinkAlreadyExists,
    /// The aggregate already has [`Ownership::MAX_LINKS`] links.
    #[error("{noun} has at most {max} links; revoke one that is not needed any more", max = Ownership::MAX_LINKS)]
    TooManyLinks {
        /// The aggregate in messages.
        noun: &'static str,
    },
    /// The link does not exist, or is revoked.
    #[error("this {} has no such link", without_article(.noun))]
    NoSuchLink {
        /// The aggregate in messages.
        noun: &'static str,
    },
}

impl Ownership {
    /// The most links that an aggregate may have at once.
    pub const MAX_LINKS: usize = 20;

    /// The source code of ownerships, for the [`Fingerprint`](crate::Fingerprint) of an aggregate.
    pub const SOURCE: &'static str = concat!(
        include_str!("../access.rs"),
        include_str!("event.rs"),
        include_str!("link.rs"),
        include_str!("ownership.rs"),
        include_str!("../principal.rs"),
        include_str!("../text.rs"),
    );

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

    /// Decides a command on an aggregate, which messages call `noun`.
    ///
    /// # Errors
    ///
    /// The reason for refusing the command.
    pub fn handle<E>(
        &self,
        command: &OwnershipCommand,
        noun: &'static str,
    ) -> Result<Vec<OwnedEvent<E>>, OwnershipError> {
        use {OwnershipCommand as C, OwnershipError as Refused, OwnershipEvent as Happened};

        let event = match *command {
            C::HandOver { from, to } if self.owner != from || from == Some(to) => {
                return Ok(vec![]);
            }
            C::HandOver { to, .. } => Happened::HandedOver { to },
            C::CreateLink { link, .. } if self.link(link).is_some() => {
                return Err(Refused::LinkAlreadyExists);
            }
            C::CreateLink { .. } if self.links.len() >= Self::MAX_LINKS => {
                return Err(Refused::TooManyLinks { noun });
            }
            C::CreateLink { link, access } => Happened::LinkCreated { link, access },
            C::RevokeLink { link } if self.link(link).is_none() => {
                return Err(Refused::NoSuchLink { noun });
            }
            C::RevokeLink { link } => Happened::LinkRevoked { link },
        };
        Ok(vec![OwnedEvent::Ownership(event)])
    }

    /// Returns the ownership after an event. A link that is created again stays as it is.
    #[must_use]
    pub fn apply(mut self, event: &OwnershipEvent) -> Self {
        match *event {
            OwnershipEvent::HandedOver { to } => self.owner = Some(to),
            OwnershipEvent::LinkCreated { link: id, .. } if self.link(id).is_some() => {}
            OwnershipEvent::LinkCreated { link: id, access } => {
                self.links.push(Link { id, access })
            }
            OwnershipEvent::LinkRevoked { link: id } => self.links.retain(|link| link.id != id),
        }
        self
    }
}

impl DomainEvent for OwnershipEvent {
    const SCHEMAS: &'static [EventSchema] = &[
        EventSchema::new("handed_over"),
        EventSchema::new("link_created"),
        EventSchema::new("link_revoked"),
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Self::HandedOver { .. } => "handed_over",
            Self::LinkCreated { .. } => "link_created",
            Self::LinkRevoked { .. } => "link_revoked",
        }
    }
}

impl DomainError for OwnershipError {
    fn refusal(&self) -> Refusal {
        match self {
            Self::NotOwner { .. } => Refusal::forbidden("not-the-owner"),
            Self::LinkAlreadyExists => Refusal::conflict("link-already-exists"),
            Self::TooManyLinks { .. } => Refusal::conflict("too-many-links"),
            Self::NoSuchLink { .. } => Refusal::not_found("link-not-found"),
        }
    }
}

/// The `list` of `a list`.
fn without_article(noun: &'static str) -> &'static str {
    noun.split_once(' ').map_or(noun, |(_, noun)| noun)
}

#[cfg(test)]
mod tests;
