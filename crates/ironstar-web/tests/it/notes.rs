//! A feature that the engine does not know has private aggregates, links, live pages and raw
//! events. It declares its owner rules, and uses the guards of the engine.

use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::app::{Setup, TestApp, json as body, text};
use crate::kinds::NOTE;

/// Sends a command on notes, which is accepted.
async fn carry_out(app: &TestApp, command: Value) {
    let (status, answer) = app.post("note", command).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

#[tokio::test]
async fn note_is_live_for_its_owner_and_through_a_link_until_it_is_revoked() {
    let app = TestApp::init().await;
    let id = NOTE.create(&app, "Buy milk").await;
    let (page, stream) = (format!("/notes/{id}"), format!("/api/sse/notes/{id}"));
    let mine = text(app.get(&page).await).await;
    assert!(mine.contains("Buy milk"), "{mine}");
    let mut mine = app.stream(&stream, None).await;
    mine.next_with("Buy milk").await;

    let reader = app.stranger();
    for path in [&page, &stream] {
        assert_eq!(reader.get(path).await.status(), StatusCode::NOT_FOUND);
    }
    carry_out(
        &app,
        json!({"type": "create_link", "id": id, "access": "read"}),
    )
    .await;
    let (link, token) = NOTE.last_link(&app, &id).await;
    let shared = text(reader.get(&format!("{page}?link={token}")).await).await;
    assert!(shared.contains("Buy milk"), "{shared}");
    let (_, stream) = shared.split_once("data-stream=\"").expect("its stream");
    let (stream, _) = stream.split_once('"').expect("the end of the address");
    let mut shared = reader.stream(stream, None).await;
    shared.next_with("Buy milk").await;

    let rewrite = json!({"type": "rewrite", "id": id, "text": "Buy bread"});
    let (status, refusal) = reader.post("note", rewrite.clone()).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{refusal}");
    carry_out(&app, rewrite).await;
    mine.next_with("Buy bread").await;
    shared.next_with("Buy bread").await;

    carry_out(&app, json!({"type": "revoke_link", "id": id, "link": link})).await;
    carry_out(&app, json!({"type": "rewrite", "id": id, "text": "Secret"})).await;
    mine.next_with("Secret").await;
    let rest = shared.rest().await.expect("the stream ends");
    assert!(rest.iter().any(|event| event.event == "datastar-reload"));
    assert!(rest.iter().all(|event| !event.data.contains("Secret")));
    let revoked = reader.get(&format!("{page}?link={token}")).await;
    assert_eq!(revoked.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn remarks_on_a_note_need_the_right_to_edit_it() {
    let app = TestApp::init().await;
    let note = NOTE.create(&app, "Buy milk").await;
    let remark = json!({"type": "create", "note": note, "text": "Two bottles"});
    let (status, created) = app.post("remark", remark.clone()).await;
    assert_eq!(status, StatusCode::OK, "{created}");
    let visitor = app.stranger();
    let (status, refusal) = visitor.post("remark", remark.clone()).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{refusal}");
    for (access, expected) in [("read", StatusCode::FORBIDDEN), ("edit", StatusCode::OK)] {
        let share = json!({"type": "create_link", "id": note, "access": access});
        carry_out(&app, share).await;
        let (_, token) = NOTE.last_link(&app, &note).await;
        let command = format!("remark?link={token}");
        let (status, answer) = visitor.post(&command, remark.clone()).await;
        assert_eq!(status, expected, "{answer}");
        let path = format!("/notes/{note}?link={token}");
        let page = text(visitor.get(&path).await).await;
        assert!(page.contains(">Two bottles<"), "{page}");
        assert_eq!(page.contains("New remark"), access == "edit", "{page}");
        let sent = visitor.form(Request::post(path), "text=Three").await;
        let is_done = expected == StatusCode::OK;
        assert_eq!(sent.status() == StatusCode::SEE_OTHER, is_done);
    }
    let remarks = body(app.get(&format!("/api/remarks?note={note}")).await).await;
    let texts = remarks["remarks"].as_array().expect("remarks").iter();
    let texts: Vec<_> = texts.map(|remark| &remark["text"]).collect();
    assert_eq!(texts, ["Two bottles", "Two bottles", "Three"]);
}

#[tokio::test]
async fn remarks_are_live_on_the_page_of_their_note() {
    let app = TestApp::init().await;
    let page = text(app.get("/").await).await;
    let (_, stream) = page.split_once("data-stream=\"").expect("its stream");
    let (stream, _) = stream.split_once('"').expect("the end of the address");
    let mut stream = app.stream(stream, None).await;
    assert_eq!(stream.next().await.data, "elements <ul id=\"lines\"></ul>");
    for text in ["One", "Two"] {
        let sent = app.form(Request::post("/"), format!("text={text}")).await;
        assert_eq!(sent.status(), StatusCode::SEE_OTHER);
        let added = stream.next().await.data;
        assert!(
            added.starts_with("selector #lines\nmode append\n"),
            "{added}"
        );
        assert!(added.contains(&format!(">{text}</li>")), "{added}");
    }
    let (_, closed) = app.post("remarks", json!({"type": "close_all"})).await;
    assert_eq!(closed["changed"], 2);
    let closed = stream.next().await.data;
    assert!(closed.contains("class=\"closed\""), "{closed}");
}

#[tokio::test]
async fn remark_with_the_id_of_a_note_changes_no_line_of_that_note() {
    let app = TestApp::init().await;
    let id = NOTE.create(&app, "Mine").await;
    let stranger = app.stranger();
    for command in [
        json!({"type": "create", "id": id, "text": "Theirs"}),
        json!({"type": "rewrite", "id": id, "text": "Theirs, too"}),
        json!({"type": "delete", "id": id}),
    ] {
        let (status, answer) = stranger.post("remark", command).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let page = text(app.get(&format!("/notes/{id}")).await).await;
        assert!(page.contains(">Mine</li>"), "{page}");
        assert!(!page.contains("Theirs"), "{page}");
    }
}

#[tokio::test]
async fn events_of_a_note_reach_programs_of_its_owner_only() {
    let app = TestApp::init().await;
    let id = NOTE.create(&app, "Mine").await;
    let reader = app.stranger();
    let theirs = NOTE.create(&reader, "Theirs").await;
    for (caller, note) in [(&app, &id), (&reader, &theirs)] {
        let mut events = caller.stream("/api/events?after=0", None).await;
        let heard: Value = serde_json::from_str(&events.next().await.data).expect("JSON");
        assert_eq!(heard["aggregate_id"], **note);
        // The other note's events would have come in between.
        carry_out(&app, json!({"type": "rewrite", "id": id, "text": note})).await;
        carry_out(
            &reader,
            json!({"type": "rewrite", "id": theirs, "text": note}),
        )
        .await;
        let heard: Value = serde_json::from_str(&events.next().await.data).expect("JSON");
        assert_eq!(
            (&heard["aggregate_id"], &heard["sequence"]),
            (&json!(note), &json!(1))
        );
    }
}

#[tokio::test]
async fn site_has_only_the_pages_of_its_features() {
    let setup = Setup {
        site_features: vec![],
        ..Setup::default()
    };
    let app = TestApp::with(setup).await;
    for path in ["/", "/notes", "/api/remarks"] {
        assert_eq!(
            app.get(path).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    assert_eq!(app.get("/api/session").await.status(), StatusCode::OK);
}
