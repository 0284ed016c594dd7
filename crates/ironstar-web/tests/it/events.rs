use axum::http::StatusCode;
use futures::StreamExt;
use ironstar_fixtures::note::OPEN;
use serde_json::{Value, json};

use crate::app::{TestApp, json};

async fn close(app: &TestApp, id: &str) {
    let (status, _) = app
        .command(json!({"type": "close", "id": id}).to_string())
        .await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn events_are_sent_as_envelopes() {
    let app = TestApp::init().await;
    let id = app.create("Buy milk").await;
    let mut events = app.stream("/api/events?after=0", None).await;
    let event = events.next().await;
    assert_eq!((&*event.event, &*event.id), ("created", "1"));
    let envelope: Value = serde_json::from_str(&event.data).expect("JSON");
    assert_eq!(envelope["position"], 1);
    assert_eq!(envelope["aggregate_type"], "Remark");
    assert_eq!(envelope["aggregate_id"], id);
    assert_eq!(envelope["sequence"], 0);
    assert_eq!(envelope["event_type"], "created");
    assert_eq!(envelope["schema_version"], 1);
    assert_eq!(
        envelope["payload"],
        json!({"type": "created", "text": "Buy milk", "note": OPEN})
    );
    assert_eq!(envelope["metadata"]["parent"], format!("Note/{OPEN}"));
    assert!(envelope["metadata"]["event_id"].is_string());
    assert!(
        envelope["created_at"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z'))
    );
}

#[tokio::test]
async fn a_stream_begins_where_it_is_told_to() {
    for (query, last_event_id, first) in [
        ("?after=0", None, "1"),
        ("?after=1", None, "2"),
        ("?after=3", None, "4"),
        ("", None, "4"),
        ("", Some("1"), "2"),
        ("?after=0", Some("2"), "3"),
        ("?after=2", Some("unreadable"), "0"),
        ("", Some("4"), "0"),
    ] {
        let app = TestApp::init().await;
        for text in ["One", "Two", "Three"] {
            app.create(text).await;
        }
        let path = format!("/api/events{query}");
        let mut events = app.stream(&path, last_event_id).await;
        app.create("Four").await;
        let event = events.next().await;
        assert_eq!(event.id, first, "{query} {last_event_id:?}");
        // A program cannot continue from a place that the log does not have.
        let is_reset = first == "0";
        assert_eq!(
            event.event == "log-reset",
            is_reset,
            "{query} {last_event_id:?}"
        );
        if is_reset {
            assert_eq!(event.data, r#"{"reason":"other-history"}"#);
            assert_eq!(events.next().await.id, "1", "{query} {last_event_id:?}");
        }
    }
}

#[tokio::test]
async fn a_stream_is_filtered_by_key() {
    let app = TestApp::init().await;
    let one = app.create("One").await;
    let two = app.create("Two").await;
    close(&app, &one).await;
    close(&app, &two).await;
    for (key, ids) in [
        (format!("events/Remark/{two}"), vec!["2", "4"]),
        ("events/Remark/**".to_owned(), vec!["1", "2", "3", "4"]),
        (format!("events/*/{one}"), vec!["1", "3"]),
        ("**".to_owned(), vec!["1", "2", "3", "4"]),
        (format!("events/Note/{OPEN}/**"), vec!["1", "2", "3", "4"]),
        (format!("events/Note/*/Remark/{two}"), vec!["2", "4"]),
    ] {
        let mut events = app
            .stream(&format!("/api/events?key={key}&after=0"), None)
            .await;
        for id in ids {
            assert_eq!(events.next().await.id, id, "{key}");
        }
    }
    // Events that do not match are not sent: the first event of this stream is the last one.
    let id = "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e";
    let path = format!("/api/events?key=events/Remark/{id}&after=0");
    let mut last = app.stream(&path, None).await;
    let create = json!({"type": "create", "id": id, "text": "Last"});
    app.command(create.to_string()).await;
    assert_eq!(last.next().await.id, "5");
}

#[tokio::test]
async fn a_bad_query_is_refused() {
    let app = TestApp::init().await;
    for (query, code) in [
        ("key=", "invalid-key-expression"),
        ("key=events//x", "invalid-key-expression"),
        ("key=events/a*", "invalid-key-expression"),
        ("key=a&key=b", "invalid-value"),
        ("aftr=1", "invalid-value"),
        ("after=", "invalid-position"),
        ("after=-1", "invalid-position"),
        ("after=%2B0", "invalid-position"),
        ("after=one", "invalid-position"),
        ("after=1", "invalid-position"),
        ("after=1.k3f9a", "invalid-position"),
        ("after=0.k3f9a2", "invalid-position"),
    ] {
        let response = app.get(&format!("/api/events?{query}")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
        let problem = json(response).await;
        assert_eq!(problem["type"], format!("/problems/{code}"), "{query}");
    }
}

#[tokio::test]
async fn a_stream_says_at_once_where_it_begins() {
    let app = TestApp::init().await;
    app.create("One").await;
    let response = app.get("/api/events").await;
    let mut body = response.into_body().into_data_stream();
    let first = body.next().await.expect("a frame").expect("bytes");
    let place = app.store_log().await[0].place();
    assert_eq!(&first[..], format!("id: {place}\n\n").as_bytes());
}
