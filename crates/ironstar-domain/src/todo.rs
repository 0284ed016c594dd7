//! The todo: something to be done, named by a text.
//!
//! A todo is created once, renamed, completed and reopened at will, and deleted
//! for good. Where its stream lives and who asks are not this module's matter.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::line::{self, LineError, Rules};
use crate::list::{ListId, ListState};
use crate::{
    Aggregate, DomainError, DomainEvent, ErrorKind, EventSchema, Fingerprint, Parent, UpcastError,
};

/// Identifies a todo.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct TodoId(Uuid);

/// What a todo says: trimmed, in form C, 1 to [`TodoText::MAX_CHARS`] characters
/// (Unicode scalar values), one of them visible, and none of them a control
/// character or hidden without a purpose. As JSON it reads what is stored, also by
/// older rules; see [`typed`](crate::typed).
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(into = "String")]
pub struct TodoText(String);

/// What can be asked of a todo.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TodoCommand {
    /// Bring the todo into being.
    Create {
        /// What it says.
        #[serde(deserialize_with = "line::typed")]
        text: TodoText,
        /// The list that it belongs to: the shared one, unless another is named.
        #[serde(default)]
        list: ListId,
    },
    /// Make it say something else, done or not.
    Rename {
        /// What it says from now on.
        #[serde(deserialize_with = "line::typed")]
        text: TodoText,
    },
    /// Mark it as done.
    Complete,
    /// Mark it as not done after all.
    Reopen,
    /// Remove it for good.
    Delete,
}

/// What has happened to a todo. The JSON form is the stored payload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TodoEvent {
    /// It came into being. Version 1 did not name a list.
    Created {
        /// What it says.
        text: TodoText,
        /// The list that it belongs to.
        list: ListId,
    },
    /// It says something else.
    Renamed {
        /// What it says from now on.
        text: TodoText,
    },
    /// It was marked as done.
    Completed,
    /// It was marked as not done after all.
    Reopened,
    /// It was removed for good.
    Deleted,
}

/// What a todo is, as far as its decisions need to know.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TodoState {
    /// Nothing has happened yet.
    #[default]
    NotCreated,
    /// To be done.
    Active {
        /// What it says.
        text: TodoText,
        /// The list that it belongs to.
        list: ListId,
    },
    /// Done.
    Completed {
        /// What it says.
        text: TodoText,
        /// The list that it belongs to.
        list: ListId,
    },
    /// Gone. Its id is never used again.
    Deleted {
        /// The list that it belonged to.
        list: ListId,
    },
}

/// Why a todo refuses a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TodoError {
    /// The id has been used, be it by a todo that is deleted by now.
    #[error("this todo already exists")]
    AlreadyExists,
    /// There is no such todo, or no longer.
    #[error("there is no such todo")]
    NotFound,
    /// It is done already.
    #[error("this todo is already completed")]
    AlreadyCompleted,
    /// It is not done, so there is nothing to reopen.
    #[error("this todo is not completed")]
    NotCompleted,
    /// There is no such list as it is to belong to.
    #[error("there is no such list")]
    NoSuchList,
    /// The list that it is to belong to takes no new todos.
    #[error("this list is archived; restore it first")]
    ListArchived,
    /// Whoever asks may see the list that it belongs to, and no more.
    #[error("this list can only be looked at")]
    ReadOnly,
}

/// Why a text is not a [`TodoText`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the text of a todo {0}")]
pub struct TodoTextError(pub LineError);

/// Why a text is not a [`TodoId`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the id of a todo must be a UUID, such as 019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e")]
pub struct TodoIdError;

impl Aggregate for TodoState {
    const TYPE: &'static str = "Todo";
    const FINGERPRINT: Fingerprint = Fingerprint::of(&[
        include_str!("todo.rs"),
        include_str!("line.rs"),
        include_str!("characters.rs"),
        include_str!("list/id.rs"),
    ]);

    type Id = TodoId;
    type Command = TodoCommand;
    type Event = TodoEvent;
    type Error = TodoError;

    fn handle(&self, command: &TodoCommand) -> Result<Vec<TodoEvent>, TodoError> {
        use {TodoCommand as C, TodoError as E, TodoEvent as Happened};

        match (self, command) {
            (Self::NotCreated, C::Create { text, list }) => Ok(vec![Happened::Created {
                text: text.clone(),
                list: *list,
            }]),
            (
                Self::Active { .. } | Self::Completed { .. } | Self::Deleted { .. },
                C::Create { .. },
            ) => Err(E::AlreadyExists),
            (
                Self::NotCreated | Self::Deleted { .. },
                C::Rename { .. } | C::Complete | C::Reopen | C::Delete,
            ) => Err(E::NotFound),
            (
                Self::Active { text: current, .. } | Self::Completed { text: current, .. },
                C::Rename { text },
            ) => {
                if text == current {
                    Ok(vec![])
                } else {
                    Ok(vec![Happened::Renamed { text: text.clone() }])
                }
            }
            (Self::Active { .. }, C::Complete) => Ok(vec![Happened::Completed]),
            (Self::Completed { .. }, C::Complete) => Err(E::AlreadyCompleted),
            (Self::Completed { .. }, C::Reopen) => Ok(vec![Happened::Reopened]),
            (Self::Active { .. }, C::Reopen) => Err(E::NotCompleted),
            (Self::Active { .. } | Self::Completed { .. }, C::Delete) => {
                Ok(vec![Happened::Deleted])
            }
        }
    }

    fn apply(self, event: &TodoEvent) -> Self {
        use TodoEvent as Happened;

        match (self, event) {
            (Self::NotCreated, Happened::Created { text, list }) => Self::Active {
                text: text.clone(),
                list: *list,
            },
            (Self::Active { list, .. }, Happened::Renamed { text }) => Self::Active {
                text: text.clone(),
                list,
            },
            (Self::Completed { list, .. }, Happened::Renamed { text }) => Self::Completed {
                text: text.clone(),
                list,
            },
            (Self::Active { text, list }, Happened::Completed) => Self::Completed { text, list },
            (Self::Completed { text, list }, Happened::Reopened) => Self::Active { text, list },
            (Self::Active { list, .. } | Self::Completed { list, .. }, Happened::Deleted) => {
                Self::Deleted { list }
            }
            (
                state @ (Self::Active { .. } | Self::Completed { .. } | Self::Deleted { .. }),
                Happened::Created { .. },
            )
            | (
                state @ (Self::NotCreated | Self::Deleted { .. }),
                Happened::Renamed { .. }
                | Happened::Completed
                | Happened::Reopened
                | Happened::Deleted,
            )
            | (state @ Self::Completed { .. }, Happened::Completed)
            | (state @ Self::Active { .. }, Happened::Reopened) => state,
        }
    }

    fn parent(&self) -> Option<Parent> {
        self.list().map(|list| Parent::of::<ListState>(&list))
    }
}

impl TodoState {
    /// The list that it belongs to, or did while it was there.
    #[must_use]
    pub fn list(&self) -> Option<ListId> {
        match self {
            Self::NotCreated => None,
            Self::Active { list, .. } | Self::Completed { list, .. } | Self::Deleted { list } => {
                Some(*list)
            }
        }
    }
}

impl DomainEvent for TodoEvent {
    const SCHEMAS: &'static [EventSchema] = &[
        EventSchema::lifted("created", &[created_belongs_to_a_list]),
        EventSchema::new("renamed"),
        EventSchema::new("completed"),
        EventSchema::new("reopened"),
        EventSchema::new("deleted"),
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::Renamed { .. } => "renamed",
            Self::Completed => "completed",
            Self::Reopened => "reopened",
            Self::Deleted => "deleted",
        }
    }
}

/// From version 1 to version 2: before there were lists, all was shared.
fn created_belongs_to_a_list(fields: &mut Map<String, Value>) -> Result<(), UpcastError> {
    fields.insert("list".to_owned(), ListId::SHARED.to_string().into());
    Ok(())
}

impl DomainError for TodoError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound | Self::NoSuchList => ErrorKind::NotFound,
            Self::ReadOnly => ErrorKind::Forbidden,
            Self::AlreadyExists
            | Self::AlreadyCompleted
            | Self::NotCompleted
            | Self::ListArchived => ErrorKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyExists => "todo-already-exists",
            Self::NotFound => "todo-not-found",
            Self::AlreadyCompleted => "todo-already-completed",
            Self::NotCompleted => "todo-not-completed",
            Self::NoSuchList => "list-not-found",
            Self::ListArchived => "list-archived",
            Self::ReadOnly => "list-read-only",
        }
    }
}

impl TodoId {
    /// The todo that this UUID names.
    #[must_use]
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl From<Uuid> for TodoId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl FromStr for TodoId {
    type Err = TodoIdError;

    fn from_str(text: &str) -> Result<Self, TodoIdError> {
        Uuid::try_parse(text).map(Self).map_err(|_| TodoIdError)
    }
}

impl TryFrom<String> for TodoId {
    type Error = TodoIdError;

    fn try_from(text: String) -> Result<Self, TodoIdError> {
        text.parse()
    }
}

impl From<TodoId> for String {
    fn from(id: TodoId) -> Self {
        id.to_string()
    }
}

impl Display for TodoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl TodoText {
    /// The most characters that a text may have.
    pub const MAX_CHARS: usize = 500;

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TodoText {
    type Err = TodoTextError;

    fn from_str(text: &str) -> Result<Self, TodoTextError> {
        line::parse(text, Rules::text(Self::MAX_CHARS))
            .map(Self)
            .map_err(TodoTextError)
    }
}

impl TryFrom<String> for TodoText {
    type Error = TodoTextError;

    fn try_from(text: String) -> Result<Self, TodoTextError> {
        text.parse()
    }
}

impl<'de> Deserialize<'de> for TodoText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        line::stored(deserializer).map(Self)
    }
}

impl From<TodoText> for String {
    fn from(text: TodoText) -> Self {
        text.0
    }
}

impl Display for TodoText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
