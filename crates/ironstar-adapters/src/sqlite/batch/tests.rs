use ironstar_ports::{CommandRecord, ExpectedSequence, Metadata, NewEvent, Payload};
use serde_json::json;
use sqlx::{Connection, SqliteConnection};
use uuid::Uuid;

use super::*;

fn foresight() -> Foresight {
    Foresight {
        known: Known(Position::new(17), None),
        is_head: true,
        doubts: 0,
    }
}

#[test]
fn batch_does_not_guess_the_end_of_the_log() {
    let mut elsewhere = Foresight {
        is_head: false,
        ..foresight()
    };
    assert!(!elsewhere.may_guess());
}

#[test]
fn batches_do_not_guess_for_a_while_after_a_wrong_guess() {
    let mut foresight = Foresight {
        doubts: 2,
        ..foresight()
    };
    let trusted = [(); 4].map(|()| foresight.may_guess());
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

#[test]
fn rows_have_the_order_of_their_columns() {
    let event = NewEvent {
        event_type: "happened".to_owned(),
        schema_version: 1,
        payload: Payload::from_text("{}".to_owned()).expect("JSON"),
        metadata: Metadata::new(Uuid::from_u128(1)),
    };
    let metadata = serde_json::to_string(&event.metadata).expect("JSON");
    let stream = StreamId::new("Test", "a");
    let key = "n".parse().expect("a key");
    let batch = [Append {
        command: Some(CommandRecord::new(key, "q".to_owned())),
        ..Append::to_stream(stream, ExpectedSequence::Any, vec![event])
    }];
    let mut numbering = Numbering::default();
    let answers = numbering.answer_all(&batch);
    let appended = answers[0].as_ref().expect("accepted");
    let events = event_rows(numbering.events()).expect("JSON");
    let event = json!([1, "Test", "a", 0, "happened", 1, "{}", metadata]);
    assert_eq!(events, json!([event]).to_string());
    let answer = serde_json::to_string(appended).expect("JSON");
    let commands = command_rows(&numbering.commands()).expect("JSON");
    let command = json!(["n", "q", answer, []]);
    assert_eq!(commands, json!([command]).to_string());
}
