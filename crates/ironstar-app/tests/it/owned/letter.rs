//! The letter: another aggregate with an owner. It is a note under another name.

use ironstar_domain::{Aggregate, Fingerprint, Owned, OwnedEvent, Ownership, Principal};
use ironstar_fixtures::note::{NoteCommand, NoteError, NoteEvent, NoteState};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::specimen::Specimen;

/// The state of a letter.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Letter(NoteState);

impl Aggregate for Letter {
    const TYPE: &'static str = "Letter";
    const FINGERPRINT: Fingerprint = NoteState::FINGERPRINT;

    type Id = Uuid;
    type Command = NoteCommand;
    type Event = OwnedEvent<NoteEvent>;
    type Error = NoteError;

    fn handle(&self, command: &NoteCommand) -> Result<Vec<Self::Event>, NoteError> {
        self.0.handle(command)
    }

    fn apply(self, event: &Self::Event) -> Self {
        Self(self.0.apply(event))
    }
}

impl Owned for Letter {
    const NOUN: &'static str = "a letter";
    const LINK_SCOPE: &'static str = "letter";
    const NOT_FOUND: NoteError = NoteError::NotFound;

    fn ownership(&self) -> Option<&Ownership> {
        self.0.ownership()
    }
}

impl Specimen for Letter {
    fn create(text: &str, owner: Option<Principal>) -> NoteCommand {
        NoteState::create(text, owner)
    }

    fn rename(text: &str) -> NoteCommand {
        NoteState::rename(text)
    }
}
