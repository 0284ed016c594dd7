//! The audience of an event follows from the rules that the features declare.

use ironstar_app::Features;
use ironstar_app::access::{Audience, Audiences};
use ironstar_fixtures::note::OPEN;
use ironstar_fixtures::{notes, remarks};
use ironstar_ports::{Envelope, Metadata, Payload, Position, Sequence, StreamId};
use time::OffsetDateTime;
use uuid::Uuid;

pub(crate) const ID: Uuid = Uuid::from_u128(7);
pub(crate) const PARENT: Uuid = Uuid::from_u128(8);

/// The audience of an event of an aggregate with this parent, as text.
pub(crate) fn audience(
    audiences: &Audiences,
    aggregate_type: &str,
    parent: Option<&str>,
) -> String {
    let audience = audiences.of(&Envelope {
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
    });
    match audience {
        Audience::Of(resource) => resource.to_string(),
        Audience::User(user) => format!("the user {user}"),
        Audience::NoCaller => "no caller".to_owned(),
    }
}

fn audiences() -> Audiences {
    Features::new(&[notes::FEATURE, remarks::FEATURE]).audiences()
}

#[test]
fn event_has_the_audience_of_its_aggregate_or_its_parent() {
    for (aggregate_type, parent, expected) in [
        ("Note", None, format!("Note {ID}")),
        ("Remark", Some("Note"), format!("Note {PARENT}")),
        ("Remark", None, format!("Note {OPEN}")),
        ("User", None, format!("the user {ID}")),
    ] {
        let audience = audience(&audiences(), aggregate_type, parent);
        assert_eq!(audience, expected, "{aggregate_type}");
    }
}

#[test]
fn event_without_a_declared_audience_is_for_no_caller() {
    for (aggregate_type, parent) in [
        ("Remark", Some("Folder")),
        ("Identity", None),
        ("Step", Some("Note")),
        ("Invoice", Some("Note")),
    ] {
        let audience = audience(&audiences(), aggregate_type, parent);
        assert_eq!(audience, "no caller", "{aggregate_type}");
    }
}
