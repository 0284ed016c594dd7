use super::given;
use crate::test_kit::failure::{Failure, failure_of};
use crate::test_kit::toy::{AlreadyIs, Door, DoorCommand, DoorEvent};

const OPEN: Door = Door {
    open: true,
    rings: 0,
};

#[track_caller]
fn assert_reported_at(failure: &Failure, expectation: &str) {
    failure.assert_place(file!(), include_str!("tests.rs"), expectation);
}

#[test]
fn decided_events_become_history() {
    given::<Door>([])
        .then_state(Door::default())
        .when(DoorCommand::open("Ada"))
        .then([DoorEvent::opened("Ada")])
        .and_state(OPEN)
        .and_when(DoorCommand::open("Ben"))
        .then_refused(AlreadyIs("open"))
        .and_state(OPEN)
        .and([DoorEvent::Shut])
        .and([DoorEvent::Rang])
        .when(DoorCommand::Shut)
        .then_refused(AlreadyIs("shut"))
        .and_state(Door {
            open: false,
            rings: 1,
        });
}

#[test]
fn unexpected_events_are_reported_with_a_difference() {
    let failure = failure_of(|| {
        given::<Door>([DoorEvent::opened("Ada"), DoorEvent::Shut])
            .when(DoorCommand::open("Ben"))
            .then([DoorEvent::opened("Cem"), DoorEvent::Rang]);
    });
    let expected = r#"the aggregate decided something else
given:
    Opened { by: "Ada", note: None }
    Shut
when:
    Open { by: "Ben" }
then (- expected, + got):
      Opened {
    -     by: "Cem",
    +     by: "Ben",
          note: None,
      }
    - Rang"#;
    assert_eq!(failure.message, expected);
    let line = r#".then([DoorEvent::opened("Cem"), DoorEvent::Rang]);"#;
    assert_reported_at(&failure, line);
}

#[test]
fn unexpected_refusal_is_reported_with_its_reason() {
    let failure = failure_of(|| {
        given::<Door>([]).when(DoorCommand::Shut).then_nothing();
    });
    let expected = r#"the aggregate decided something else
given:
    nothing
when:
    Shut
then (- expected, + got):
    - nothing
    + refused: AlreadyIs(
    +     "shut",
    + )"#;
    assert_eq!(failure.message, expected);
    assert_reported_at(&failure, ".then_nothing();");
}

#[test]
fn missing_or_different_refusal_is_a_failure() {
    let failure = failure_of(|| {
        given::<Door>([])
            .when(DoorCommand::Shut)
            .then_refused(AlreadyIs("open"));
    });
    assert_reported_at(&failure, r#".then_refused(AlreadyIs("open"));"#);

    let failure = failure_of(|| {
        given::<Door>([])
            .when(DoorCommand::open("Ada"))
            .then_refused(AlreadyIs("ajar"));
    });
    assert_reported_at(&failure, r#".then_refused(AlreadyIs("ajar"));"#);
}

#[test]
fn unexpected_state_is_reported_with_a_difference() {
    let failure = failure_of(|| {
        given::<Door>([DoorEvent::Rang]).then_state(OPEN);
    });
    let expected = r#"the aggregate is in another state
given:
    Rang
then the state (- expected, + got):
      Door {
    -     open: true,
    -     rings: 0,
    +     open: false,
    +     rings: 1,
      }"#;
    assert_eq!(failure.message, expected);
    assert_reported_at(&failure, ".then_state(OPEN);");

    let failure = failure_of(|| {
        given::<Door>([])
            .when(DoorCommand::Shut)
            .then_refused(AlreadyIs("shut"))
            .and_state(OPEN);
    });
    assert_reported_at(&failure, ".and_state(OPEN);");
}
