//! The page of a list.

use axum::http::StatusCode;
use ironstar_ports::{
    Append, EventStore, ExpectedSequence, Metadata, NewEvent, Payload, Position, StreamId,
};
use serde_json::json;
use uuid::Uuid;

use crate::app::text;
use crate::features;
use crate::features::list::LIST;
use crate::page::{expect_complete_page, expect_text_is_no_code};

#[tokio::test]
async fn the_page_is_complete_at_first_paint() {
    let app = features::app().await;
    let empty = text(app.get("/").await).await;
    assert!(empty.contains("Nothing to do."));
    assert!(empty.contains("id=\"todo-summary\" hidden"));

    let page = expect_complete_page(&LIST).await;
    assert!(page.contains("<strong>1</strong> item left"));
}

#[tokio::test]
async fn text_of_a_todo_is_never_markup_or_code() {
    expect_text_is_no_code(&LIST).await;
}

#[tokio::test(start_paused = true)]
async fn page_whose_read_model_is_behind_shows_earlier_todos_and_says_so() {
    const BEHIND: &str = "This page may be out of date";
    let app = features::app().await;
    let id = app.create("Buy milk").await;
    let page = text(app.get("/").await).await;
    assert!(!page.contains(BEHIND), "{page}");
    let unreadable = NewEvent {
        event_type: "unreadable".to_owned(),
        schema_version: 1,
        payload: Payload::of(&json!({})).expect("JSON"),
        metadata: Metadata::new(Uuid::nil()),
    };
    let stream = StreamId::new("Todo", id);
    let append = Append::to_stream(stream, ExpectedSequence::Any, vec![unreadable]);
    app.store.append(append).await.expect("appended");
    let create = json!({"type": "create", "text": "Call Ada"});
    assert_eq!(app.post("todo", create).await.0, StatusCode::OK);
    assert_eq!(app.head().await, Position::new(3));

    let response = app.get("/").await;
    assert_eq!(response.status(), StatusCode::OK);
    let page = text(response).await;
    assert!(page.contains(BEHIND), "{page}");
    // The read model does not go past the event that it cannot read.
    assert!(page.contains(">Buy milk<") && !page.contains(">Call Ada<"));
}
