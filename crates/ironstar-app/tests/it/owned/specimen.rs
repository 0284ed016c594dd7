//! An aggregate with an owner, as the tests need it.

use ironstar_domain::{Owned, Principal};
use ironstar_fixtures::note::{NoteCommand, NoteState};
use uuid::Uuid;

/// An aggregate with an owner, as far as the tests know it. All texts are short lines of words.
pub(crate) trait Specimen: Owned<Id: From<Uuid>> {
    fn create(text: &str, owner: Option<Principal>) -> Self::Command;
    fn rename(text: &str) -> Self::Command;
}

impl Specimen for NoteState {
    fn create(text: &str, owner: Option<Principal>) -> NoteCommand {
        let text = text.to_owned();
        NoteCommand::Create { text, owner }
    }

    fn rename(text: &str) -> NoteCommand {
        let text = text.to_owned();
        NoteCommand::Rewrite { text }
    }
}
