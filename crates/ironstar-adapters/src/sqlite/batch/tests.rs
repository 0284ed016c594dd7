use ironstar_ports::{Append, ExpectedSequence, Metadata, NewEvent, Payload, Position, Sequence};
use sqlx::{Connection, SqliteConnection};

use super::*;

const LAST: Sequence = Sequence::new(3);

fn foresight() -> Foresight {
    Foresight {
        known: Known(Position::new(17), None),
        is_head: true,
        doubts: 0,
    }
}

fn stream() -> StreamId {
    StreamId::new("Test", "1")
}

fn append(expected: ExpectedSequence) -> Append {
    let event = NewEvent {
        event_type: "happened".to_owned(),
        schema_version: 1,
        payload: Payload::from_text("{}".to_owned()).expect("JSON"),
        metadata: Metadata::new(Uuid::nil()),
    };
    Append::to_stream(stream(), expected, vec![event])
}

/// The stream's last sequence according to a batch with these appends, if the batch guesses.
fn guess(appends: &[Append]) -> Option<Option<Sequence>> {
    let foresight = foresight();
    let batch = Batch::guess(&foresight, appends)?;
    assert_eq!(batch.head, foresight.known.0);
    assert_eq!(batch.before, foresight.known);
    assert!(batch.is_guess);
    Some(batch.streams.get(&stream()).map(|(sequence, _)| *sequence))
}

#[test]
fn batch_guesses_the_sequences_that_callers_name() {
    assert_eq!(guess(&[append(ExpectedSequence::NoStream)]), Some(None));
    let exact = append(ExpectedSequence::Exact(LAST));
    assert_eq!(guess(std::slice::from_ref(&exact)), Some(Some(LAST)));
    // The expectation of the second append follows from the first.
    let next = append(ExpectedSequence::Exact(LAST.next()));
    let any = append(ExpectedSequence::Any);
    assert_eq!(guess(&[exact, next, any]), Some(Some(LAST)));
}

#[test]
fn batch_does_not_guess_unknown_sequences() {
    assert_eq!(guess(&[append(ExpectedSequence::Any)]), None);
    let nothing = Append::to_stream(stream(), ExpectedSequence::NoStream, vec![]);
    assert_eq!(guess(&[nothing]), None);
    let elsewhere = Foresight {
        is_head: false,
        ..foresight()
    };
    let new = [append(ExpectedSequence::NoStream)];
    assert!(Batch::guess(&elsewhere, &new).is_none());
}

#[test]
fn batches_do_not_guess_for_a_while_after_a_wrong_guess() {
    let mut foresight = Foresight {
        doubts: 2,
        ..foresight()
    };
    let trusted = [(); 4].map(|()| foresight.is_trusted());
    assert_eq!(trusted, [false, false, true, true]);
}

#[tokio::test]
async fn only_a_refusal_by_a_constraint_counts_as_a_wrong_guess() {
    let mut connection = SqliteConnection::connect("sqlite::memory:")
        .await
        .expect("open");
    for (statement, expected) in [
        (
            "CREATE TABLE one (id INTEGER PRIMARY KEY); INSERT INTO one VALUES (1), (1)",
            true,
        ),
        (
            "CREATE TABLE two (id INTEGER CHECK (id > 1)); INSERT INTO two VALUES (1)",
            true,
        ),
        ("SELECT * FROM three", false),
    ] {
        let outcome = sqlx::raw_sql(statement).execute(&mut connection).await;
        let error = outcome.expect_err("a refusal");
        assert_eq!(is_refused(&error), expected, "{error}");
    }
    assert!(!is_refused(&sqlx::Error::RowNotFound));
}
