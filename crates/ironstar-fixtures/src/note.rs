//! The note: a text with an owner, and links that give other callers access.

use ironstar_domain::{
    Access, Aggregate, DomainError, DomainEvent, EventSchema, Fingerprint, Owned, OwnedEvent,
    Ownership, OwnershipCommand, OwnershipError, Principal, Refusal,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The note that has no owner and no events, and whose remarks all callers may edit.
pub const OPEN: Uuid = Uuid::nil();

/// The events of a note, apart from those of its ownership.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NoteEvent {
    /// The note was created.
    Created {
        /// The text of the note.
        text: String,
        /// The owner; `None` means everyone.
        owner: Option<Principal>,
    },
    /// The note got another text.
    Rewritten {
        /// The new text.
        text: String,
    },
}

/// The commands of a note.
#[derive(Clone, Debug)]
pub enum NoteCommand {
    /// Create the note.
    Create {
        /// The text of the note.
        text: String,
        /// The owner; `None` means everyone.
        owner: Option<Principal>,
    },
    /// Give the note another text.
    Rewrite {
        /// The new text.
        text: String,
    },
    /// Change the owner or the links of the note.
    Ownership(OwnershipCommand),
}

/// The state of a note; `None` if it was not created.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct NoteState(Option<Note>);

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Note {
    text: String,
    ownership: Ownership,
}

/// The reasons why a note refuses a command.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoteError {
    /// The id is already in use.
    #[error("this note already exists")]
    AlreadyExists,
    /// The note does not exist, or the caller may not know that it exists.
    #[error("there is no such note")]
    NotFound,
    /// The command is refused because of the owner or the links.
    #[error(transparent)]
    Ownership(#[from] OwnershipError),
}

impl Aggregate for NoteState {
    const TYPE: &'static str = "Note";
    const FINGERPRINT: Fingerprint = Fingerprint::of(&[include_str!("note.rs"), Ownership::SOURCE]);

    type Id = Uuid;
    type Command = NoteCommand;
    type Event = OwnedEvent<NoteEvent>;
    type Error = NoteError;

    fn handle(&self, command: &NoteCommand) -> Result<Vec<Self::Event>, NoteError> {
        use NoteCommand as C;

        let event = match (&self.0, command.clone()) {
            (None, C::Create { text, owner }) => NoteEvent::Created { text, owner },
            (None, C::Rewrite { .. } | C::Ownership(_)) => return Err(NoteError::NotFound),
            (Some(_), C::Create { .. }) => return Err(NoteError::AlreadyExists),
            (Some(note), C::Rewrite { text }) if note.text == text => return Ok(vec![]),
            (Some(_), C::Rewrite { text }) => NoteEvent::Rewritten { text },
            (Some(note), C::Ownership(command)) => {
                return Ok(note.ownership.handle(&command, Self::NOUN)?);
            }
        };
        Ok(vec![event.into()])
    }

    fn apply(self, event: &Self::Event) -> Self {
        let note = match (self.0, event.clone()) {
            (None, OwnedEvent::Own(NoteEvent::Created { text, owner })) => Some(Note {
                text,
                ownership: Ownership::of(owner),
            }),
            (Some(note), OwnedEvent::Own(NoteEvent::Rewritten { text })) => {
                Some(Note { text, ..note })
            }
            (Some(Note { text, ownership }), OwnedEvent::Ownership(event)) => Some(Note {
                text,
                ownership: ownership.apply(&event),
            }),
            (note, OwnedEvent::Own(_) | OwnedEvent::Ownership(_)) => note,
        };
        Self(note)
    }
}

impl NoteState {
    /// Returns the text of the note, and `None` before its creation.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.0.as_ref().map(|note| &*note.text)
    }
}

impl Owned for NoteState {
    const NOUN: &'static str = "a note";
    const LINK_SCOPE: &'static str = "note";
    const NOT_FOUND: NoteError = NoteError::NotFound;

    fn ownership(&self) -> Option<&Ownership> {
        self.0.as_ref().map(|note| &note.ownership)
    }

    fn open_to_all(id: &Uuid) -> Option<Access> {
        (*id == OPEN).then_some(Access::Edit)
    }
}

impl From<OwnershipCommand> for NoteCommand {
    fn from(command: OwnershipCommand) -> Self {
        Self::Ownership(command)
    }
}

impl DomainEvent for NoteEvent {
    const SCHEMAS: &'static [EventSchema] =
        &[EventSchema::new("created"), EventSchema::new("rewritten")];

    fn event_type(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::Rewritten { .. } => "rewritten",
        }
    }
}

impl DomainError for NoteError {
    fn refusal(&self) -> Refusal {
        match self {
            Self::AlreadyExists => Refusal::conflict("note-already-exists"),
            Self::NotFound => Refusal::not_found("note-not-found").hiding(),
            Self::Ownership(error) => error.refusal(),
        }
    }
}
