//! The callers that an event may be sent to, if they ask for events as such.

use ironstar_domain::{Aggregate, ListId, ListState, TodoState, UserId, UserState};
use ironstar_ports::Envelope;

use crate::todo::parent_of;

/// The callers that an event may be sent to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Audience {
    /// All callers that may see a list.
    OfList(ListId),
    /// One user only.
    OfUser(UserId),
    /// No caller. This is the default for an event without a declared audience.
    Nobody,
}

impl Audience {
    /// The types of aggregates whose events a subscriber may receive.
    pub const TYPES: [&str; 3] = [ListState::TYPE, TodoState::TYPE, UserState::TYPE];

    /// The audience of an event. A new aggregate whose events should reach programs needs one
    /// more line here, and its type above. Until then, no subscriber gets its events.
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

#[cfg(test)]
mod tests {
    use ironstar_ports::{Metadata, Payload, Position, Sequence, StreamId};
    use time::OffsetDateTime;
    use uuid::Uuid;

    use super::*;

    const ID: Uuid = Uuid::from_u128(7);
    const PARENT: Uuid = Uuid::from_u128(8);

    /// The audience of an event of an aggregate with this parent.
    fn told(aggregate_type: &str, parent: Option<&str>) -> Audience {
        Audience::of(&Envelope {
            position: Position::new(1),
            stream: StreamId::new(aggregate_type, ID.to_string()),
            sequence: Sequence::FIRST,
            event_type: "happened".to_owned(),
            schema_version: 2,
            payload: Payload::from_text("{}".to_owned()).expect("JSON"),
            metadata: Metadata {
                parent: parent.map(|parent| StreamId::new(parent, PARENT.to_string())),
                ..Metadata::new(ID)
            },
            created_at: OffsetDateTime::UNIX_EPOCH,
        })
    }

    #[test]
    fn event_has_the_audience_of_its_aggregate_or_its_list() {
        assert_eq!(told("List", None), Audience::OfList(ID.into()));
        assert_eq!(told("Todo", Some("List")), Audience::OfList(PARENT.into()));
        assert_eq!(told("Todo", None), Audience::OfList(ListId::SHARED));
        assert_eq!(told("User", None), Audience::OfUser(ID.into()));
    }

    #[test]
    fn event_without_a_declared_audience_is_for_no_caller() {
        for (aggregate_type, parent) in [
            ("Todo", Some("Folder")),
            ("Identity", None),
            ("Step", Some("List")),
            ("Invoice", Some("List")),
        ] {
            assert_eq!(
                told(aggregate_type, parent),
                Audience::Nobody,
                "{aggregate_type}"
            );
        }
    }
}
