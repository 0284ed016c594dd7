use ironstar_fixtures::note::OPEN;
use ironstar_fixtures::remark::{RemarkCommand, RemarkError, RemarkEvent};
use uuid::Uuid;

use super::{Operation, Outcome, Stored, examine};

const ID: Uuid = Uuid::from_u128(7);

fn operation(
    command: RemarkCommand,
    (invoked, returned): (u64, u64),
    outcome: Outcome,
) -> Operation {
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
    let text = "Buy milk".to_owned();
    operation(
        RemarkCommand::Create { text, note: OPEN },
        times,
        accepted(0),
    )
}

fn created() -> Stored {
    let text = "Buy milk".to_owned();
    stored(RemarkEvent::Created { text, note: OPEN }, 0)
}

fn stored(event: RemarkEvent, author: usize) -> Stored {
    Stored {
        id: ID,
        event,
        author,
    }
}

#[test]
fn possible_history_is_accepted() {
    let log = [created(), stored(RemarkEvent::Closed, 2)];
    let mut expecting = operation(
        RemarkCommand::Close,
        (9, 10),
        Outcome::Unexpected { actual: Some(1) },
    );
    expecting.expected = Some(0);
    let operations = [
        create((1, 2)),
        // Concurrent with the next command: these ran before it, and after it.
        operation(
            RemarkCommand::Reopen,
            (3, 6),
            Outcome::Refused(RemarkError::NotClosed),
        ),
        operation(RemarkCommand::Close, (4, 5), accepted(1)),
        operation(
            RemarkCommand::Close,
            (3, 6),
            Outcome::Refused(RemarkError::AlreadyClosed),
        ),
        operation(RemarkCommand::Close, (7, 8), Outcome::Contended),
        expecting,
    ];
    assert_eq!(examine(&log, &operations), Vec::<String>::new());
}

#[test]
fn answer_from_the_past_is_found() {
    let log = [created(), stored(RemarkEvent::Closed, 1)];
    let operations = [
        create((1, 2)),
        operation(RemarkCommand::Close, (3, 4), accepted(1)),
        operation(
            RemarkCommand::Reopen,
            (5, 6),
            Outcome::Refused(RemarkError::NotClosed),
        ),
    ];
    assert_eq!(examine(&log, &operations).len(), 1);
}

#[test]
fn answer_from_the_future_is_found() {
    let log = [created(), stored(RemarkEvent::Closed, 2)];
    let operations = [
        create((1, 2)),
        operation(
            RemarkCommand::Close,
            (3, 4),
            Outcome::Refused(RemarkError::AlreadyClosed),
        ),
        operation(RemarkCommand::Close, (5, 6), accepted(1)),
    ];
    assert_eq!(examine(&log, &operations).len(), 1);
}

#[test]
fn decision_that_the_log_does_not_allow_is_found() {
    let log = [
        created(),
        stored(RemarkEvent::Closed, 1),
        stored(RemarkEvent::Closed, 2),
    ];
    let operations = [
        create((1, 2)),
        operation(RemarkCommand::Close, (3, 6), accepted(1)),
        operation(RemarkCommand::Close, (4, 5), accepted(2)),
    ];
    assert_eq!(examine(&log, &operations).len(), 1);
}

#[test]
fn order_against_real_time_is_found() {
    let other = Uuid::from_u128(8);
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
    let log = [created(), stored(RemarkEvent::Closed, 1)];
    let refused = Outcome::Refused(RemarkError::NotFound);
    let operations = [
        create((1, 2)),
        operation(RemarkCommand::Close, (3, 4), refused),
    ];
    assert_eq!(examine(&log, &operations).len(), 1);
}

#[test]
fn accepted_command_at_an_unexpected_sequence_is_found() {
    let log = [created(), stored(RemarkEvent::Closed, 1)];
    let mut close = operation(RemarkCommand::Close, (3, 4), accepted(1));
    close.expected = Some(3);
    assert_eq!(examine(&log, &[create((1, 2)), close]).len(), 1);
}
