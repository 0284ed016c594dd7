use std::time::Duration;

use futures::StreamExt;

use serde_json::json;

use crate::app::{STREAM, TestApp};

#[tokio::test]
async fn the_whole_note_comes_first_and_then_every_change() {
    let app = TestApp::init().await;
    let milk = app.create("Buy milk").await;
    // Datastar sends its signals in the query.
    let path = format!("{STREAM}?datastar=%7B%7D");
    let mut events = app.stream(&path, None).await;
    let whole = events.next().await;
    assert_eq!(
        (&*whole.event, &*whole.id),
        ("datastar-patch-elements", "1")
    );
    assert!(whole.data.starts_with("elements <ul id=\"lines\">"));
    assert!(whole.data.contains(">Buy milk<"));

    app.create("Call Ada").await;
    let added = events.next().await;
    assert_eq!(added.id, "2");
    assert!(
        added
            .data
            .starts_with("selector #lines\nmode append\nelements <li")
    );
    assert!(added.data.contains(">Call Ada<"));
    assert!(
        !added.data.contains("Buy milk"),
        "the patch has only the change"
    );

    let close = json!({"type": "close", "id": milk});
    app.command(close.to_string()).await;
    let changed = events.next().await;
    assert_eq!(changed.id, "3");
    assert!(changed.data.contains("class=\"closed\""));

    let delete = json!({"type": "delete", "id": milk});
    app.command(delete.to_string()).await;
    let removed = events.next().await;
    assert_eq!(removed.id, "4");
    assert_eq!(removed.data, format!("selector #line-{milk}\nmode remove"));
}

#[tokio::test]
async fn subscriber_that_comes_back_gets_missed_changes_as_one() {
    let app = TestApp::init().await;
    // A view without subscribers draws no changes, and keeps none.
    let mut stays = app.stream(STREAM, None).await;
    // The whole note is drawn from the read model, which is ahead of the view. All further ids
    // are those of changes that the view has published.
    assert_eq!(stays.next().await.id, "0");
    let one = app.create("One").await;
    for text in ["Two", "Three"] {
        app.create(text).await;
    }
    let delete = json!({"type": "delete", "id": one});
    app.command(delete.to_string()).await;
    while stays.next().await.id != "4" {}
    let mut events = app.stream(STREAM, Some("1")).await;
    let removed = events.next().await;
    assert_eq!(removed.id, "", "the change is not complete yet");
    assert_eq!(removed.data, format!("selector #line-{one}\nmode remove"));
    let added = events.next().await;
    assert_eq!(added.id, "4");
    assert!(added.data.contains(">Two<") && added.data.contains(">Three<"));
    assert!(!added.data.contains(">One<"));
    app.create("Four").await;
    let added = events.next().await;
    assert!(added.data.contains(">Four<") && !added.data.contains(">Three<"));
}

#[tokio::test]
async fn subscriber_that_missed_nothing_waits_for_the_next_change() {
    let app = TestApp::init().await;
    app.create("One").await;
    let mut events = app.stream(STREAM, Some("1")).await;
    app.create("Two").await;
    assert!(events.next().await.data.contains(">Two<"));
}

#[tokio::test]
async fn invalid_event_id_gets_the_whole_note() {
    let app = TestApp::init().await;
    app.create("One").await;
    for id in [
        "",
        "abc",
        "-1",
        "1.5",
        "1.000000",
        "+1",
        "2",
        "18446744073709551615",
        "99999999999999999999999",
    ] {
        let mut events = app.stream(STREAM, Some(id)).await;
        let whole = events.next().await;
        assert_eq!(whole.id, "1", "{id:?}");
        assert!(whole.data.contains("<ul id=\"lines\""), "{id:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn silent_stream_sends_a_sign_of_life() {
    let app = TestApp::init().await;
    let response = app.get(STREAM).await;
    let mut body = response.into_body().into_data_stream();
    body.next().await.expect("the note").expect("bytes");
    let start = tokio::time::Instant::now();
    let comment = body.next().await.expect("a comment").expect("bytes");
    assert_eq!(&comment[..], b"event: datastar-alive\n\n");
    assert_eq!(start.elapsed().as_secs(), Duration::from_secs(15).as_secs());
}

#[tokio::test(start_paused = true)]
async fn streams_end_after_fifteen_to_thirty_minutes() {
    let app = TestApp::init().await;
    app.create("One").await;
    for path in [STREAM, "/api/events"] {
        let start = tokio::time::Instant::now();
        let response = app.get(path).await;
        let body = response.into_body().into_data_stream();
        body.for_each(|_| std::future::ready(())).await;
        let age = start.elapsed().as_secs();
        assert!((15 * 60..=30 * 60).contains(&age), "{path}: {age} s");
    }
}

#[tokio::test]
async fn streams_end_when_the_server_does() {
    let app = TestApp::init().await;
    let mut page = app.stream(STREAM, None).await;
    let mut raw = app.stream("/api/events", None).await;
    page.next().await;
    app.shutdown.cancel();
    assert!(page.ends().await);
    assert!(raw.ends().await);
}
