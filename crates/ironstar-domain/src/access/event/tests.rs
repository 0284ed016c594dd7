use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{OwnedEvent, are_disjoint};
use crate::schema::{read, schema_of};
use crate::test_kit::stored;
use crate::{DomainEvent, EventError, EventSchema, OwnershipEvent};

/// An event of a letter with an owner.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum LetterEvent {
    Written { text: String },
}

type Event = OwnedEvent<LetterEvent>;

impl DomainEvent for LetterEvent {
    const SCHEMAS: &'static [EventSchema] = &[EventSchema::new("written")];

    fn event_type(&self) -> &'static str {
        "written"
    }
}

const LINK: &str = "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e";

#[test]
fn event_is_stored_as_if_there_were_no_wrapper() {
    let text = "Dear Ada".to_owned();
    let link = LINK.parse().expect("an id");
    for (event, event_type, payload) in [
        (
            LetterEvent::Written { text }.into(),
            "written",
            json!({"type": "written", "text": "Dear Ada"}),
        ),
        (
            OwnedEvent::Ownership(OwnershipEvent::LinkRevoked { link }),
            "link_revoked",
            json!({"type": "link_revoked", "link": LINK}),
        ),
    ] {
        assert_eq!(event.event_type(), event_type);
        assert_eq!(json!(event), payload);
        assert!(schema_of::<Event>(event_type).is_some());
        stored(event_type, 1, payload).reads_as(event);
    }
}

/// The reason for refusing a stored payload, without its line and column.
fn refusal(event_type: &str, payload: &str) -> String {
    match read::<Event>(event_type, 1, payload) {
        Err(EventError::NotAnEvent(reason)) => {
            let reason = reason.to_string();
            let place = reason.find(" at line ").unwrap_or(reason.len());
            reason[..place].to_owned()
        }
        other => panic!("{payload} is read as {other:?}"),
    }
}

#[test]
fn refusal_names_the_field_that_is_wrong() {
    let shape = "its payload does not have the shape of this version";
    stored::<Event>("written", 1, json!({"text": ""})).is_refused_as(&format!(
        "{shape}: missing field `type` at line 1 column 11"
    ));
    let link_created = json!({"type": "link_created", "link": LINK});
    let handed_over = json!({"type": "handed_over", "to": format!("user/{LINK}")});
    for (event_type, payload, reason) in [
        (
            "written",
            json!({"type": "written"}),
            "missing field `text`",
        ),
        ("link_created", link_created, "missing field `access`"),
        (
            "written",
            json!({"type": "sent"}),
            "unknown variant `sent`, expected `written`",
        ),
        (
            "written",
            handed_over,
            "unknown variant `handed_over`, expected `written`",
        ),
    ] {
        assert_eq!(refusal(event_type, &payload.to_string()), reason);
    }
}

#[test]
fn payload_with_a_duplicate_key_or_a_rest_is_refused() {
    for (event_type, payload, reason) in [
        (
            "written",
            r#"{"type":"written","text":"a","text":"b"}"#,
            "duplicate field `text`",
        ),
        (
            "written",
            r#"{"type":"link_revoked","type":"written","text":"a"}"#,
            "unknown variant `link_revoked`, expected `written`",
        ),
        (
            "written",
            r#"{"type":"written","type":"written","text":"a"}"#,
            "duplicate field `type`",
        ),
        (
            "link_revoked",
            r#"{"type":"handed_over","type":"link_revoked","link":""}"#,
            "duplicate field `type`",
        ),
        (
            "written",
            r#"{"type":"written","text":"a"}}"#,
            "trailing characters",
        ),
    ] {
        assert_eq!(refusal(event_type, payload), reason);
    }
}

#[test]
fn event_types_are_compared_in_full() {
    let schemas = |types: &[&'static str]| -> Vec<EventSchema> {
        types.iter().copied().map(EventSchema::new).collect()
    };
    for (types, expected) in [
        (&["sent", "written"][..], true),
        (&["link", "link_created_again", "link_creates"], true),
        (&[], true),
        (&["sent", "link_created"], false),
        (&["link_revoked"], false),
    ] {
        let schemas = schemas(types);
        assert_eq!(are_disjoint(&schemas, OwnershipEvent::SCHEMAS), expected);
    }
}
