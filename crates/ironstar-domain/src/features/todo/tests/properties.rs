//! The laws of todos, after any commands, and the stored shape of their events.

use proptest::prelude::*;
use uuid::Uuid;

use super::{created, renamed, text};
use crate::Aggregate;
use crate::list::ListId;
use crate::test_kit::{check_golden_files, check_laws, history};
use crate::todo::{TodoCommand, TodoEvent, TodoState, TodoText};

const GOLDEN_FILES: &[(&str, u32, &str)] = &[
    ("created", 1, include_str!("../golden/created.v1.json")),
    ("created", 2, include_str!("../golden/created.v2.json")),
    (
        "created",
        2,
        include_str!("../golden/created.v2.in_a_list.json"),
    ),
    (
        "created",
        2,
        include_str!("../golden/created.v2.by_older_rules.json"),
    ),
    ("renamed", 1, include_str!("../golden/renamed.v1.json")),
    (
        "renamed",
        1,
        include_str!("../golden/renamed.v1.by_older_rules.json"),
    ),
    ("completed", 1, include_str!("../golden/completed.v1.json")),
    ("reopened", 1, include_str!("../golden/reopened.v1.json")),
    ("deleted", 1, include_str!("../golden/deleted.v1.json")),
];

/// Any valid text of a todo.
fn any_text() -> impl Strategy<Value = TodoText> {
    "\\PC{1,40}".prop_filter_map("blank or with control characters", |text| text.parse().ok())
}

/// The shared list or another.
fn any_list() -> impl Strategy<Value = ListId> {
    let other = any::<u128>().prop_map(|id| ListId::from(Uuid::from_u128(id)));
    prop_oneof![Just(ListId::SHARED), other]
}

/// Any command, with few texts, so that a todo is sometimes renamed to its own text.
fn any_command() -> impl Strategy<Value = TodoCommand> {
    let text = || prop_oneof![Just(text("a")), Just(text("b")), any_text()];
    prop_oneof![
        (text(), any_list()).prop_map(|(text, list)| TodoCommand::Create { text, list }),
        text().prop_map(|text| TodoCommand::Rename { text }),
        Just(TodoCommand::Complete),
        Just(TodoCommand::Reopen),
        Just(TodoCommand::Delete),
    ]
}

fn any_commands() -> impl Strategy<Value = Vec<TodoCommand>> {
    prop::collection::vec(any_command(), 0..20)
}

/// Any event. A sequence of them may be impossible.
fn any_event() -> impl Strategy<Value = TodoEvent> {
    prop_oneof![
        (any_text(), any_list()).prop_map(|(text, list)| TodoEvent::Created { text, list }),
        any_text().prop_map(|text| TodoEvent::Renamed { text }),
        Just(TodoEvent::Completed),
        Just(TodoEvent::Reopened),
        Just(TodoEvent::Deleted),
    ]
}

proptest! {
    #[test]
    fn a_todo_keeps_the_laws(commands in any_commands()) {
        check_laws::<TodoState>(commands);
    }

    #[test]
    fn a_todo_stays_in_its_list(past in any_commands().prop_map(history::<TodoState>)) {
        let first = past.first().map(|event| TodoState::fold([event]).parent());
        let last = TodoState::fold(&past);
        if last.parent().is_some() {
            prop_assert_eq!(Some(last.parent()), first);
        }
    }

    #[test]
    fn events_keep_the_shape_of_their_golden_files(
        events in prop::collection::vec(any_event(), 0..20),
    ) {
        let one_of_each = [
            created(),
            renamed("x"),
            TodoEvent::Completed,
            TodoEvent::Reopened,
            TodoEvent::Deleted,
        ];
        check_golden_files(GOLDEN_FILES, events.into_iter().chain(one_of_each));
    }

    #[test]
    fn state_round_trips_through_json(events in prop::collection::vec(any_event(), 0..20)) {
        let state = TodoState::fold(&events);
        let json = serde_json::to_string(&state).expect("serialises");
        prop_assert_eq!(serde_json::from_str::<TodoState>(&json).expect("reads back"), state);
    }

    #[test]
    fn commands_round_trip_through_json(command in any_command()) {
        let json = serde_json::to_string(&command).expect("serialises");
        prop_assert_eq!(serde_json::from_str::<TodoCommand>(&json).expect("reads back"), command);
    }

    #[test]
    fn any_accepted_text_keeps_the_rules(raw in any::<String>()) {
        if let Ok(text) = raw.parse::<TodoText>() {
            let composed = icu_normalizer::ComposingNormalizerBorrowed::new_nfc();
            prop_assert_eq!(text.as_str(), composed.normalize(raw.trim()));
            prop_assert!((1..=TodoText::MAX_CHARS).contains(&text.as_str().chars().count()));
            prop_assert!(!text.as_str().chars().any(char::is_control));
        }
    }
}
