//! The list: a name, an owner, and links that give others access.
//!
//! A list is created once, and renamed at will. It is archived when it has served its purpose,
//! and an archived list can be restored. A todo names its list; the list does not know its todos.
//! Only the owner and the holders of its links may know that a list exists. The shared list is
//! not such an aggregate: it always exists, for everyone, and no event ever changes it.

mod id;

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::line::{self, LineError, Rules};
use crate::{
    Access, Aggregate, DomainError, DomainEvent, EventSchema, Fingerprint, Link, LinkAccess,
    LinkId, Owned, Ownership, Principal, Refusal, UpcastError,
};

pub use id::{ListId, ListIdError};

/// The name of a list: trimmed, in form C, with 1 to [`ListName::MAX_CHARS`] characters (Unicode
/// scalar values). At least one character is visible. None is a control character, or hidden
/// without a purpose. `Deserialize` reads a stored name, even one that only older rules accept;
/// see [`typed`](crate::typed).
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ListName(#[serde(deserialize_with = "line::stored")] String);

/// The commands of a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ListCommand {
    /// Create the list.
    Create {
        /// The name of the list.
        name: ListName,
        /// The owner; `None` means everyone.
        owner: Option<Principal>,
    },
    /// Give the list another name.
    Rename {
        /// The new name.
        name: ListName,
    },
    /// Archive the list. It then takes no new todos.
    Archive,
    /// Restore the archived list.
    Restore,
    /// Give the list to another owner, if it still belongs to the owner who hands it over.
    HandOver {
        /// The owner who hands the list over; `None` for a list that belongs to everyone.
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

/// The events of a list. The JSON form is the stored payload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ListEvent {
    /// The list was created. Version 1 had no owner.
    Created {
        /// The name of the list.
        name: ListName,
        /// The owner; `None` means everyone, as for all lists before lists had owners.
        #[serde(deserialize_with = "Option::deserialize")]
        owner: Option<Principal>,
    },
    /// The list was given another name.
    Renamed {
        /// The new name.
        name: ListName,
    },
    /// The list was archived.
    Archived,
    /// The list was restored.
    Restored,
    /// The list was given to another owner.
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

/// The state of a list, as far as its decisions need it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ListState {
    /// The list has no events yet.
    #[default]
    NotCreated,
    /// The list is in use.
    Open(ListDetails),
    /// The list is archived.
    Archived(ListDetails),
}

/// The details of a list that was created.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ListDetails {
    /// The name of the list.
    pub name: ListName,
    /// The owner and the links of the list.
    pub ownership: Ownership,
}

/// The reasons why a list refuses a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ListError {
    /// The id is already in use.
    #[error("this list already exists")]
    AlreadyExists,
    /// The list does not exist, or the caller may not know that it exists.
    #[error("there is no such list")]
    NotFound,
    /// The list is archived, and does not change until it is restored.
    #[error("this list is archived; restore it first")]
    Archived,
    /// The list is in use, so it cannot be restored.
    #[error("this list is not archived")]
    NotArchived,
    /// The command names the shared list, which never changes.
    #[error("the shared list cannot be renamed, archived or shared by links")]
    Shared,
    /// The list belongs to another owner. Only callers who may know of the list get this error.
    #[error("only the owner of this list can do that")]
    NotOwner,
    /// The id of the link is already in use.
    #[error("this link already exists")]
    LinkAlreadyExists,
    /// The list already has [`Ownership::MAX_LINKS`] links.
    #[error("a list has at most {max} links; revoke one that is not needed any more", max = Ownership::MAX_LINKS)]
    TooManyLinks,
    /// The link does not exist, or is revoked.
    #[error("this list has no such link")]
    NoSuchLink,
}

/// The error for a text that is not a [`ListName`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the name of a list {0}")]
pub struct ListNameError(pub LineError);

impl Aggregate for ListState {
    const TYPE: &'static str = "List";
    const FINGERPRINT: Fingerprint = Fingerprint::of(&[
        include_str!("list.rs"),
        include_str!("../access.rs"),
        include_str!("../line.rs"),
        include_str!("../characters.rs"),
        include_str!("../principal.rs"),
        include_str!("../text.rs"),
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
            // The owner may change, and a link be revoked, even while the list is archived.
            (Self::Open(list) | Self::Archived(list), C::HandOver { from, to }) => {
                let is_theirs = list.ownership.owner == *from && *from != Some(*to);
                let handed_over = is_theirs.then_some(Happened::HandedOver { to: *to });
                Ok(handed_over.into_iter().collect())
            }
            (Self::Open(list) | Self::Archived(list), C::RevokeLink { link }) => {
                let link = list.ownership.link(*link).ok_or(E::NoSuchLink)?.id;
                Ok(vec![Happened::LinkRevoked { link }])
            }
        }
    }

    fn apply(self, event: &ListEvent) -> Self {
        use ListEvent as Happened;

        match (self, event) {
            (Self::NotCreated, Happened::Created { name, owner }) => Self::Open(ListDetails {
                name: name.clone(),
                ownership: Ownership::of(*owner),
            }),
            (Self::Open(list), Happened::Archived) => Self::Archived(list),
            (Self::Archived(list), Happened::Restored) => Self::Open(list),
            (
                Self::Open(list),
                Happened::Renamed { .. }
                | Happened::HandedOver { .. }
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
    /// Returns the details of the list, or `None` if it was not created.
    #[must_use]
    pub fn details(&self) -> Option<&ListDetails> {
        match self {
            Self::NotCreated => None,
            Self::Open(list) | Self::Archived(list) => Some(list),
        }
    }
}

impl ListDetails {
    fn create_link(&self, link: LinkId, access: LinkAccess) -> Result<Vec<ListEvent>, ListError> {
        if self.ownership.link(link).is_some() {
            return Err(ListError::LinkAlreadyExists);
        }
        if !self.ownership.has_room() {
            return Err(ListError::TooManyLinks);
        }
        Ok(vec![ListEvent::LinkCreated { link, access }])
    }

    fn apply(mut self, event: &ListEvent) -> Self {
        match event {
            ListEvent::Renamed { name } => self.name = name.clone(),
            ListEvent::HandedOver { to } => self.ownership.owner = Some(*to),
            ListEvent::LinkCreated { link: id, access } => {
                let (id, access) = (*id, *access);
                self.ownership = self.ownership.with_link(Link { id, access });
            }
            ListEvent::LinkRevoked { link } => self.ownership = self.ownership.without_link(*link),
            ListEvent::Created { .. } | ListEvent::Archived | ListEvent::Restored => {}
        }
        self
    }
}

impl Owned for ListState {
    // Links from before other aggregates had links name no scope.
    const LINK_SCOPE: &'static str = "";
    const NOT_FOUND: ListError = ListError::NotFound;
    const NOT_OWNER: ListError = ListError::NotOwner;

    fn ownership(&self) -> Option<&Ownership> {
        self.details().map(|list| &list.ownership)
    }

    /// The shared list has no events, and every caller may edit its todos.
    fn open_to_all(id: &ListId) -> Option<Access> {
        id.is_shared().then_some(Access::Edit)
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

/// Lifts version 1 to version 2. Before lists had owners, they belonged to everyone.
fn created_belongs_to_everyone(fields: &mut Map<String, Value>) -> Result<(), UpcastError> {
    fields.insert("owner".to_owned(), Value::Null);
    Ok(())
}

impl DomainError for ListError {
    fn refusal(&self) -> Refusal {
        match self {
            Self::AlreadyExists => Refusal::conflict("list-already-exists"),
            Self::NotFound => Refusal::not_found("list-not-found").hiding(),
            Self::Archived => Refusal::conflict("list-archived"),
            Self::NotArchived => Refusal::conflict("list-not-archived"),
            Self::Shared => Refusal::conflict("list-shared"),
            Self::NotOwner => Refusal::forbidden("not-the-owner"),
            Self::LinkAlreadyExists => Refusal::conflict("link-already-exists"),
            Self::TooManyLinks => Refusal::conflict("too-many-links"),
            Self::NoSuchLink => Refusal::not_found("link-not-found"),
        }
    }
}

impl ListName {
    /// The most characters (Unicode scalar values) in a name.
    pub const MAX_CHARS: usize = 100;

    /// The name as text.
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

impl Display for ListName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
