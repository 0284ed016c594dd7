//! What a server does with a log that is damaged.

use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;

use crate::process::{DEADLINE, Server, database, rows};
use crate::projections::{change, projections, said, todos};

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
    let all = ["archive-done-lists", "lists", "todos"].map(stuck);
    while builds().await != all {
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

#[tokio::test]
async fn an_event_that_is_damaged_while_a_server_runs_stops_only_who_comes_to_it() {
    let directory = TempDir::new().expect("a directory");
    let server = Server::start(&directory);
    server.create("Sound").await;
    todos(&server, "").await;
    let mut live = server.stream("/api/events").await;
    // Its metadata lack the event's id.
    change(
        &directory,
        &["INSERT INTO events
           SELECT 2, aggregate_type, 'x' || aggregate_id, 0, event_type, schema_version, payload,
                  '{}', created_at FROM events"],
    )
    .await;
    server.create("Other todos go on").await;
    assert!(live.next_or_end().await.is_none(), "it ends in front of it");
    let mut behind = server.stream("/api/events?after=2").await;
    assert_eq!(behind.next().await.id, "3");

    let start = std::time::Instant::now();
    let status = async |wanted: &str| {
        while !said(&directory, &["status"]).contains(wanted) {
            assert!(start.elapsed() < DEADLINE, "{wanted}");
        }
    };
    status("stuck at position 2, a \"unreadable\" event: missing field").await;
    while !said(&directory, &["status"]).contains("todos, version 1: live, at position 3") {
        assert!(start.elapsed() < DEADLINE, "it is not left out");
        // It has to be stuck there before it can be left out.
        projections(&directory, &["skip", "todos", "2"]);
    }
    server.create("Live, behind it").await;
    assert_eq!(behind.next().await.id, "4");
    let shown = todos(&server, "at_least=4").await;
    assert_eq!(shown["todos"].as_array().expect("todos").len(), 3);
    status("lists, version 1: live, at position 1").await;
}
