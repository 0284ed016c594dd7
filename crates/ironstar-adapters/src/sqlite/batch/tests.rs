use sqlx::{Connection, SqliteConnection};

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
