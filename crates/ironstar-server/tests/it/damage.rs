//! What a server does with a log that is damaged.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Server, database, rows};

#[tokio::test]
async fn a_damaged_event_stops_the_page_and_nothing_else() {
    let directory = TempDir::new().expect("a directory");
    let server = Server::start(&directory);
    server.create("Sound").await;
    let damaged = server.create("Damaged").await;
    server.stop();
    for statement in [
        "DROP TRIGGER events_are_never_updated",
        "UPDATE events SET metadata = '{}' WHERE id = 2",
    ] {
        rows(&database(&directory), statement).await;
    }

    let server = Server::start(&directory);
    let page = server
        .client
        .get(&server.url)
        .send()
        .await
        .expect("an answer");
    assert_eq!(page.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let problem: Value = page.json().await.expect("JSON");
    assert_eq!(problem["type"], "/problems/unreadable-history");

    let (status, problem) = server
        .command(&json!({"type": "complete", "id": damaged}))
        .await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{problem}");
    server.create("Other todos go on").await;
    let mut events = server.stream("/api/events?after=0").await;
    assert_eq!(events.next().await.id, "1", "what comes before it is sent");
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");
    assert!(log.contains("the event at position 2 is damaged"), "{log}");
}
