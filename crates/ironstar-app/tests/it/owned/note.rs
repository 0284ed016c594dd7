//! The note: a text with an owner, and links that give other callers access.

use ironstar_domain::{
    Aggregate, DomainError, DomainEvent, EventSchema, Fingerprint, Link, LinkId, Owned, Ownership,
    Principal, Refusal,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum NoteEvent {
    Created {
        text: String,
        owner: Option<Principal>,
    },
    Rewritten {
        text: String,
    },
    HandedOver {
        to: Principal,
    },
    LinkCreated(Link),
    LinkRevoked {
        link: LinkId,
    },
}

#[derive(Clone, Debug)]
pub(super) enum NoteCommand {
    Create {
        text: String,
        owner: Option<Principal>,
    },
    Rewrite {
        text: String,
    },
    HandOver {
        from: Option<Principal>,
        to: Principal,
    },
    CreateLink(Link),
    RevokeLink(LinkId),
}

/// The state of a note; `None` if it was not created.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct NoteState(Option<Note>);

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Note {
    text: String,
    ownership: Ownership,
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum NoteError {
    #[error("this note already exists")]
    AlreadyExists,
    #[error("there is no such note")]
    NotFound,
    #[error("only the owner of this note can do that")]
    NotOwner,
    #[error("this link already exists, or the note has too many links")]
    NoNewLink,
    #[error("this note has no such link")]
    NoSuchLink,
}

impl Aggregate for NoteState {
    const TYPE: &'static str = "Note";
    const FINGERPRINT: Fingerprint = Fingerprint::of(&[include_str!("note.rs")]);

    type Id = Uuid;
    type Command = NoteCommand;
    type Event = NoteEvent;
    type Error = NoteError;

    fn handle(&self, command: &NoteCommand) -> Result<Vec<NoteEvent>, NoteError> {
        use {NoteCommand as C, NoteError as E, NoteEvent as Happened};

        let Some(Note { text, ownership }) = &self.0 else {
            let C::Create { text, owner } = command.clone() else {
                return Err(E::NotFound);
            };
            return Ok(vec![Happened::Created { text, owner }]);
        };
        let link = |id| ownership.link(id);
        Ok(match command.clone() {
            C::Create { .. } => return Err(E::AlreadyExists),
            C::Rewrite { text: same } if *text == same => vec![],
            C::Rewrite { text } => vec![Happened::Rewritten { text }],
            C::HandOver { from, to } if ownership.owner == from && from != Some(to) => {
                vec![Happened::HandedOver { to }]
            }
            C::HandOver { .. } => vec![],
            C::CreateLink(new) if link(new.id).is_none() && ownership.has_room() => {
                vec![Happened::LinkCreated(new)]
            }
            C::CreateLink(_) => return Err(E::NoNewLink),
            C::RevokeLink(id) => {
                let link = link(id).ok_or(E::NoSuchLink)?.id;
                vec![Happened::LinkRevoked { link }]
            }
        })
    }

    fn apply(self, event: &NoteEvent) -> Self {
        use NoteEvent as Happened;

        let Some(mut note) = self.0 else {
            let Happened::Created { text, owner } = event.clone() else {
                return Self(None);
            };
            let ownership = Ownership::of(owner);
            return Self(Some(Note { text, ownership }));
        };
        match event.clone() {
            Happened::Created { .. } => {}
            Happened::Rewritten { text } => note.text = text,
            Happened::HandedOver { to } => note.ownership.owner = Some(to),
            Happened::LinkCreated(link) => note.ownership = note.ownership.with_link(link),
            Happened::LinkRevoked { link } => note.ownership = note.ownership.without_link(link),
        }
        Self(Some(note))
    }
}

impl Owned for NoteState {
    const LINK_SCOPE: &'static str = "note";
    const NOT_FOUND: NoteError = NoteError::NotFound;
    const NOT_OWNER: NoteError = NoteError::NotOwner;

    fn ownership(&self) -> Option<&Ownership> {
        self.0.as_ref().map(|note| &note.ownership)
    }
}

impl DomainEvent for NoteEvent {
    const SCHEMAS: &'static [EventSchema] = &[
        EventSchema::new("created"),
        EventSchema::new("rewritten"),
        EventSchema::new("handed_over"),
        EventSchema::new("link_created"),
        EventSchema::new("link_revoked"),
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::Rewritten { .. } => "rewritten",
            Self::HandedOver { .. } => "handed_over",
            Self::LinkCreated(_) => "link_created",
            Self::LinkRevoked { .. } => "link_revoked",
        }
    }
}

impl DomainError for NoteError {
    fn refusal(&self) -> Refusal {
        match self {
            Self::AlreadyExists => Refusal::conflict("note-already-exists"),
            Self::NotFound => Refusal::not_found("note-not-found"),
            Self::NotOwner => Refusal::forbidden("not-the-owner"),
            Self::NoNewLink => Refusal::conflict("no-new-link"),
            Self::NoSuchLink => Refusal::not_found("link-not-found"),
        }
    }
}
