//! The book: it is lent to one reader at a time.

use ironstar_domain::{
    Aggregate, DomainError, DomainEvent, EventSchema, Fingerprint, Refusal, UpcastError,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The events of a book, and its commands.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BookEvent {
    Added { title: String, shelf: String },
    Lent { to: String },
    Returned,
}

#[derive(Clone, Debug)]
pub enum BookCommand {
    Add { title: String, shelf: String },
    Lend { to: String },
    Return,
}

/// The state of a book, as far as decisions need it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub enum BookState {
    #[default]
    Unknown,
    In,
    Out {
        with: String,
    },
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BookError {
    #[error("there is no such book")]
    NotFound,
    #[error("this book is in the library already")]
    AlreadyAdded,
    #[error("{0} has this book")]
    Out(String),
    #[error("this book is in")]
    In,
}

/// The decisions.
impl Aggregate for BookState {
    const TYPE: &'static str = "Book";
    const FINGERPRINT: Fingerprint = Fingerprint::of(&[include_str!("book.rs")]);

    type Id = Uuid;
    type Command = BookCommand;
    type Event = BookEvent;
    type Error = BookError;

    fn handle(&self, command: &BookCommand) -> Result<Vec<BookEvent>, BookError> {
        match (self, command.clone()) {
            (Self::Unknown, BookCommand::Add { title, shelf }) => {
                Ok(vec![BookEvent::Added { title, shelf }])
            }
            (Self::Unknown, BookCommand::Lend { .. } | BookCommand::Return) => {
                Err(BookError::NotFound)
            }
            (Self::In | Self::Out { .. }, BookCommand::Add { .. }) => Err(BookError::AlreadyAdded),
            (Self::In, BookCommand::Lend { to }) => Ok(vec![BookEvent::Lent { to }]),
            (Self::In, BookCommand::Return) => Err(BookError::In),
            (Self::Out { with }, BookCommand::Lend { .. }) => Err(BookError::Out(with.clone())),
            (Self::Out { .. }, BookCommand::Return) => Ok(vec![BookEvent::Returned]),
        }
    }

    fn apply(self, event: &BookEvent) -> Self {
        match (self, event) {
            (Self::Unknown, BookEvent::Added { .. }) => Self::In,
            (Self::In, BookEvent::Lent { to }) => Self::Out { with: to.clone() },
            (Self::Out { .. }, BookEvent::Returned) => Self::In,
            (state, BookEvent::Added { .. } | BookEvent::Lent { .. } | BookEvent::Returned) => {
                state
            }
        }
    }
}

impl DomainEvent for BookEvent {
    const SCHEMAS: &'static [EventSchema] = &[
        EventSchema::lifted("added", &[added_has_a_shelf]),
        EventSchema::new("lent"),
        EventSchema::new("returned"),
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Self::Added { .. } => "added",
            Self::Lent { .. } => "lent",
            Self::Returned => "returned",
        }
    }
}

impl DomainError for BookError {
    fn refusal(&self) -> Refusal {
        match self {
            Self::NotFound => Refusal::not_found("book-not-found"),
            Self::AlreadyAdded => Refusal::conflict("book-already-added"),
            Self::Out(_) => Refusal::conflict("book-out"),
            Self::In => Refusal::conflict("book-in"),
        }
    }
}

/// From version 1 to version 2 of `added`.
fn added_has_a_shelf(fields: &mut Map<String, Value>) -> Result<(), UpcastError> {
    fields.insert("shelf".to_owned(), "unsorted".into());
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
