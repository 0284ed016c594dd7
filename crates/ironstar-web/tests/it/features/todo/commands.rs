//! Commands on todos: their answers, keys and refusals.

use axum::http::StatusCode;
use ironstar_ports::Position;
use serde_json::json;

use crate::commands::{
    expect_answers_with_the_place, expect_no_event_without_a_change, expect_once_with_a_key,
    expect_refusals_by_a_part,
};
use crate::features;
use crate::features::list::LIST;

#[tokio::test]
async fn every_command_answers_where_the_todo_is_now() {
    expect_answers_with_the_place(&LIST).await;
}

#[tokio::test]
async fn a_command_that_changes_nothing_of_a_todo_appends_nothing() {
    expect_no_event_without_a_change(&LIST).await;
}

#[tokio::test]
async fn a_command_on_a_todo_with_a_key_is_carried_out_once() {
    expect_once_with_a_key(&LIST).await;
}

#[tokio::test]
async fn refusal_by_the_todo_has_the_status_of_its_kind() {
    expect_refusals_by_a_part(&LIST).await;
}

#[tokio::test]
async fn texts_that_differ_in_their_unicode_form_only_are_one_text() {
    let app = features::app().await;
    let id = app.create("Cafe\u{301}").await;
    let rename = json!({"type": "rename", "id": id, "text": "Café"});
    let (status, answer) = app.command(rename.to_string()).await;
    assert_eq!((status, &answer["sequence"]), (StatusCode::OK, &json!(0)));
    assert_eq!(app.head().await, Position::new(1));
}
