use proptest::prelude::*;
use serde_json::json;

use super::{ListCommand, ListError, ListEvent, ListName, ListNameError, ListState};
use crate::test_kit::{check_golden_files, check_laws, given, history, stored};
use crate::{Aggregate, DomainError, ErrorKind, LineError};

const GOLDEN_FILES: &[(&str, u32, &str)] = &[
    ("created", 1, include_str!("../golden/List/created.v1.json")),
    ("renamed", 1, include_str!("../golden/List/renamed.v1.json")),
    (
        "archived",
        1,
        include_str!("../golden/List/archived.v1.json"),
    ),
    (
        "restored",
        1,
        include_str!("../golden/List/restored.v1.json"),
    ),
];

fn name(name: &str) -> ListName {
    name.parse().expect("a valid name")
}

fn create() -> ListCommand {
    ListCommand::Create {
        name: name("Groceries"),
    }
}

fn created() -> ListEvent {
    ListEvent::Created {
        name: name("Groceries"),
    }
}

fn rename(to: &str) -> ListCommand {
    ListCommand::Rename { name: name(to) }
}

fn renamed(to: &str) -> ListEvent {
    ListEvent::Renamed { name: name(to) }
}

#[test]
fn a_list_lives_through_its_whole_life() {
    given::<ListState>([])
        .then_state(ListState::NotCreated)
        .when(create())
        .then([created()])
        .and_state(ListState::Open {
            name: name("Groceries"),
        })
        .and_when(rename("Food"))
        .then([renamed("Food")])
        .and_when(ListCommand::Archive)
        .then([ListEvent::Archived])
        .and_state(ListState::Archived { name: name("Food") })
        .and_when(ListCommand::Restore)
        .then([ListEvent::Restored])
        .and_state(ListState::Open { name: name("Food") });
}

#[test]
fn creating_what_exists_is_refused_in_any_state() {
    for past in [
        vec![created()],
        vec![created(), ListEvent::Archived],
        vec![created(), ListEvent::Archived, ListEvent::Restored],
    ] {
        given::<ListState>(past)
            .when(create())
            .then_refused(ListError::AlreadyExists);
    }
}

#[test]
fn what_was_never_created_is_not_found() {
    for command in [rename("Food"), ListCommand::Archive, ListCommand::Restore] {
        given::<ListState>([])
            .when(command)
            .then_refused(ListError::NotFound);
    }
}

#[test]
fn an_archived_list_only_takes_being_restored() {
    for command in [rename("Food"), rename("Groceries"), ListCommand::Archive] {
        given::<ListState>([created(), ListEvent::Archived])
            .when(command)
            .then_refused(ListError::Archived)
            .and_when(ListCommand::Restore)
            .then([ListEvent::Restored]);
    }
}

#[test]
fn an_open_list_cannot_be_restored_and_its_own_name_changes_nothing() {
    given::<ListState>([created()])
        .when(ListCommand::Restore)
        .then_refused(ListError::NotArchived)
        .and_when(rename("Groceries"))
        .then_nothing()
        .and_when(rename("Food"))
        .then([renamed("Food")])
        .and_when(rename("Food"))
        .then_nothing();
}

#[test]
fn an_event_that_cannot_have_been_decided_is_passed_over() {
    given::<ListState>([renamed("x"), ListEvent::Archived, ListEvent::Restored])
        .then_state(ListState::NotCreated)
        .and([
            created(),
            ListEvent::Restored,
            ListEvent::Created { name: name("x") },
        ])
        .then_state(ListState::Open {
            name: name("Groceries"),
        })
        .and([
            ListEvent::Archived,
            renamed("x"),
            created(),
            ListEvent::Archived,
        ])
        .then_state(ListState::Archived {
            name: name("Groceries"),
        });
}

#[test]
fn a_list_is_part_of_nothing() {
    assert_eq!(ListState::fold(&[created()]).parent(), None);
}

#[test]
fn a_refusal_says_its_kind_and_its_code() {
    for (error, kind, code) in [
        (
            ListError::AlreadyExists,
            ErrorKind::Conflict,
            "list-already-exists",
        ),
        (ListError::NotFound, ErrorKind::NotFound, "list-not-found"),
        (ListError::Archived, ErrorKind::Conflict, "list-archived"),
        (
            ListError::NotArchived,
            ErrorKind::Conflict,
            "list-not-archived",
        ),
        (ListError::Shared, ErrorKind::Conflict, "list-shared"),
    ] {
        assert_eq!((error.kind(), error.code()), (kind, code));
    }
}

#[test]
fn a_name_is_a_line_of_at_most_100_characters() {
    assert_eq!(name("  Groceries\n").as_str(), "Groceries");
    assert_eq!(name("Groceries").to_string(), "Groceries");
    assert!("ü".repeat(100).parse::<ListName>().is_ok());
    let character = '\r';
    for (malformed, error) in [
        (
            "ü".repeat(101),
            LineError::TooLong {
                max: 100,
                chars: 101,
            },
        ),
        (" \u{200b}".to_owned(), LineError::Empty),
        ("a\rb".to_owned(), LineError::ControlCharacter { character }),
    ] {
        assert_eq!(malformed.parse::<ListName>(), Err(ListNameError(error)));
    }
    let error = ListNameError(LineError::Empty);
    assert_eq!(error.to_string(), "the name of a list must not be empty");
}

#[test]
fn a_command_is_read_with_its_values_checked() {
    let read = |json| serde_json::from_value::<ListCommand>(json);
    let command = read(json!({"type": "create", "name": " Groceries "}));
    assert_eq!(command.expect("valid"), create());
    let refusal = read(json!({"type": "rename", "name": " "})).expect_err("blank");
    assert_eq!(
        refusal.to_string(),
        ListNameError(LineError::Empty).to_string()
    );
}

#[test]
fn a_stored_name_is_checked_too() {
    stored::<ListEvent>("created", 1, json!({"type": "created", "name": "a\rb"})).is_refused();
}

/// Any name that a list can have.
fn any_name() -> impl Strategy<Value = ListName> {
    "\\PC{1,40}".prop_filter_map("not a name", |name| name.parse().ok())
}

/// Any command, with few names so that renaming to the same happens.
fn any_command() -> impl Strategy<Value = ListCommand> {
    let name = || prop_oneof![Just(name("a")), Just(name("b")), any_name()];
    prop_oneof![
        name().prop_map(|name| ListCommand::Create { name }),
        name().prop_map(|name| ListCommand::Rename { name }),
        Just(ListCommand::Archive),
        Just(ListCommand::Restore),
    ]
}

fn any_commands() -> impl Strategy<Value = Vec<ListCommand>> {
    prop::collection::vec(any_command(), 0..20)
}

proptest! {
    #[test]
    fn a_list_keeps_the_laws(commands in any_commands()) {
        check_laws::<ListState>(commands);
    }

    #[test]
    fn events_keep_the_shape_of_their_golden_files(
        events in any_commands().prop_map(history::<ListState>),
    ) {
        let one_of_each = [created(), renamed("x"), ListEvent::Archived, ListEvent::Restored];
        check_golden_files(GOLDEN_FILES, events.into_iter().chain(one_of_each));
    }

    #[test]
    fn commands_round_trip_through_json(command in any_command()) {
        let json = serde_json::to_string(&command).expect("serialises");
        prop_assert_eq!(serde_json::from_str::<ListCommand>(&json).expect("reads back"), command);
    }
}
