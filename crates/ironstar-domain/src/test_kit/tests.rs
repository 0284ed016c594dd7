use super::given;
use crate::{TodoCommand, TodoError, TodoEvent, TodoState};

fn milk() -> TodoEvent {
    TodoEvent::Created {
        text: "Buy milk".parse().expect("valid"),
    }
}

#[test]
#[should_panic(expected = "but got")]
fn then_fails_on_other_events() {
    given::<TodoState>([milk()])
        .when(TodoCommand::Complete)
        .then([TodoEvent::Deleted]);
}

#[test]
#[should_panic(expected = "but got")]
fn then_nothing_fails_on_events() {
    given::<TodoState>([milk()])
        .when(TodoCommand::Complete)
        .then_nothing();
}

#[test]
#[should_panic(expected = "but got")]
fn then_refused_fails_on_another_reason() {
    given::<TodoState>([])
        .when(TodoCommand::Complete)
        .then_refused(TodoError::AlreadyCompleted);
}

#[test]
fn decided_events_become_history() {
    given::<TodoState>([milk()])
        .when(TodoCommand::Complete)
        .then([TodoEvent::Completed])
        .and_when(TodoCommand::Reopen)
        .then([TodoEvent::Reopened]);
}
