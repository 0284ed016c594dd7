//! The list: a name, somebody to whom it belongs, and todos that belong to it.
//!
//! A list is created once, renamed at will, and archived when it has served its
//! purpose; an archived one can be restored. Which todos belong to it is for
//! them to say. Nobody but its owner knows of it, and whoever has one of its
//! links. The shared list is not one of these: it is always there, for everyone,
//! and nothing ever happens to it.

mod id;
mod link;

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::line::{self, LineError, Rules};
use crate::{
    Aggregate, DomainError, DomainEvent, ErrorKind, EventSchema, Fingerprint, Principal,
    UpcastError,
};

pub use id::{ListId, ListIdError};
pub use link::{Access, Link, LinkAccess, LinkId, LinkIdError};

/// What a list is called: trimmed, in form C, 1 to [`ListName::MAX_CHARS`] characters
/// (Unicode scalar values), one of them visible, and none of them a control
/// character or hidden without a purpose. As JSON it reads what is stored, also by
/// older rules; see [`typed`](crate::typed).
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(into = "String")]
pub struct ListName(String);

/// What can be asked of a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ListCommand {
    /// Bring the list into being.
    Create {
        /// What it is called.
        name: ListName,
        /// Whose it is; `None`: everyone's.
        owner: Option<Principal>,
    },
    /// Call it something else.
    Rename {
        /// What it is called from now on.
        name: ListName,
    },
    /// Put it away: it takes no new todos.
    Archive,
    /// Take it out again.
    Restore,
    /// Belong to somebody else.
    HandOver {
        /// To whom.
        to: Principal,
    },
    /// Let in whoever has a link.
    CreateLink {
        /// Which link.
        link: LinkId,
        /// What it lets do.
        access: LinkAccess,
    },
    /// Let in nobody by a link any more.
    RevokeLink {
        /// Which link.
        link: LinkId,
    },
}

/// What has happened to a list. The JSON form is the stored payload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ListEvent {
    /// It came into being. In version 1 it belonged to nobody.
    Created {
        /// What it is called.
        name: ListName,
        /// Whose it is; `None`: everyone's, as all were before lists had owners.
        owner: Option<Principal>,
    },
    /// It is called something else.
    Renamed {
        /// What it is called from now on.
        name: ListName,
    },
    /// It was put away.
    Archived,
    /// It was taken out again.
    Restored,
    /// It belongs to somebody else.
    HandedOver {
        /// To whom.
        to: Principal,
    },
    /// Whoever has a link is let in.
    LinkCreated {
        /// Which link.
        link: LinkId,
        /// What it lets do.
        access: LinkAccess,
    },
    /// Nobody is let in by a link any more.
    LinkRevoked {
        /// Which link.
        link: LinkId,
    },
}

/// What a list is, as far as its decisions need to know.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ListState {
    /// Nothing has happened yet.
    #[default]
    NotCreated,
    /// In use.
    Open(ListDetails),
    /// Put away.
    Archived(ListDetails),
}

/// What is known of a list that was created.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ListDetails {
    /// What it is called.
    pub name: ListName,
    /// Whose it is; `None`: everyone's.
    pub owner: Option<Principal>,
    /// The links that let others in, the oldest first.
    pub links: Vec<Link>,
}

/// Why a list refuses a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ListError {
    /// The id has been used.
    #[error("this list already exists")]
    AlreadyExists,
    /// There is no such list.
    #[error("there is no such list")]
    NotFound,
    /// It has been put away, and does not change until it is restored.
    #[error("this list is archived; restore it first")]
    Archived,
    /// It is in use, so there is nothing to restore.
    #[error("this list is not archived")]
    NotArchived,
    /// The shared list stays as it is.
    #[error("the shared list is always there, and stays as it is")]
    Shared,
    /// It is somebody else's. Only for those who may know of it.
    #[error("only the owner of this list can do that")]
    NotOwner,
    /// The id of the link has been used.
    #[error("this link already exists")]
    LinkAlreadyExists,
    /// It has as many links as it may have.
    #[error("a list has at most {max} links; revoke one that is not needed any more", max = ListState::MAX_LINKS)]
    TooManyLinks,
    /// There is no such link, or no longer.
    #[error("this list has no such link")]
    NoSuchLink,
}

/// Why a text is not a [`ListName`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the name of a list {0}")]
pub struct ListNameError(pub LineError);

impl Aggregate for ListState {
    const TYPE: &'static str = "List";
    const FINGERPRINT: Fingerprint = Fingerprint::of(&[
        include_str!("list.rs"),
        include_str!("list/link.rs"),
        include_str!("line.rs"),
        include_str!("characters.rs"),
        include_str!("principal.rs"),
    ]);

    type Id = ListId;
    type Command = ListCommand;
    type Event = ListEvent;
    type Error = ListError;

    fn handle(&self, command: &ListCommand) -> Result<Vec<ListEvent>, ListError> {
        use {ListCommand as C, ListError as E, ListEvent as Happened};

        match (self, command) {
            (Self::NotCreated, C::Create { name, owner }) => Ok(vec![Happened::Created {
                name: name.clone(),
                owner: *owner,
            }]),
            (Self::Open(_) | Self::Archived(_), C::Create { .. }) => Err(E::AlreadyExists),
            (
                Self::NotCreated,
                C::Rename { .. }
                | C::Archive
                | C::Restore
                | C::HandOver { .. }
                | C::CreateLink { .. }
                | C::RevokeLink { .. },
            ) => Err(E::NotFound),
            (Self::Open(list), C::Rename { name }) => Ok(if list.name == *name {
                vec![]
            } else {
                vec![Happened::Renamed { name: name.clone() }]
            }),
            (Self::Open(_), C::Archive) => Ok(vec![Happened::Archived]),
            (Self::Open(list), C::CreateLink { link, access }) => list.create_link(*link, *access),
            (Self::Archived(_), C::Rename { .. } | C::Archive | C::CreateLink { .. }) => {
                Err(E::Archived)
            }
            (Self::Archived(_), C::Restore) => Ok(vec![Happened::Restored]),
            (Self::Open(_), C::Restore) => Err(E::NotArchived),
            // Whose it is, and who is kept out, is no matter of its being in use.
            (Self::Open(list) | Self::Archived(list), C::HandOver { to }) => {
                Ok(if list.owner == Some(*to) {
                    vec![]
                } else {
                    vec![Happened::HandedOver { to: *to }]
                })
            }
            (Self::Open(list) | Self::Archived(list), C::RevokeLink { link }) => {
                let link = list.link(*link).ok_or(E::NoSuchLink)?.id;
                Ok(vec![Happened::LinkRevoked { link }])
            }
        }
    }

    fn apply(self, event: &ListEvent) -> Self {
        use ListEvent as Happened;

        match (self, event) {
            (Self::NotCreated, Happened::Created { name, owner }) => Self::Open(ListDetails {
                name: name.clone(),
                owner: *owner,
                links: Vec::new(),
            }),
            (Self::Open(list), Happened::Renamed { name }) => Self::Open(ListDetails {
                name: name.clone(),
                ..list
            }),
            (Self::Open(list), Happened::Archived) => Self::Archived(list),
            (Self::Archived(list), Happened::Restored) => Self::Open(list),
            (
                Self::Open(list),
                Happened::HandedOver { .. }
                | Happened::LinkCreated { .. }
                | Happened::LinkRevoked { .. },
            ) => Self::Open(list.apply(event)),
            (Self::Archived(list), Happened::HandedOver { .. } | Happened::LinkRevoked { .. }) => {
                Self::Archived(list.apply(event))
            }
            (
                state @ Self::NotCreated,
                Happened::Renamed { .. }
                | Happened::Archived
                | Happened::Restored
                | Happened::HandedOver { .. }
                | Happened::LinkCreated { .. }
                | Happened::LinkRevoked { .. },
            )
            | (state @ Self::Open(_), Happened::Created { .. } | Happened::Restored)
            | (
                state @ Self::Archived(_),
                Happened::Created { .. }
                | Happened::Renamed { .. }
                | Happened::Archived
                | Happened::LinkCreated { .. },
            ) => state,
        }
    }
}

impl ListState {
    /// How many links a list may have at once.
    pub const MAX_LINKS: usize = 20;

    /// What is known of the list, if it was created.
    #[must_use]
    pub fn details(&self) -> Option<&ListDetails> {
        match self {
            Self::NotCreated => None,
            Self::Open(list) | Self::Archived(list) => Some(list),
        }
    }
}

impl ListDetails {
    /// What somebody may do with the list who is all of these, and has come by a
    /// link, if by any.
    #[must_use]
    pub fn access(&self, who: &[Principal], link: Option<LinkId>) -> Access {
        match self.owner {
            None => Access::Own,
            Some(owner) if who.contains(&owner) => Access::Own,
            Some(_) => link
                .and_then(|link| self.link(link))
                .map_or(Access::None, |link| link.access.into()),
        }
    }

    /// One of its links.
    #[must_use]
    pub fn link(&self, id: LinkId) -> Option<Link> {
        self.links.iter().find(|link| link.id == id).copied()
    }

    fn create_link(&self, link: LinkId, access: LinkAccess) -> Result<Vec<ListEvent>, ListError> {
        if self.link(link).is_some() {
            return Err(ListError::LinkAlreadyExists);
        }
        if self.links.len() >= ListState::MAX_LINKS {
            return Err(ListError::TooManyLinks);
        }
        Ok(vec![ListEvent::LinkCreated { link, access }])
    }

    fn apply(mut self, event: &ListEvent) -> Self {
        match event {
            ListEvent::HandedOver { to } => self.owner = Some(*to),
            ListEvent::LinkCreated { link, access } => {
                if self.link(*link).is_none() {
                    self.links.push(Link {
                        id: *link,
                        access: *access,
                    });
                }
            }
            ListEvent::LinkRevoked { link } => self.links.retain(|known| known.id != *link),
            ListEvent::Created { .. }
            | ListEvent::Renamed { .. }
            | ListEvent::Archived
            | ListEvent::Restored => {}
        }
        self
    }
}

impl DomainEvent for ListEvent {
    const SCHEMAS: &'static [EventSchema] = &[
        EventSchema::lifted("created", &[created_belongs_to_everyone]),
        EventSchema::new("renamed"),
        EventSchema::new("archived"),
        EventSchema::new("restored"),
        EventSchema::new("handed_over"),
        EventSchema::new("link_created"),
        EventSchema::new("link_revoked"),
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::Renamed { .. } => "renamed",
            Self::Archived => "archived",
            Self::Restored => "restored",
            Self::HandedOver { .. } => "handed_over",
            Self::LinkCreated { .. } => "link_created",
            Self::LinkRevoked { .. } => "link_revoked",
        }
    }
}

/// From version 1 to version 2: before lists had owners, they were for everyone.
fn created_belongs_to_everyone(fields: &mut Map<String, Value>) -> Result<(), UpcastError> {
    fields.insert("owner".to_owned(), Value::Null);
    Ok(())
}

impl DomainError for ListError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound | Self::NoSuchLink => ErrorKind::NotFound,
            Self::NotOwner => ErrorKind::Forbidden,
            Self::AlreadyExists
            | Self::Archived
            | Self::NotArchived
            | Self::Shared
            | Self::LinkAlreadyExists
            | Self::TooManyLinks => ErrorKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyExists => "list-already-exists",
            Self::NotFound => "list-not-found",
            Self::Archived => "list-archived",
            Self::NotArchived => "list-not-archived",
            Self::Shared => "list-shared",
            Self::NotOwner => "not-the-owner",
            Self::LinkAlreadyExists => "link-already-exists",
            Self::TooManyLinks => "too-many-links",
            Self::NoSuchLink => "link-not-found",
        }
    }
}

impl ListName {
    /// The most characters that a name may have.
    pub const MAX_CHARS: usize = 100;

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ListName {
    type Err = ListNameError;

    fn from_str(name: &str) -> Result<Self, ListNameError> {
        line::parse(name, Rules::name(Self::MAX_CHARS))
            .map(Self)
            .map_err(ListNameError)
    }
}

impl TryFrom<String> for ListName {
    type Error = ListNameError;

    fn try_from(name: String) -> Result<Self, ListNameError> {
        name.parse()
    }
}

impl<'de> Deserialize<'de> for ListName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        line::stored(deserializer).map(Self)
    }
}

impl From<ListName> for String {
    fn from(name: ListName) -> Self {
        name.0
    }
}

impl Display for ListName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
