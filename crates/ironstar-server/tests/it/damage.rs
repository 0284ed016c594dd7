//! What a server does with a log that is damaged.

use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;

use crate::process::{DEADLINE, Server, database, rows};

#[tokio::test]
async fn a_damaged_event_stops_read_models_where_it_is_and_nothing_else() {
    let directory = TempDir::new().expect("a directory");
    let server = Server::start(&directory);
    server.create("Sound").await;
    let damaged = server.create("Damaged").await;
    let page = server.client.get(&server.url).send().await;
    assert_eq!(page.expect("an answer").status(), StatusCode::OK);
    server.stop();
    for statement in [
        "DROP TRIGGER events_are_never_updated",
        "UPDATE events SET metadata = '{}' WHERE id = 2",
    ] {
        rows(&database(&directory), statement).await;
    }

    // As if the read model had to be made anew.
    for statement in [
        "DELETE FROM documents",
        "UPDATE projections SET checkpoint = 0",
    ] {
        rows(&database(&directory), statement).await;
    }

    let server = Server::start(&directory);
    let page = server
        .client
        .get(&server.url)
        .header("accept", "text/html")
        .send()
        .await
        .expect("an answer");
    assert_eq!(page.status(), StatusCode::OK);
    let page = page.text().await.expect("text");
    assert!(page.contains("Sound"), "what comes before it is shown");
    assert!(page.contains("This page may be out of date"), "{page}");
    let stuck = |name: &str| {
        let [name, event_type, state] = [name, "unreadable", "live"].map(str::to_owned);
        (1, name, 2, event_type, state)
    };
    let builds = async || {
        rows(
            &database(&directory),
            "SELECT checkpoint, name, coalesce(failure ->> 'position', 0),
                    coalesce(failure ->> 'event_type', ''), state
             FROM projections ORDER BY name",
        )
        .await
    };
    // The page may know it a moment before it is written down.
    let start = std::time::Instant::now();
    while builds().await != [stuck("lists"), stuck("todos")] {
        assert!(start.elapsed() < DEADLINE, "{:?}", builds().await);
    }

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
