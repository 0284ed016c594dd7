use serde_json::json;

use super::stored;
use crate::EventError;
use crate::test_kit::failure::{Failure, failure_of};
use crate::test_kit::toy::{DoorEvent, FORGETFUL};

const MISSING: &str = "it cannot be lifted from version 1 to the next: 'who' is missing";

#[track_caller]
fn assert_reported_at(failure: &Failure, expectation: &str) {
    failure.assert_place(file!(), include_str!("tests.rs"), expectation);
}

#[test]
fn a_payload_is_text_or_json() {
    stored::<DoorEvent>("opened", 1, r#"{"type":"opened","who":"Ada"}"#)
        .reads_as(DoorEvent::opened("Ada"));
    stored::<DoorEvent>("opened", 2, json!({"type": "opened", "by": "Ada"}))
        .reads_as(DoorEvent::opened("Ada"));
}

#[test]
fn a_refusal_has_a_reason() {
    let error = stored::<DoorEvent>("ajar", 1, "{}").is_refused();
    assert!(matches!(error, EventError::UnknownType));
    stored::<DoorEvent>("opened", 1, "{}").is_refused_as(MISSING);
}

#[test]
fn an_upcaster_that_forgets_a_field_is_found() {
    let failure = failure_of(|| {
        stored::<DoorEvent<FORGETFUL>>("opened", 1, r#"{"type":"opened","who":"Ada"}"#)
            .reads_as(DoorEvent::opened("Ada"));
    });
    let expected = r#"`opened` version 1 is read as something else
stored:
    {"type":"opened","who":"Ada"}
read as (- expected, + got):
      Opened {
    -     by: "Ada",
    +     by: "",
          note: None,
      }"#;
    assert_eq!(failure.message, expected);
    assert_reported_at(&failure, r#".reads_as(DoorEvent::opened("Ada"));"#);
}

#[test]
fn reads_as_fails_if_the_event_is_refused() {
    let failure = failure_of(|| {
        stored::<DoorEvent>("opened", 1, "{}").reads_as(DoorEvent::Shut);
    });
    let found = format!("- Shut\n    + refused: {MISSING}");
    assert!(failure.message.ends_with(&found), "{}", failure.message);
    assert_reported_at(&failure, ".reads_as(DoorEvent::Shut);");
}

#[test]
fn is_refused_fails_if_the_event_is_read() {
    let shut = r#"{"type":"shut"}"#;
    let failure = failure_of(|| {
        stored::<DoorEvent>("shut", 1, shut).is_refused();
    });
    assert!(
        failure.message.ends_with("- refused\n    + Shut"),
        "{}",
        failure.message
    );
    assert_reported_at(&failure, ".is_refused();");

    let failure = failure_of(|| {
        stored::<DoorEvent>("shut", 1, shut).is_refused_as(MISSING);
    });
    assert_reported_at(&failure, ".is_refused_as(MISSING);");
}

#[test]
fn is_refused_as_fails_for_another_reason() {
    let failure = failure_of(|| {
        stored::<DoorEvent>("opened", 1, "{}").is_refused_as("because");
    });
    let found = format!("- refused: because\n    + refused: {MISSING}");
    assert!(failure.message.ends_with(&found), "{}", failure.message);
    assert_reported_at(&failure, r#".is_refused_as("because");"#);
}
