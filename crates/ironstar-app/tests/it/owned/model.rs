//! The rights of callers, as they follow from owners and links.

use ironstar_domain::{Access, Link, LinkAccess, Principal};

use super::history::Player;

/// The aggregates of a history, as the test knows them.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) items: Vec<Item>,
    pub(super) links: Vec<GivenLink>,
}

#[derive(Debug)]
pub(super) struct Item {
    pub(super) text: String,
    /// The owner; `None` means everyone.
    pub(super) owner: Option<Principal>,
}

#[derive(Debug)]
pub(super) struct GivenLink {
    pub(super) item: usize,
    pub(super) link: Link,
    pub(super) is_revoked: bool,
}

impl Model {
    /// The rights of a caller to an aggregate, if it presents this link or none.
    pub(super) fn access(&self, item: usize, player: Player, link: Option<usize>) -> Access {
        let Some(Item { owner, .. }) = self.items.get(item) else {
            return Access::None;
        };
        let is_owner = owner.is_none_or(|owner| player.principals().contains(&owner));
        if is_owner || player == Player::Application {
            return Access::Own;
        }
        match link.map(|link| &self.links[link]) {
            Some(given) if given.item == item && !given.is_revoked => match given.link.access {
                LinkAccess::Read => Access::Read,
                LinkAccess::Edit => Access::Edit,
            },
            Some(_) | None => Access::None,
        }
    }

    /// The rights of a caller to the twin of an aggregate.
    pub(super) fn access_to_twin(&self, item: usize, player: Player) -> Access {
        match self.items.get(item) {
            Some(_) if player == Player::Application => Access::Own,
            Some(_) | None => Access::None,
        }
    }
}
