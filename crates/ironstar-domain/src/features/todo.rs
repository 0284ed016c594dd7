//! The todo: a task with a text.
//!
//! A todo is created once, and renamed, completed and reopened at will. Its deletion is final.
//! This module knows neither where the events are stored nor which caller sends a command.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::line::{self, LineError, Rules};
use crate::list::{ListId, ListState};
use crate::text::serde_as_text;
use crate::{
    Aggregate, DomainError, DomainEvent, EventSchema, Fingerprint, Parent, Refusal, UpcastError,
};

/// The id of a todo. Its text form is a hyphenated UUID.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct TodoId(Uuid);

/// The text of a todo: trimmed, in form C, with 1 to [`TodoText::MAX_CHARS`] characters (Unicode
/// scalar values). At least one character is visible. None is a control character, or hidden
/// without a purpose. `Deserialize` reads a stored text, even one that only older rules accept;
/// see [`typed`](crate::typed).
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct TodoText(#[serde(deserialize_with = "line::stored")] String);

/// The commands of a todo.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TodoCommand {
    /// Create the todo.
    Create {
        /// The text of the todo.
        #[serde(deserialize_with = "line::typed")]
        text: TodoText,
        /// The list of the todo: the shared list, unless the command names another.
        #[serde(default)]
        list: ListId,
    },
    /// Give the todo another text, whether or not it is completed.
    Rename {
        /// The new text.
        #[serde(deserialize_with = "line::typed")]
        text: TodoText,
    },
    /// Mark the todo as completed.
    Complete,
    /// Mark the todo as not completed again.
    Reopen,
    /// Delete the todo permanently.
    Delete,
}

/// The events of a todo. The JSON form is the stored payload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TodoEvent {
    /// The todo was created. Version 1 did not name a list.
    Created {
        /// The text of the todo.
        text: TodoText,
        /// The list of the todo.
        list: ListId,
    },
    /// The todo was given another text.
    Renamed {
        /// The new text.
        text: TodoText,
    },
    /// The todo was completed.
    Completed,
    /// The todo was marked as not completed again.
    Reopened,
    /// The todo was deleted permanently.
    Deleted,
}

/// The state of a todo, as far as its decisions need it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TodoState {
    /// The todo has no events yet.
    #[default]
    NotCreated,
    /// The todo is not completed.
    Active {
        /// The text of the todo.
        text: TodoText,
        /// The list of the todo.
        list: ListId,
    },
    /// The todo is completed.
    Completed {
        /// The text of the todo.
        text: TodoText,
        /// The list of the todo.
        list: ListId,
    },
    /// The todo is deleted. Its id is never used again.
    Deleted {
        /// The list that the todo belonged to.
        list: ListId,
    },
}

/// The reasons why a todo refuses a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TodoError {
    /// The id is already in use, or was used by a todo that is now deleted.
    #[error("this todo already exists")]
    AlreadyExists,
    /// The todo does not exist, or is deleted.
    #[error("there is no such todo")]
    NotFound,
    /// The todo is already completed.
    #[error("this todo is already completed")]
    AlreadyCompleted,
    /// The todo is not completed, so it cannot be reopened.
    #[error("this todo is not completed")]
    NotCompleted,
    /// The list of the new todo does not exist, or the caller may not know that it exists.
    #[error("there is no such list")]
    NoSuchList,
    /// The list of the new todo is archived, and takes no new todos.
    #[error("this list is archived; restore it first")]
    ListArchived,
    /// The caller may see the todo's list, but not change its todos.
    #[error("you may see this list, but not change it")]
    ReadOnly,
}

/// The error for a text that is not a [`TodoText`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the text of a todo {0}")]
pub struct TodoTextError(pub LineError);

/// The error for a text that is not a [`TodoId`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the id of a todo must be a UUID, such as 019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e")]
pub struct TodoIdError;

impl Aggregate for TodoState {
    const TYPE: &'static str = "Todo";
    const FINGERPRINT: Fingerprint = Fingerprint::of(&[
        include_str!("todo.rs"),
        include_str!("../line.rs"),
        include_str!("../characters.rs"),
        include_str!("../text.rs"),
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

    /// All todos were in the shared list before there were others.
    fn earliest_parent() -> Option<Parent> {
        Some(Parent::of::<ListState>(&ListId::SHARED))
    }
}

impl TodoState {
    /// Returns the list of the todo, even if the todo is deleted, and `None` before its creation.
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

/// Lifts version 1 to version 2. Before there were lists, all todos were shared.
fn created_belongs_to_a_list(fields: &mut Map<String, Value>) -> Result<(), UpcastError> {
    fields.insert("list".to_owned(), ListId::SHARED.to_string().into());
    Ok(())
}

impl DomainError for TodoError {
    fn refusal(&self) -> Refusal {
        match self {
            Self::AlreadyExists => Refusal::conflict("todo-already-exists"),
            Self::NotFound => Refusal::not_found("todo-not-found"),
            Self::AlreadyCompleted => Refusal::conflict("todo-already-completed"),
            Self::NotCompleted => Refusal::conflict("todo-not-completed"),
            Self::NoSuchList => Refusal::not_found("list-not-found"),
            Self::ListArchived => Refusal::conflict("list-archived"),
            Self::ReadOnly => Refusal::forbidden("list-read-only"),
        }
    }
}

impl TodoId {
    /// The todo with this UUID.
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

serde_as_text!(TodoId);

impl Display for TodoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl TodoText {
    /// The most characters (Unicode scalar values) in a text.
    pub const MAX_CHARS: usize = 500;

    /// The text as a string slice.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TodoText {
    type Err = TodoTextError;

    fn from_str(text: &str) -> Result<Self, TodoTextError> {
        let rules = Rules {
            max_chars: Self::MAX_CHARS,
            // Tibetan piles up more marks than any other script.
            max_marks: 8,
        };
        line::parse(text, rules).map(Self).map_err(TodoTextError)
    }
}

impl Display for TodoText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
