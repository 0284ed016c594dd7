//! The remark: a part of a note, without an owner of its own.

use ironstar_domain::{
    Aggregate, DomainError, DomainEvent, EventSchema, Fingerprint, Parent, Refusal,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::note::{self, NoteState};

/// The events of a remark.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RemarkEvent {
    /// The remark was created.
    Created {
        /// The note that the remark is a part of.
        note: Uuid,
        /// The text of the remark.
        text: String,
    },
    /// The remark got another text.
    Rewritten {
        /// The new text.
        text: String,
    },
    /// The remark was closed.
    Closed,
    /// The remark was opened again.
    Reopened,
    /// The remark was deleted permanently.
    Deleted,
}

/// The commands of a remark.
#[derive(Clone, Debug)]
pub enum RemarkCommand {
    /// Create the remark.
    Create {
        /// The note that the remark is a part of.
        note: Uuid,
        /// The text of the remark.
        text: String,
    },
    /// Give the remark another text.
    Rewrite {
        /// The new text.
        text: String,
    },
    /// Close the remark.
    Close,
    /// Open the remark again.
    Reopen,
    /// Delete the remark permanently.
    Delete,
}

/// The state of a remark; `None` if it was not created.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct RemarkState(Option<Remark>);

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Remark {
    note: Uuid,
    text: String,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Open,
    Closed,
    Deleted,
}

/// The reasons why a remark refuses a command.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RemarkError {
    /// The id is already in use.
    #[error("this remark already exists")]
    AlreadyExists,
    /// The remark does not exist, or is deleted.
    #[error("there is no such remark")]
    NotFound,
    /// The remark is already closed.
    #[error("this remark is already closed")]
    AlreadyClosed,
    /// The remark is not closed, so it cannot be reopened.
    #[error("this remark is not closed")]
    NotClosed,
    /// The note does not exist, or the caller may not know that it exists.
    #[error("there is no such note")]
    NoSuchNote,
    /// The note is empty, and takes no new remarks.
    #[error("this note is empty; write it first")]
    NoteEmpty,
    /// The caller may see the note, but not change its remarks.
    #[error("you may see this note, but not change it")]
    ReadOnly,
}

impl Aggregate for RemarkState {
    const TYPE: &'static str = "Remark";
    const FINGERPRINT: Fingerprint = Fingerprint::of(&[include_str!("remark.rs")]);

    type Id = Uuid;
    type Command = RemarkCommand;
    type Event = RemarkEvent;
    type Error = RemarkError;

    fn handle(&self, command: &RemarkCommand) -> Result<Vec<RemarkEvent>, RemarkError> {
        use {RemarkCommand as C, RemarkError as E};

        let Some(remark) = &self.0 else {
            return match command.clone() {
                C::Create { note, text } => Ok(vec![RemarkEvent::Created { note, text }]),
                C::Rewrite { .. } | C::Close | C::Reopen | C::Delete => Err(E::NotFound),
            };
        };
        let event = match (remark.stage, command.clone()) {
            (_, C::Create { .. }) => return Err(E::AlreadyExists),
            (Stage::Deleted, _) => return Err(E::NotFound),
            (_, C::Rewrite { text }) if text == remark.text => return Ok(vec![]),
            (_, C::Rewrite { text }) => RemarkEvent::Rewritten { text },
            (Stage::Open, C::Close) => RemarkEvent::Closed,
            (Stage::Closed, C::Close) => return Err(E::AlreadyClosed),
            (Stage::Closed, C::Reopen) => RemarkEvent::Reopened,
            (Stage::Open, C::Reopen) => return Err(E::NotClosed),
            (Stage::Open | Stage::Closed, C::Delete) => RemarkEvent::Deleted,
        };
        Ok(vec![event])
    }

    fn apply(self, event: &RemarkEvent) -> Self {
        use {RemarkEvent as Happened, Stage as S};

        let remark = match (self.0, event.clone()) {
            (None, Happened::Created { note, text }) => Some(Remark {
                note,
                text,
                stage: S::Open,
            }),
            (Some(remark), event) if remark.stage != S::Deleted => Some(match event {
                Happened::Created { .. } => remark,
                Happened::Rewritten { text } => Remark { text, ..remark },
                Happened::Closed => remark.at(S::Closed),
                Happened::Reopened => remark.at(S::Open),
                Happened::Deleted => remark.at(S::Deleted),
            }),
            (remark, _) => remark,
        };
        Self(remark)
    }

    fn parent(&self) -> Option<Parent> {
        self.note().map(|note| Parent::of::<NoteState>(&note))
    }

    /// Remarks whose events name no note are remarks on the open note.
    fn earliest_parent() -> Option<Parent> {
        Some(Parent::of::<NoteState>(&note::OPEN))
    }
}

impl RemarkState {
    /// Returns the note of the remark, even if the remark is deleted, and `None` before its
    /// creation.
    #[must_use]
    pub fn note(&self) -> Option<Uuid> {
        self.0.as_ref().map(|remark| remark.note)
    }

    /// Returns the text of the remark, and `None` before its creation and after its deletion.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        let remark = self.0.as_ref();
        let remark = remark.filter(|remark| remark.stage != Stage::Deleted);
        remark.map(|remark| &*remark.text)
    }

    /// Returns true if the remark is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let remark = self.0.as_ref();
        remark.is_some_and(|remark| remark.stage == Stage::Closed)
    }
}

impl Remark {
    fn at(self, stage: Stage) -> Self {
        Self { stage, ..self }
    }
}

impl DomainEvent for RemarkEvent {
    const SCHEMAS: &'static [EventSchema] = &[
        EventSchema::new("created"),
        EventSchema::new("rewritten"),
        EventSchema::new("closed"),
        EventSchema::new("reopened"),
        EventSchema::new("deleted"),
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::Rewritten { .. } => "rewritten",
            Self::Closed => "closed",
            Self::Reopened => "reopened",
            Self::Deleted => "deleted",
        }
    }
}

impl DomainError for RemarkError {
    fn refusal(&self) -> Refusal {
        match self {
            Self::AlreadyExists => Refusal::conflict("remark-already-exists"),
            Self::NotFound => Refusal::not_found("remark-not-found"),
            Self::AlreadyClosed => Refusal::conflict("remark-already-closed"),
            Self::NotClosed => Refusal::conflict("remark-not-closed"),
            Self::NoSuchNote => Refusal::not_found("note-not-found"),
            Self::NoteEmpty => Refusal::conflict("note-empty"),
            Self::ReadOnly => Refusal::forbidden("note-read-only"),
        }
    }
}
