//! Notes with an owner: the owner's view of them, and the answers to other visitors.

use axum::http::{Request, StatusCode, header};
use serde_json::json;

use crate::app::{TestApp, json as body, text};
use crate::kinds::NOTE;

#[tokio::test]
async fn notes_of_a_visitor_are_live_on_their_own_pages_only() {
    let app = TestApp::init().await;
    let stranger = app.stranger();
    NOTE.create(&stranger, "Other").await;
    let first = NOTE.create(&app, "Shopping").await;
    let mut stream = app.stream("/api/sse/notes", None).await;
    let mut others = stranger.stream("/api/sse/notes", None).await;
    let whole = stream.next().await;
    assert!(whole.data.contains(">Shopping<"), "{}", whole.data);
    assert!(!whole.data.contains(">Other<"), "{}", whole.data);
    assert!(others.next().await.data.contains(">Other<"));

    NOTE.create(&app, "Work").await;
    let created = stream.next().await;
    assert!(created.data.contains(">Work<"), "{}", created.data);
    let rewrite = json!({"type": "rewrite", "id": first, "text": "Food"});
    app.post("note", rewrite).await;
    let rewritten = stream.next().await;
    assert!(rewritten.data.contains(">Food<") && !rewritten.data.contains(">Shopping<"));

    // The page of all notes does not show their remarks.
    NOTE.add(&app, &first, "Milk").await;
    NOTE.create(&app, "Last").await;
    let last = stream.next().await;
    assert!(last.data.contains(">Last<") && !last.data.contains("Milk"));
    NOTE.create(&stranger, "End").await;
    let next = others.next().await;
    assert!(next.data.contains(">End<"), "{}", next.data);
    for mine in ["Work", "Food", "Last"] {
        assert!(!next.data.contains(mine), "{}", next.data);
    }
}

#[tokio::test]
async fn page_of_notes_continues_from_what_it_shows() {
    let app = TestApp::init().await;
    NOTE.create(&app, "Shopping").await;
    let page = text(app.get("/notes").await).await;
    let (_, rest) = page.split_once("'last-event-id': '").expect("an id");
    let (seen, _) = rest.split_once('\'').expect("its end");
    let mut stream = app.stream("/api/sse/notes", Some(seen)).await;
    // The first event is the next change, not the notes that the page shows.
    NOTE.create(&app, "Work").await;
    assert!(stream.next().await.data.contains(">Work<"));
    app.shutdown.cancel();
    assert!(stream.ends().await);
}

#[tokio::test]
async fn visitor_who_creates_a_note_learns_nothing_of_another() {
    let app = TestApp::init().await;
    let id = NOTE.create(&app, "Shopping").await;
    for expected in [0, 9] {
        let create =
            json!({"type": "create", "id": id, "text": "x", "expected_sequence": expected});
        let (status, problem) = app.stranger().post("note", create).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
    }
}

#[tokio::test]
async fn key_of_another_visitor_does_not_answer_with_their_note() {
    let app = TestApp::init().await;
    let create = json!({"type": "create", "text": "Shopping", "command_id": "a-key"});
    let begin = Request::post("/api/session").body("".into());
    app.send(begin.expect("a request")).await;
    let (status, first) = app.post("note", create.clone()).await;
    assert_eq!(status, StatusCode::OK, "{first}");
    let again = app.post("note", create.clone()).await;
    assert_eq!(again, (status, first.clone()));
    // A request without the cookie is another visitor's, who gets a note of their own.
    let (status, second) = app.stranger().post("note", create).await;
    assert_eq!(status, StatusCode::OK, "{second}");
    assert_ne!(second["id"], first["id"]);
}

#[tokio::test]
async fn a_link_leads_to_the_host_that_was_checked() {
    let app = TestApp::init().await;
    let id = NOTE.create(&app, "Shopping").await;
    let link = json!({"type": "create_link", "id": id, "access": "read"});
    app.post("note", link).await;
    let asked = Request::get("http://example.org:3000/api/notes").header(header::HOST, "evil.test");
    let answer = app.send(asked.body("".into()).expect("a request")).await;
    let notes = body(answer).await;
    let address = notes[0]["links"][0]["address"].as_str();
    let address = address.expect("an address");
    assert!(
        address.starts_with("http://example.org:3000/notes/"),
        "{address}"
    );
}
