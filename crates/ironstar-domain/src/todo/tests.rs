use proptest::prelude::*;
use serde_json::json;

use super::{
    TodoCommand, TodoError, TodoEvent, TodoId, TodoIdError, TodoState, TodoText, TodoTextError,
};
use crate::test_kit::given;
use crate::{Aggregate, DomainEvent};

fn text(text: &str) -> TodoText {
    text.parse().expect("a valid text")
}

fn created() -> TodoEvent {
    TodoEvent::Created {
        text: text("Buy milk"),
    }
}

fn create() -> TodoCommand {
    TodoCommand::Create {
        text: text("Buy milk"),
    }
}

fn rename(to: &str) -> TodoCommand {
    TodoCommand::Rename { text: text(to) }
}

#[test]
fn a_todo_lives_through_its_whole_life() {
    given::<TodoState>([])
        .when(create())
        .then([created()])
        .and_when(rename("Buy oat milk"))
        .then([TodoEvent::Renamed {
            text: text("Buy oat milk"),
        }])
        .and_when(TodoCommand::Complete)
        .then([TodoEvent::Completed])
        .and_when(TodoCommand::Reopen)
        .then([TodoEvent::Reopened])
        .and_when(TodoCommand::Delete)
        .then([TodoEvent::Deleted]);
}

#[test]
fn creating_what_exists_is_refused_in_any_state() {
    for history in [
        vec![created()],
        vec![created(), TodoEvent::Completed],
        vec![created(), TodoEvent::Deleted],
    ] {
        given::<TodoState>(history)
            .when(create())
            .then_refused(TodoError::AlreadyExists);
    }
}

#[test]
fn what_was_never_created_or_is_deleted_is_not_found() {
    for history in [vec![], vec![created(), TodoEvent::Deleted]] {
        for command in [
            rename("x"),
            TodoCommand::Complete,
            TodoCommand::Reopen,
            TodoCommand::Delete,
        ] {
            given::<TodoState>(history.clone())
                .when(command)
                .then_refused(TodoError::NotFound);
        }
    }
}

#[test]
fn a_command_that_would_change_nothing_says_so() {
    given::<TodoState>([created()])
        .when(rename("Buy milk"))
        .then_nothing()
        .and_when(TodoCommand::Reopen)
        .then_refused(TodoError::NotCompleted)
        .and_when(TodoCommand::Complete)
        .then([TodoEvent::Completed])
        .and_when(TodoCommand::Complete)
        .then_refused(TodoError::AlreadyCompleted)
        .and_when(rename("Buy milk"))
        .then_nothing();
}

#[test]
fn a_completed_todo_stays_completed_when_renamed() {
    let state = TodoState::fold(&[
        created(),
        TodoEvent::Completed,
        TodoEvent::Renamed { text: text("Tea") },
    ]);
    assert_eq!(state, TodoState::Completed { text: text("Tea") });
}

#[test]
fn a_text_is_trimmed_and_counted_in_characters() {
    assert_eq!(text("  Buy milk\n").as_str(), "Buy milk");
    assert!("ü".repeat(500).parse::<TodoText>().is_ok());
    assert_eq!(
        "ü".repeat(501).parse::<TodoText>(),
        Err(TodoTextError::TooLong { chars: 501 })
    );
}

#[test]
fn a_text_is_not_blank_and_has_no_control_characters() {
    for blank in [
        "",
        "  ",
        "\t\r\n",
        "\u{3000}",
        "\u{200b}",
        "\u{202e} \u{feff}",
    ] {
        assert_eq!(blank.parse::<TodoText>(), Err(TodoTextError::Empty));
    }
    for character in [
        '\0', '\n', '\r', '\t', '\u{1b}', '\u{7f}', '\u{85}', '\u{9f}',
    ] {
        assert_eq!(
            format!("a{character}b").parse::<TodoText>(),
            Err(TodoTextError::ControlCharacter { character })
        );
    }
}

#[test]
fn an_id_is_a_uuid() {
    let written = "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e";
    let id: TodoId = written.parse().expect("a UUID");
    assert_eq!(id.to_string(), written);
    for malformed in ["", "1", "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4", "../../etc"] {
        assert_eq!(malformed.parse::<TodoId>(), Err(TodoIdError));
    }
}

#[test]
fn events_are_stored_in_their_documented_form() {
    let stored = |event: TodoEvent| serde_json::to_value(event).expect("serialises");
    assert_eq!(
        stored(created()),
        json!({"type": "created", "text": "Buy milk"})
    );
    assert_eq!(
        stored(TodoEvent::Renamed { text: text("Tea") }),
        json!({"type": "renamed", "text": "Tea"})
    );
    assert_eq!(stored(TodoEvent::Completed), json!({"type": "completed"}));
    assert_eq!(stored(TodoEvent::Reopened), json!({"type": "reopened"}));
    assert_eq!(stored(TodoEvent::Deleted), json!({"type": "deleted"}));
}

#[test]
fn a_command_is_read_with_its_values_checked() {
    let read = |json| serde_json::from_value::<TodoCommand>(json);
    assert_eq!(
        read(json!({"type": "create", "text": " Tea "})).expect("valid"),
        TodoCommand::Create { text: text("Tea") }
    );
    let refusal = read(json!({"type": "create", "text": " "})).expect_err("blank");
    assert_eq!(refusal.to_string(), TodoTextError::Empty.to_string());
}

/// Any text that a todo can have.
fn any_text() -> impl Strategy<Value = TodoText> {
    "\\PC{1,40}".prop_filter_map("blank or with control characters", |text| text.parse().ok())
}

/// Any command, with few texts so that renaming to the same happens.
fn any_command() -> impl Strategy<Value = TodoCommand> {
    let text = || prop_oneof![Just(text("a")), Just(text("b")), any_text()];
    prop_oneof![
        text().prop_map(|text| TodoCommand::Create { text }),
        text().prop_map(|text| TodoCommand::Rename { text }),
        Just(TodoCommand::Complete),
        Just(TodoCommand::Reopen),
        Just(TodoCommand::Delete),
    ]
}

/// Any event, in any order.
fn any_event() -> impl Strategy<Value = TodoEvent> {
    prop_oneof![
        any_text().prop_map(|text| TodoEvent::Created { text }),
        any_text().prop_map(|text| TodoEvent::Renamed { text }),
        Just(TodoEvent::Completed),
        Just(TodoEvent::Reopened),
        Just(TodoEvent::Deleted),
    ]
}

proptest! {
    #[test]
    fn every_decided_event_changes_the_state(commands in prop::collection::vec(any_command(), 0..20)) {
        let mut state = TodoState::default();
        for command in commands {
            for event in state.handle(&command).unwrap_or_default() {
                let before = state.clone();
                state = state.apply(&event);
                prop_assert_ne!(&before, &state, "{:?} was decided and changed nothing", event);
            }
        }
    }

    #[test]
    fn replaying_a_life_gives_the_state_it_was_lived_in(commands in prop::collection::vec(any_command(), 0..20)) {
        let mut live = TodoState::default();
        let mut history = Vec::new();
        for command in commands {
            for event in live.handle(&command).unwrap_or_default() {
                live = live.apply(&event);
                history.push(event);
            }
        }
        prop_assert_eq!(TodoState::fold(&history), live);
    }

    #[test]
    fn folding_is_total_and_deterministic(events in prop::collection::vec(any_event(), 0..20)) {
        prop_assert_eq!(TodoState::fold(&events), TodoState::fold(&events));
    }

    #[test]
    fn states_round_trip_through_json(events in prop::collection::vec(any_event(), 0..20)) {
        let state = TodoState::fold(&events);
        let json = serde_json::to_string(&state).expect("serialises");
        prop_assert_eq!(serde_json::from_str::<TodoState>(&json).expect("reads back"), state);
    }

    #[test]
    fn events_round_trip_through_json(event in any_event()) {
        let json = serde_json::to_value(&event).expect("serialises");
        prop_assert_eq!(json["type"].as_str(), Some(event.event_type()));
        prop_assert_eq!(serde_json::from_value::<TodoEvent>(json).expect("reads back"), event);
    }

    #[test]
    fn commands_round_trip_through_json(command in any_command()) {
        let json = serde_json::to_string(&command).expect("serialises");
        prop_assert_eq!(serde_json::from_str::<TodoCommand>(&json).expect("reads back"), command);
    }

    #[test]
    fn any_accepted_text_keeps_the_rules(raw in any::<String>()) {
        if let Ok(text) = raw.parse::<TodoText>() {
            prop_assert_eq!(text.as_str(), raw.trim());
            prop_assert!((1..=TodoText::MAX_CHARS).contains(&text.as_str().chars().count()));
            prop_assert!(!text.as_str().chars().any(char::is_control));
        }
    }
}
