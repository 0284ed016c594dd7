//! The list: a name, and todos that belong to it.
//!
//! A list is created once, renamed at will, and archived when it has served its
//! purpose; an archived one can be restored. Which todos belong to it is for
//! them to say. The shared list is not one of these: it is always there, and
//! nothing ever happens to it.

mod id;

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::line::{self, LineError};
use crate::{Aggregate, DomainError, DomainEvent, ErrorKind, EventSchema, Fingerprint};

pub use id::{ListId, ListIdError};

/// What a list is called: trimmed, 1 to [`ListName::MAX_CHARS`] characters
/// (Unicode scalar values), none of them a control character, and one of them
/// visible.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ListName(String);

/// What can be asked of a list.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ListCommand {
    /// Bring the list into being.
    Create {
        /// What it is called.
        name: ListName,
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
}

/// What has happened to a list. The JSON form is the stored payload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ListEvent {
    /// It came into being.
    Created {
        /// What it is called.
        name: ListName,
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
}

/// What a list is, as far as its decisions need to know.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ListState {
    /// Nothing has happened yet.
    #[default]
    NotCreated,
    /// In use.
    Open {
        /// What it is called.
        name: ListName,
    },
    /// Put away.
    Archived {
        /// What it is called.
        name: ListName,
    },
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
}

/// Why a text is not a [`ListName`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the name of a list {0}")]
pub struct ListNameError(pub LineError);

impl Aggregate for ListState {
    const TYPE: &'static str = "List";
    const FINGERPRINT: Fingerprint =
        Fingerprint::of(&[include_str!("list.rs"), include_str!("line.rs")]);

    type Id = ListId;
    type Command = ListCommand;
    type Event = ListEvent;
    type Error = ListError;

    fn handle(&self, command: &ListCommand) -> Result<Vec<ListEvent>, ListError> {
        use {ListCommand as C, ListError as E, ListEvent as Happened};

        match (self, command) {
            (Self::NotCreated, C::Create { name }) => {
                Ok(vec![Happened::Created { name: name.clone() }])
            }
            (Self::Open { .. } | Self::Archived { .. }, C::Create { .. }) => Err(E::AlreadyExists),
            (Self::NotCreated, C::Rename { .. } | C::Archive | C::Restore) => Err(E::NotFound),
            (Self::Open { name: current }, C::Rename { name }) => {
                if name == current {
                    Ok(vec![])
                } else {
                    Ok(vec![Happened::Renamed { name: name.clone() }])
                }
            }
            (Self::Open { .. }, C::Archive) => Ok(vec![Happened::Archived]),
            (Self::Archived { .. }, C::Rename { .. } | C::Archive) => Err(E::Archived),
            (Self::Archived { .. }, C::Restore) => Ok(vec![Happened::Restored]),
            (Self::Open { .. }, C::Restore) => Err(E::NotArchived),
        }
    }

    fn apply(self, event: &ListEvent) -> Self {
        use ListEvent as Happened;

        match (self, event) {
            (Self::NotCreated, Happened::Created { name })
            | (Self::Open { .. }, Happened::Renamed { name }) => Self::Open { name: name.clone() },
            (Self::Open { name }, Happened::Archived) => Self::Archived { name },
            (Self::Archived { name }, Happened::Restored) => Self::Open { name },
            (
                state @ Self::NotCreated,
                Happened::Renamed { .. } | Happened::Archived | Happened::Restored,
            )
            | (state @ Self::Open { .. }, Happened::Created { .. } | Happened::Restored)
            | (
                state @ Self::Archived { .. },
                Happened::Created { .. } | Happened::Renamed { .. } | Happened::Archived,
            ) => state,
        }
    }
}

impl DomainEvent for ListEvent {
    const SCHEMAS: &'static [EventSchema] = &[
        EventSchema::new("created"),
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

impl DomainError for ListError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::AlreadyExists | Self::Archived | Self::NotArchived | Self::Shared => {
                ErrorKind::Conflict
            }
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyExists => "list-already-exists",
            Self::NotFound => "list-not-found",
            Self::Archived => "list-archived",
            Self::NotArchived => "list-not-archived",
            Self::Shared => "list-shared",
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
        line::parse(name, Self::MAX_CHARS)
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
