//! The live view of a list.

use crate::features;

const STREAM: &str = "/api/sse/todos";

#[tokio::test]
async fn the_whole_list_comes_first_and_then_every_change() {
    let app = features::app().await;
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
    let app = features::app().await;
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
