//! Ownership: an aggregate that belongs to an owner, and the links that give other callers
//! access to it.
//!
//! An aggregate with an owner implements [`Owned`], keeps an [`Ownership`] in its state, and leaves
//! the [`OwnershipCommand`]s to it. Its events are [`OwnedEvent`]s. The application layer then
//! protects its commands, its live pages and its events.

mod event;
mod link;
mod ownership;

use crate::Aggregate;

pub use event::OwnedEvent;
pub use link::{Link, LinkAccess, LinkId, LinkIdError};
pub use ownership::{Ownership, OwnershipCommand, OwnershipError, OwnershipEvent};

/// The access of a caller to an aggregate with an owner. Each level includes all lower levels.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Access {
    /// No access: the caller may not even know that the aggregate exists.
    None,
    /// The caller may see the aggregate and its parts.
    Read,
    /// The caller may also change the parts.
    Edit,
    /// The caller may also change the aggregate itself, and give access to others.
    Own,
}

/// An aggregate that belongs to an owner. Callers without access never learn that it exists.
pub trait Owned: Aggregate<Command: From<OwnershipCommand>, Error: From<OwnershipError>> {
    /// The aggregate in messages, as a noun with its article, such as `a list`.
    const NOUN: &'static str;

    /// The scope of the aggregate's links: a link opens nothing in another scope. It never
    /// changes, because it is part of each link that was handed out.
    const LINK_SCOPE: &'static str;

    /// The refusal for a caller without access, and for an aggregate that does not exist.
    const NOT_FOUND: Self::Error;

    /// The owner and the links of the aggregate, or `None` if it does not exist.
    fn ownership(&self) -> Option<&Ownership>;

    /// The access of every caller to an aggregate that has no owner and no events. By default
    /// there is no such aggregate.
    fn open_to_all(_id: &Self::Id) -> Option<Access> {
        None
    }

    /// The refusal for a caller that has access, but is not the owner.
    #[must_use]
    fn not_owner() -> Self::Error {
        let noun = Self::NOUN;
        OwnershipError::NotOwner { noun }.into()
    }
}

impl From<LinkAccess> for Access {
    fn from(access: LinkAccess) -> Self {
        match access {
            LinkAccess::Read => Self::Read,
            LinkAccess::Edit => Self::Edit,
        }
    }
}
