//! Idempotency keys of commands on lists and their todos belong to the senders who chose them.

use axum::http::{Request, StatusCode, header};
use ironstar_ports::{Position, StreamId};
use serde_json::json;
use uuid::Uuid;

use super::{LIST, post};
use crate::app::text;
use crate::features;
use crate::keys::{
    expect_first_form_once, expect_keys_on_all_parts_and_links, expect_keys_on_parts,
    stored_before, with_session,
};
use crate::sessions::principal;

#[tokio::test]
async fn two_sessions_use_the_same_key_for_two_todos() {
    expect_keys_on_parts(&LIST).await;
}

#[tokio::test]
async fn commands_on_all_todos_and_links_have_keys_of_their_senders() {
    expect_keys_on_all_parts_and_links(&LIST).await;
}

#[tokio::test]
async fn todo_that_is_sent_twice_at_a_first_visit_is_created_once() {
    expect_first_form_once(features::setup(), "/todos").await;
}

#[tokio::test]
async fn keys_of_lists_that_were_stored_without_a_sender_are_still_known() {
    let app = features::app().await;
    let a = with_session(&app).await;
    let who = principal(&a).await.expect("a guest");
    let create = r#"{"type":"create","name":"Shopping"}"#;
    let created = json!({"type": "created", "name": "Shopping", "owner": who});
    let stream = |number| StreamId::new("List", Uuid::from_u128(number).to_string());
    let as_json = format!(r#"["List {who}",null,null,{create}]"#);
    stored_before(&app, "8", &as_json, &stream(8), (2, &created)).await;
    let as_form = format!(r#"["List",{create},"{who}"]"#);
    stored_before(&app, "9", &as_form, &stream(9), (2, &created)).await;

    let again = json!({"type": "create", "name": "Shopping", "command_id": "8"});
    let (status, answer) = post(&a, "list", again.clone()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["id"], stream(8).aggregate_id);
    let form = a.form(Request::post("/lists"), "name=Shopping&key=9").await;
    let page = format!("/lists/{}", stream(9).aggregate_id);
    assert_eq!(form.headers()[header::LOCATION], page);
    let shown = text(a.get(&page).await).await;
    assert!(shown.contains(">Shopping</h1>"), "{shown}");
    assert_eq!(app.head().await, Position::new(2));
    // The key tells another guest nothing, and refuses none of their commands.
    let b = with_session(&app).await;
    let (status, other) = post(&b, "list", again).await;
    assert_eq!(status, StatusCode::OK, "{other}");
    assert_ne!(other["id"], answer["id"]);
}
