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
    Access, Aggregate, DomainError, DomainEvent, EventSchema, Fingerprint, Owned, OwnedEvent,
    Ownership, OwnershipCommand, OwnershipError, OwnershipEvent, Principal, Refusal, UpcastError,
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
    /// Change the owner or the links of the list.
    Ownership(OwnershipCommand),
}

/// The events of a list, apart from those of its ownership. The JSON form is the stored payload.
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
    /// The command is refused because of the owner or the links.
    #[error(transparent)]
    Ownership(#[from] OwnershipError),
}

/// The error for a text that is not a [`ListName`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the name of a list {0}")]
pub struct ListNameError(pub LineError);

impl Aggregate for ListState {
    const TYPE: &'static str = "List";
    const FINGERPRINT: Fingerprint = Fingerprint::of(&[
        include_str!("list.rs"),
        include_str!("../line.rs"),
        include_str!("../characters.rs"),
        Ownership::SOURCE,
    ]);

    type Id = ListId;
    type Command = ListCommand;
    type Event = OwnedEvent<ListEvent>;
    type Error = ListError;

    fn handle(&self, command: &ListCommand) -> Result<Vec<Self::Event>, ListError> {
        use {ListCommand as C, ListError as E, ListEvent as Happened};

        let event = match (self, command) {
            (Self::NotCreated, C::Create { name, owner }) => Happened::Created {
                name: name.clone(),
                owner: *owner,
            },
            (Self::Open(_) | Self::Archived(_), C::Create { .. }) => return Err(E::AlreadyExists),
            (Self::NotCreated, C::Rename { .. } | C::Archive | C::Restore | C::Ownership(_)) => {
                return Err(E::NotFound);
            }
            (Self::Open(list), C::Rename { name }) if list.name == *name => return Ok(vec![]),
            (Self::Open(_), C::Rename { name }) => Happened::Renamed { name: name.clone() },
            (Self::Open(_), C::Archive) => Happened::Archived,
            (
                Self::Archived(_),
                C::Rename { .. } | C::Archive | C::Ownership(OwnershipCommand::CreateLink { .. }),
            ) => return Err(E::Archived),
            (Self::Archived(_), C::Restore) => Happened::Restored,
            (Self::Open(_), C::Restore) => return Err(E::NotArchived),
            // The owner may change, and a link be revoked, even while the list is archived.
            (Self::Open(list) | Self::Archived(list), C::Ownership(command)) => {
                return Ok(list.ownership.handle(command, Self::NOUN)?);
            }
        };
        Ok(vec![event.into()])
    }

    fn apply(self, event: &Self::Event) -> Self {
        use ListEvent as Happened;
        use OwnedEvent::{Own, Ownership as OfOwnership};

        match (self, event) {
            (Self::NotCreated, Own(Happened::Created { name, owner })) => Self::Open(ListDetails {
                name: name.clone(),
                ownership: Ownership::of(*owner),
            }),
            (Self::Open(list), Own(Happened::Archived)) => Self::Archived(list),
            (Self::Archived(list), Own(Happened::Restored)) => Self::Open(list),
            (Self::Open(list), Own(Happened::Renamed { name })) => Self::Open(ListDetails {
                name: name.clone(),
                ..list
            }),
            (state @ Self::NotCreated, Own(_) | OfOwnership(_))
            | (state @ Self::Open(_), Own(Happened::Created { .. } | Happened::Restored))
            | (
                state @ Self::Archived(_),
                Own(Happened::Created { .. } | Happened::Renamed { .. } | Happened::Archived)
                | OfOwnership(OwnershipEvent::LinkCreated { .. }),
            ) => state,
            (Self::Open(list), OfOwnership(event)) => Self::Open(list.after(event)),
            (Self::Archived(list), OfOwnership(event)) => Self::Archived(list.after(event)),
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
    fn after(self, event: &OwnershipEvent) -> Self {
        let ownership = self.ownership.apply(event);
        Self { ownership, ..self }
    }
}

impl From<OwnershipCommand> for ListCommand {
    fn from(command: OwnershipCommand) -> Self {
        Self::Ownership(command)
    }
}

impl Owned for ListState {
    const NOUN: &'static str = "a list";
    // Links from before other aggregates had links name no scope.
    const LINK_SCOPE: &'static str = "";
    const NOT_FOUND: ListError = ListError::NotFound;

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
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::Renamed { .. } => "renamed",
            Self::Archived => "archived",
            Self::Restored => "restored",
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
            Self::Ownership(error) => error.refusal(),
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
