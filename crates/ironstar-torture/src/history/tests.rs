use ironstar_domain::list::ListId;
use ironstar_domain::todo::{TodoCommand, TodoError, TodoEvent, TodoId};
use uuid::Uuid;

use super::{Operation, Outcome, Stored, examine};

const ID: TodoId = TodoId::new(Uuid::from_u128(7));

fn operation(command: TodoCommand, (invoked, returned): (u64, u64), outcome: Outcome) -> Operation {
    Operation {
        id: ID,
        command,
        expected: None,
        invoked,
        returned,
        outcome,
    }
}

fn accepted(sequence: u64) -> Outcome {
    Outcome::Accepted {
        sequence,
        position: sequence + 1,
    }
}

fn create(times: (u64, u64)) -> Operation {
    let text = "Buy milk".parse().expect("valid");
    operation(
        TodoCommand::Create {
            text,
            list: ListId::SHARED,
        },
        times,
        accepted(0),
    )
}

fn created() -> Stored {
    let text = "Buy milk".parse().expect("valid");
    stored(
        TodoEvent::Created {
            text,
            list: ListId::SHARED,
        },
        0,
    )
}

fn stored(event: TodoEvent, author: usize) -> Stored {
    Stored {
        id: ID,
        event,
        author,
    }
}

#[test]
fn possible_history_is_accepted() {
    let log = [created(), stored(TodoEvent::Completed, 2)];
    let mut expecting = operation(
        TodoCommand::Complete,
        (9, 10),
        Outcome::Unexpected { actual: Some(1) },
    );
    expecting.expected = Some(0);
    let operations = [
        create((1, 2)),
        // Concurrent with the next command: these ran before it, and after it.
        operation(
            TodoCommand::Reopen,
            (3, 6),
            Outcome::Refused(TodoError::NotCompleted),
        ),
        operation(TodoCommand::Complete, (4, 5), accepted(1)),
        operation(
            TodoCommand::Complete,
            (3, 6),
            Outcome::Refused(TodoError::AlreadyCompleted),
        ),
        operation(TodoCommand::Complete, (7, 8), Outcome::Contended),
        expecting,
    ];
    assert_eq!(examine(&log, &operations), Vec::<String>::new());
}

#[test]
fn answer_from_the_past_is_found() {
    let log = [created(), stored(TodoEvent::Completed, 1)];
    let operations = [
        create((1, 2)),
        operation(TodoCommand::Complete, (3, 4), accepted(1)),
        operation(
            TodoCommand::Reopen,
            (5, 6),
            Outcome::Refused(TodoError::NotCompleted),
        ),
    ];
    assert_eq!(examine(&log, &operations).len(), 1);
}

#[test]
fn answer_from_the_future_is_found() {
    let log = [created(), stored(TodoEvent::Completed, 2)];
    let operations = [
        create((1, 2)),
        operation(
            TodoCommand::Complete,
            (3, 4),
            Outcome::Refused(TodoError::AlreadyCompleted),
        ),
        operation(TodoCommand::Complete, (5, 6), accepted(1)),
    ];
    assert_eq!(examine(&log, &operations).len(), 1);
}

#[test]
fn decision_that_the_log_does_not_allow_is_found() {
    let log = [
        created(),
        stored(TodoEvent::Completed, 1),
        stored(TodoEvent::Completed, 2),
    ];
    let operations = [
        create((1, 2)),
        operation(TodoCommand::Complete, (3, 6), accepted(1)),
        operation(TodoCommand::Complete, (4, 5), accepted(2)),
    ];
    assert_eq!(examine(&log, &operations).len(), 1);
}

#[test]
fn order_against_real_time_is_found() {
    let other = TodoId::new(Uuid::from_u128(8));
    let mut late = create((3, 4));
    late.id = other;
    let mut first = created();
    (first.id, first.author) = (other, 1);
    let log = [first, created()];
    let early = Operation {
        outcome: Outcome::Accepted {
            sequence: 0,
            position: 2,
        },
        ..create((1, 2))
    };
    assert_eq!(examine(&log, &[early, late]).len(), 1);
}

#[test]
fn refusal_of_a_stored_event_is_found() {
    let log = [created(), stored(TodoEvent::Completed, 1)];
    let refused = Outcome::Refused(TodoError::NotFound);
    let operations = [
        create((1, 2)),
        operation(TodoCommand::Complete, (3, 4), refused),
    ];
    assert_eq!(examine(&log, &operations).len(), 1);
}

#[test]
fn accepted_command_at_an_unexpected_sequence_is_found() {
    let log = [created(), stored(TodoEvent::Completed, 1)];
    let mut complete = operation(TodoCommand::Complete, (3, 4), accepted(1));
    complete.expected = Some(3);
    assert_eq!(examine(&log, &[create((1, 2)), complete]).len(), 1);
}
