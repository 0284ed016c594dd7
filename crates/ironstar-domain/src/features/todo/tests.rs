use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::{
    TodoCommand, TodoError, TodoEvent, TodoId, TodoIdError, TodoState, TodoText, TodoTextError,
};
use crate::list::{ListId, ListState};
use crate::test_kit::{check_golden_files, check_laws, given, history, stored};
use crate::{Aggregate, DomainError, ErrorKind, LineError, Parent};

const GOLDEN_FILES: &[(&str, u32, &str)] = &[
    ("created", 1, include_str!("golden/created.v1.json")),
    ("created", 2, include_str!("golden/created.v2.json")),
    (
        "created",
        2,
        include_str!("golden/created.v2.in_a_list.json"),
    ),
    (
        "created",
        2,
        include_str!("golden/created.v2.by_older_rules.json"),
    ),
    ("renamed", 1, include_str!("golden/renamed.v1.json")),
    (
        "renamed",
        1,
        include_str!("golden/renamed.v1.by_older_rules.json"),
    ),
    ("completed", 1, include_str!("golden/completed.v1.json")),
    ("reopened", 1, include_str!("golden/reopened.v1.json")),
    ("deleted", 1, include_str!("golden/deleted.v1.json")),
];

fn text(text: &str) -> TodoText {
    text.parse().expect("a valid text")
}

fn groceries() -> ListId {
    let id = "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e";
    id.parse().expect("a UUID")
}

fn create() -> TodoCommand {
    TodoCommand::Create {
        text: text("Buy milk"),
        list: groceries(),
    }
}

fn created() -> TodoEvent {
    TodoEvent::Created {
        text: text("Buy milk"),
        list: groceries(),
    }
}

fn rename(to: &str) -> TodoCommand {
    TodoCommand::Rename { text: text(to) }
}

fn renamed(to: &str) -> TodoEvent {
    TodoEvent::Renamed { text: text(to) }
}

fn active(says: &str) -> TodoState {
    TodoState::Active {
        text: text(says),
        list: groceries(),
    }
}

fn completed(says: &str) -> TodoState {
    TodoState::Completed {
        text: text(says),
        list: groceries(),
    }
}

#[test]
fn a_todo_lives_through_its_whole_life() {
    given::<TodoState>([])
        .then_state(TodoState::NotCreated)
        .when(create())
        .then([created()])
        .and_state(active("Buy milk"))
        .and_when(rename("Buy oat milk"))
        .then([renamed("Buy oat milk")])
        .and_state(active("Buy oat milk"))
        .and_when(TodoCommand::Complete)
        .then([TodoEvent::Completed])
        .and_state(completed("Buy oat milk"))
        .and_when(TodoCommand::Reopen)
        .then([TodoEvent::Reopened])
        .and_state(active("Buy oat milk"))
        .and_when(TodoCommand::Delete)
        .then([TodoEvent::Deleted])
        .and_state(TodoState::Deleted { list: groceries() });
}

#[test]
fn existing_todo_refuses_creation_in_any_state() {
    for past in [
        vec![created()],
        vec![created(), TodoEvent::Completed],
        vec![created(), TodoEvent::Deleted],
    ] {
        given::<TodoState>(past)
            .when(create())
            .then_refused(TodoError::AlreadyExists);
    }
}

#[test]
fn missing_or_deleted_todo_is_not_found() {
    for past in [vec![], vec![created(), TodoEvent::Deleted]] {
        for command in [
            rename("x"),
            TodoCommand::Complete,
            TodoCommand::Reopen,
            TodoCommand::Delete,
        ] {
            given::<TodoState>(past.clone())
                .when(command)
                .then_refused(TodoError::NotFound);
        }
    }
}

#[test]
fn command_without_effect_decides_nothing_or_is_refused() {
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
fn a_completed_todo_can_be_renamed_and_deleted() {
    given::<TodoState>([created(), TodoEvent::Completed])
        .when(rename("Tea"))
        .then([renamed("Tea")])
        .and_state(completed("Tea"))
        .and_when(TodoCommand::Delete)
        .then([TodoEvent::Deleted]);
}

#[test]
fn impossible_event_leaves_the_state_unchanged() {
    let any_but_created = [
        renamed("x"),
        TodoEvent::Completed,
        TodoEvent::Reopened,
        TodoEvent::Deleted,
    ];
    let created_again = TodoEvent::Created {
        text: text("x"),
        list: ListId::SHARED,
    };
    given::<TodoState>(any_but_created.clone())
        .then_state(TodoState::NotCreated)
        .and([created(), TodoEvent::Reopened, created_again.clone()])
        .then_state(active("Buy milk"))
        .and([
            TodoEvent::Completed,
            TodoEvent::Completed,
            created_again.clone(),
        ])
        .then_state(completed("Buy milk"))
        .and([TodoEvent::Deleted, created_again])
        .and(any_but_created)
        .then_state(TodoState::Deleted { list: groceries() });
}

#[test]
fn todo_has_its_list_as_parent_even_when_deleted() {
    let parent = |past: &[TodoEvent]| TodoState::fold(past).parent();
    let list = Parent {
        aggregate_type: ListState::TYPE,
        aggregate_id: groceries().to_string(),
    };
    assert_eq!(parent(&[]), None);
    assert_eq!(parent(&[created()]), Some(list.clone()));
    assert_eq!(
        parent(&[created(), TodoEvent::Completed]),
        Some(list.clone())
    );
    assert_eq!(parent(&[created(), TodoEvent::Deleted]), Some(list));
}

#[test]
fn refusal_has_a_kind_and_a_code() {
    for (error, kind, code) in [
        (
            TodoError::AlreadyExists,
            ErrorKind::Conflict,
            "todo-already-exists",
        ),
        (TodoError::NotFound, ErrorKind::NotFound, "todo-not-found"),
        (
            TodoError::AlreadyCompleted,
            ErrorKind::Conflict,
            "todo-already-completed",
        ),
        (
            TodoError::NotCompleted,
            ErrorKind::Conflict,
            "todo-not-completed",
        ),
    ] {
        let refusal = error.refusal();
        assert_eq!((refusal.kind, refusal.code), (kind, code));
    }
}

#[test]
fn a_text_is_a_line_of_at_most_500_characters() {
    assert_eq!(text("  Buy milk\n").as_str(), "Buy milk");
    assert_eq!(text("Buy milk").to_string(), "Buy milk");
    assert!("ü".repeat(500).parse::<TodoText>().is_ok());
    let character = '\r';
    for (malformed, error) in [
        (
            "ü".repeat(501),
            LineError::TooLong {
                max: 500,
                chars: 501,
            },
        ),
        (" \u{200b}".to_owned(), LineError::Empty),
        ("a\rb".to_owned(), LineError::ControlCharacter { character }),
    ] {
        assert_eq!(malformed.parse::<TodoText>(), Err(TodoTextError(error)));
    }
    let error = TodoTextError(LineError::Empty);
    assert_eq!(error.to_string(), "the text of a todo must not be empty");
}

#[test]
fn todo_id_is_a_uuid() {
    let written = "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e";
    let id: TodoId = written.parse().expect("a UUID");
    assert_eq!(id.to_string(), written);
    assert_eq!(json!(id), json!(written));
    for malformed in ["", "1", "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4", "../../etc"] {
        assert_eq!(malformed.parse::<TodoId>(), Err(TodoIdError));
    }
}

#[test]
fn todo_of_version_1_is_read_into_the_shared_list() {
    stored("created", 1, json!({"type": "created", "text": "Buy milk"})).reads_as(
        TodoEvent::Created {
            text: text("Buy milk"),
            list: ListId::SHARED,
        },
    );
}

#[test]
fn stored_event_with_an_invalid_value_is_refused() {
    for (version, payload) in [
        (1, json!({"type": "created", "text": "a\rb"})),
        (
            2,
            json!({"type": "created", "text": "a\rb", "list": "shared"}),
        ),
        (
            2,
            json!({"type": "created", "text": "Buy milk", "list": "1"}),
        ),
        (2, json!({"type": "created", "text": "Buy milk"})),
    ] {
        stored::<TodoEvent>("created", version, payload).is_refused();
    }
}

#[test]
fn command_is_checked_when_it_is_read() {
    let read = |json| serde_json::from_value::<TodoCommand>(json);
    let command = read(json!({"type": "create", "text": " Buy milk ", "list": groceries()}));
    assert_eq!(command.expect("valid"), create());
    let refusal = read(json!({"type": "create", "text": " "})).expect_err("blank");
    assert_eq!(
        refusal.to_string(),
        TodoTextError(LineError::Empty).to_string()
    );
    let nowhere = read(json!({"type": "create", "text": "Buy milk", "list": "nowhere"}));
    nowhere.expect_err("'nowhere' is not a list id");
}

#[test]
fn a_todo_is_created_in_the_shared_list_unless_another_is_named() {
    let json = json!({"type": "create", "text": "Buy milk"});
    let command: TodoCommand = serde_json::from_value(json).expect("valid");
    given::<TodoState>([])
        .when(command)
        .then([TodoEvent::Created {
            text: text("Buy milk"),
            list: ListId::SHARED,
        }]);
}

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

#[test]
fn todo_without_a_named_list_was_in_the_shared_list() {
    let shared = Parent::of::<ListState>(&ListId::SHARED);
    assert_eq!(TodoState::earliest_parent(), Some(shared));
    assert!(!TodoError::NotFound.refusal().may_hide);
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
