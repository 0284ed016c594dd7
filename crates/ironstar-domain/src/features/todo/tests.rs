use serde_json::json;

use super::{
    TodoCommand, TodoError, TodoEvent, TodoId, TodoIdError, TodoState, TodoText, TodoTextError,
};
use crate::list::{ListId, ListState};
use crate::test_kit::{given, stored};
use crate::{Aggregate, DomainError, ErrorKind, LineError, Parent};

mod properties;

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

#[test]
fn todo_without_a_named_list_was_in_the_shared_list() {
    let shared = Parent::of::<ListState>(&ListId::SHARED);
    assert_eq!(TodoState::earliest_parent(), Some(shared));
    assert!(!TodoError::NotFound.refusal().may_hide);
}
