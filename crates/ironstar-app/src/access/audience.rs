//! Whom an event may be told to, when somebody asks for events as they are.

use ironstar_domain::{Aggregate, ListId, ListState, TodoState, UserId, UserState};
use ironstar_ports::Envelope;

use crate::todo::parent_of;

/// Whom an event may be told to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Audience {
    /// Whoever may see a list.
    OfList(ListId),
    /// A user, and nobody else.
    OfUser(UserId),
    /// Nobody. That goes for all that is not known to be for somebody.
    Nobody,
}

impl Audience {
    /// The types of aggregates whose events a subscriber may hear.
    pub const TYPES: [&str; 3] = [ListState::TYPE, TodoState::TYPE, UserState::TYPE];

    /// Whom an event may be told to. A new aggregate whose events programs are to
    /// get is one line more here, and its type above; until then, no subscriber gets them.
    #[must_use]
    pub fn of(event: &Envelope) -> Self {
        let id = &event.stream.aggregate_id;
        let list = |id: &str| id.parse().map_or(Self::Nobody, Self::OfList);
        match &*event.stream.aggregate_type {
            ListState::TYPE => list(id),
            TodoState::TYPE => match parent_of(event) {
                Some(parent) if parent.aggregate_type == ListState::TYPE => {
                    list(&parent.aggregate_id)
                }
                Some(_) | None => Self::Nobody,
            },
            UserState::TYPE => id.parse().map_or(Self::Nobody, Self::OfUser),
            _ => Self::Nobody,
        }
    }
}
