//! The aggregates with an owner that the tests run on.

use ironstar_domain::list::{ListCommand, ListState};
use ironstar_domain::{Link, LinkId, Owned, Principal};
use uuid::Uuid;

use super::note::{NoteCommand, NoteState};

/// An aggregate with an owner, as far as the tests know it. The text is a valid name of a list.
pub(super) trait Specimen: Owned<Id: From<Uuid>> {
    fn create(text: &str, owner: Option<Principal>) -> Self::Command;
    fn rename(text: &str) -> Self::Command;
    fn hand_over(from: Option<Principal>, to: Principal) -> Self::Command;
    fn link(link: Link) -> Self::Command;
    fn revoke(link: LinkId) -> Self::Command;
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

    fn hand_over(from: Option<Principal>, to: Principal) -> NoteCommand {
        NoteCommand::HandOver { from, to }
    }

    fn link(link: Link) -> NoteCommand {
        NoteCommand::CreateLink(link)
    }

    fn revoke(link: LinkId) -> NoteCommand {
        NoteCommand::RevokeLink(link)
    }
}

impl Specimen for ListState {
    fn create(text: &str, owner: Option<Principal>) -> ListCommand {
        let name = text.parse().expect("a name");
        ListCommand::Create { name, owner }
    }

    fn rename(text: &str) -> ListCommand {
        let name = text.parse().expect("a name");
        ListCommand::Rename { name }
    }

    fn hand_over(from: Option<Principal>, to: Principal) -> ListCommand {
        ListCommand::HandOver { from, to }
    }

    fn link(Link { id: link, access }: Link) -> ListCommand {
        ListCommand::CreateLink { link, access }
    }

    fn revoke(link: LinkId) -> ListCommand {
        ListCommand::RevokeLink { link }
    }
}
