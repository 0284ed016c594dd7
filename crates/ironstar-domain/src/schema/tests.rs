use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{EventError, EventSchema, UpcastError, read};
use crate::DomainEvent;

/// An account, whose `opened` event has changed its shape twice.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum AccountEvent {
    Opened { owner: String, cents: i64 },
    Closed,
}

impl DomainEvent for AccountEvent {
    const SCHEMAS: &'static [EventSchema] = &[
        EventSchema::lifted("opened", &[euros_become_cents, name_becomes_owner]),
        EventSchema::new("closed"),
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::Closed => "closed",
        }
    }
}

fn euros_become_cents(fields: &mut Map<String, Value>) -> Result<(), UpcastError> {
    let euros = fields.remove("euros").and_then(|euros| euros.as_i64());
    let cents = euros.and_then(|euros| euros.checked_mul(100));
    let cents = cents.ok_or_else(|| UpcastError("'euros' is not an amount".to_owned()))?;
    fields.insert("cents".to_owned(), cents.into());
    Ok(())
}

fn name_becomes_owner(fields: &mut Map<String, Value>) -> Result<(), UpcastError> {
    let name = fields.remove("name");
    let name = name.ok_or_else(|| UpcastError("'name' is missing".to_owned()))?;
    fields.insert("owner".to_owned(), name);
    Ok(())
}

fn opened() -> AccountEvent {
    AccountEvent::Opened {
        owner: "Ada".to_owned(),
        cents: 700,
    }
}

fn refusal(event_type: &str, version: u32, payload: &str) -> EventError {
    read::<AccountEvent>(event_type, version, payload).expect_err("it is refused")
}

#[test]
fn every_version_reads_as_the_newest() {
    for (version, payload) in [
        (1, r#"{"type":"opened","name":"Ada","euros":7}"#),
        (2, r#"{"type":"opened","name":"Ada","cents":700}"#),
        (3, r#"{"type":"opened","owner":"Ada","cents":700}"#),
    ] {
        let event = read::<AccountEvent>("opened", version, payload);
        assert_eq!(event.expect("it reads"), opened(), "version {version}");
    }
    assert_eq!(opened().schema_version(), 3);
    assert_eq!(AccountEvent::Closed.schema_version(), 1);
}

#[test]
fn unknown_type_or_version_is_refused() {
    let closed = r#"{"type":"closed"}"#;
    assert!(matches!(
        refusal("burnt", 1, closed),
        EventError::UnknownType
    ));
    assert!(matches!(
        refusal("closed", 0, closed),
        EventError::NoVersion
    ));
    let newer = refusal("closed", 2, closed);
    assert!(matches!(newer, EventError::NewerVersion { newest: 1 }));
}

#[test]
fn payload_of_another_shape_is_refused() {
    let opened = r#"{"type":"opened","owner":"Ada","cents":700}"#;
    let other = refusal("closed", 1, opened);
    assert!(matches!(other, EventError::OtherType { found: "opened" }));
    for (version, payload) in [(3, "[]"), (3, "{}"), (3, "{"), (1, "[]"), (1, "7")] {
        let refused = refusal("opened", version, payload);
        assert!(matches!(refused, EventError::NotAnEvent(_)), "{payload}");
    }
}

#[test]
fn failed_upcaster_names_its_version() {
    let refused = refusal("opened", 1, r#"{"type":"opened","name":"Ada"}"#);
    assert!(matches!(refused, EventError::NotLifted { from: 1, .. }));
    let refused = refusal("opened", 1, r#"{"type":"opened","euros":7}"#);
    assert!(matches!(refused, EventError::NotLifted { from: 2, .. }));
}

#[test]
fn only_unknown_events_are_of_a_newer_version() {
    let closed = r#"{"type":"closed"}"#;
    for (event_type, version, payload, is_of_newer_version) in [
        ("burnt", 1, closed, true),
        ("closed", 2, closed, true),
        ("closed", 0, closed, false),
        ("closed", 1, "{}", false),
        ("opened", 3, closed, false),
        ("opened", 1, r#"{"type":"opened","name":"Ada"}"#, false),
    ] {
        let refused = refusal(event_type, version, payload);
        assert_eq!(
            refused.is_of_newer_version(),
            is_of_newer_version,
            "{refused}"
        );
    }
}
