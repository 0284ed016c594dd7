use proptest::prelude::*;

use super::check_laws;
use crate::test_kit::failure::failure_of;
use crate::test_kit::toy::{
    Door, DoorCommand, FICKLE, HASTY, IDLE, LOSSY_EVENT, LOSSY_STATE, MISREAD_STATE, MISTAGGED,
    MOODY, OUTDATED, SHOUTING, UNLISTED,
};

fn a_day() -> [DoorCommand; 4] {
    [
        DoorCommand::open("Ada"),
        DoorCommand::open("Ben"),
        DoorCommand::Slam,
        DoorCommand::open("Cem"),
    ]
}

/// The report about a door with this fault.
fn told<const FAULT: u8>() -> String {
    failure_of(|| check_laws::<Door<FAULT>>(a_day())).message
}

fn law(told: &str) -> &str {
    let headline = told.lines().next().expect("a headline");
    headline
        .strip_prefix("this does not hold: ")
        .expect("a law")
}

#[test]
fn nondeterministic_decision_or_change_is_found() {
    assert_eq!(
        law(&told::<FICKLE>()),
        "a command is decided in the same way every time"
    );
    assert_eq!(
        law(&told::<MOODY>()),
        "an event changes the state in the same way every time"
    );
}

#[test]
fn an_event_that_changes_nothing_is_found() {
    let expected = r#"this does not hold: every decided event changes the state
given:
    Opened { by: "Ada", note: None }
when:
    Open { by: "Ada" }
event:
    Opened {
        by: "Ada",
        note: None,
    }
state:
    Door {
        open: true,
        rings: 0,
    }"#;
    assert_eq!(told::<IDLE>(), expected);
}

#[test]
fn a_replay_that_differs_is_found() {
    let law_of_replay = "a replay of the history gives the same state";
    assert_eq!(law(&told::<HASTY>()), law_of_replay);
}

#[test]
fn data_lost_in_json_is_found() {
    assert_eq!(
        law(&told::<LOSSY_STATE>()),
        "a state reads back from JSON as it was"
    );
    let law_of_events = "a stored event reads back as the same event";
    assert_eq!(law(&told::<LOSSY_EVENT>()), law_of_events);
}

#[test]
fn a_first_state_that_reads_back_as_another_is_found() {
    let failure = failure_of(|| check_laws::<Door<MISREAD_STATE>>([]));
    let expected = r#"this does not hold: a state reads back from JSON as it was
written:
    {"open":false}
read (- expected, + got):
      Door {
          open: false,
    -     rings: 0,
    +     rings: 7,
      }"#;
    assert_eq!(failure.message, expected);
}

#[test]
fn wrong_name_or_version_is_found() {
    let law_of_tags = "an event's type is the `type` tag of its payload";
    assert_eq!(law(&told::<MISTAGGED>()), law_of_tags);
    assert_eq!(
        law(&told::<UNLISTED>()),
        "an event's type is one of its event types"
    );
    assert_eq!(law(&told::<OUTDATED>()), "an event's version is the newest");
    assert_eq!(
        law(&told::<SHOUTING>()),
        "a refusal's code is in kebab case"
    );
}

#[test]
fn broken_law_is_reported_at_the_line_of_the_check() {
    let failure = failure_of(|| {
        check_laws::<Door<IDLE>>(a_day());
    });
    failure.assert_place(
        file!(),
        include_str!("tests.rs"),
        "check_laws::<Door<IDLE>>(a_day());",
    );
}

fn any_command() -> impl Strategy<Value = DoorCommand> {
    prop_oneof![
        any::<String>().prop_map(|by| DoorCommand::Open { by }),
        Just(DoorCommand::Shut),
        Just(DoorCommand::Slam),
    ]
}

proptest! {
    #[test]
    fn a_sound_door_keeps_the_laws(commands in prop::collection::vec(any_command(), 0..20)) {
        check_laws::<Door>(commands);
    }
}
