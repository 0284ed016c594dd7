use std::time::Duration;

use futures::StreamExt;

use crate::app::{TestApp, text};

const STREAM: &str = "/api/sse/todos";

#[tokio::test]
async fn the_whole_list_comes_first_and_then_every_change() {
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
    assert!(whole.data.starts_with("elements <form id=\"toggle-all\""));
    assert!(whole.data.contains("<section id=\"todos\""));
    assert!(whole.data.contains(">Buy milk<"));

    app.create("Call Ada").await;
    let summary = events.next().await;
    assert_eq!(summary.id, "", "the change is not complete yet");
    assert!(summary.data.contains("<strong>2</strong> items left"));
    let added = events.next().await;
    assert_eq!(added.id, "2");
    assert!(
        added
            .data
            .starts_with("selector #todo-list\nmode append\nelements <li")
    );
    assert!(added.data.contains(">Call Ada<"));
    assert!(
        !added.data.contains("Buy milk"),
        "the patch has only the change"
    );

    app.command(format!(r#"{{"type":"complete","id":"{milk}"}}"#))
        .await;
    let changed = events.next().await;
    assert_eq!(changed.id, "3");
    assert!(changed.data.contains("class=\"completed\""));
    assert!(changed.data.contains("<strong>1</strong> item left"));

    app.command(format!(r#"{{"type":"delete","id":"{milk}"}}"#))
        .await;
    assert_eq!(events.next().await.id, "");
    let removed = events.next().await;
    assert_eq!(removed.id, "4");
    assert_eq!(removed.data, format!("selector #todo-{milk}\nmode remove"));
}

#[tokio::test]
async fn subscriber_that_comes_back_gets_missed_changes_as_one() {
    let app = TestApp::init().await;
    // A view without subscribers draws no changes, and keeps none.
    let mut stays = app.stream(STREAM, None).await;
    // The whole list is drawn from the read model, which is ahead of the view. All further ids
    // are those of changes that the view has published.
    assert_eq!(stays.next().await.id, "0");
    for text in ["One", "Two", "Three"] {
        app.create(text).await;
    }
    while stays.next().await.id != "3" {}
    let mut events = app.stream(STREAM, Some("1")).await;
    let summary = events.next().await;
    assert_eq!(summary.id, "");
    assert!(summary.data.contains("<strong>3</strong>"));
    let added = events.next().await;
    assert_eq!(added.id, "3");
    assert!(added.data.contains(">Two<") && added.data.contains(">Three<"));
    assert!(!added.data.contains(">One<"));
    app.create("Four").await;
    assert!(events.next().await.data.contains("<strong>4</strong>"));
    assert!(events.next().await.data.contains(">Four<"));
}

#[tokio::test]
async fn subscriber_of_a_list_gets_the_number_of_people() {
    let app = TestApp::init().await;
    let page = text(app.get("/").await).await;
    assert!(page.contains("<p class=\"presence\" id=\"presence\"></p>"));
    let mut one = app.stream(STREAM, None).await;
    let told = one.next_presence().await;
    assert!(told.data.contains(">Only you are here<"), "{}", told.data);
    let filtered = format!("{STREAM}?show=active");
    let mut other = app.stream(&filtered, None).await;
    while !one
        .next_presence()
        .await
        .data
        .contains(">2 people are here<")
    {}
    while !other.next_presence().await.data.contains(">2 people") {}
    drop(other);
    let told = one.next_presence().await;
    assert!(told.data.contains(">Only you are here<"), "{}", told.data);
}

#[tokio::test]
async fn subscriber_that_missed_nothing_waits_for_the_next_change() {
    let app = TestApp::init().await;
    app.create("One").await;
    let mut events = app.stream(STREAM, Some("1")).await;
    app.create("Two").await;
    assert!(events.next().await.data.contains("items left"));
    assert!(events.next().await.data.contains(">Two<"));
}

#[tokio::test]
async fn invalid_event_id_gets_the_whole_list() {
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
        assert!(whole.data.contains("<section id=\"todos\""), "{id:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn silent_stream_sends_a_sign_of_life() {
    let app = TestApp::init().await;
    let response = app.get(STREAM).await;
    let mut body = response.into_body().into_data_stream();
    // The list, and the number of people.
    for _ in 0..2 {
        body.next().await.expect("a frame").expect("bytes");
    }
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
    let mut todos = app.stream(STREAM, None).await;
    let mut raw = app.stream("/api/events", None).await;
    todos.next().await;
    app.shutdown.cancel();
    assert!(todos.ends().await);
    assert!(raw.ends().await);
}
