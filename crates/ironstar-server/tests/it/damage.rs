//! A server with a damaged log.

use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;

use crate::process::{DEADLINE, Server, database, rows};
use crate::projections::{change, projections, remarks, said};

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

    // As if the read model had to be built again.
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
    assert!(page.contains("Sound"), "remarks before the event are shown");
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
    // The page may show the damage a moment before the database does.
    let start = std::time::Instant::now();
    let all = ["closing", "hand-over-guests", "notes", "remarks"].map(stuck);
    while builds().await != all {
        assert!(start.elapsed() < DEADLINE, "{:?}", builds().await);
    }

    let (status, problem) = server
        .command(&json!({"type": "close", "id": damaged}))
        .await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{problem}");
    server.create("Other remarks go on").await;
    let mut events = server.stream("/api/events?after=0").await;
    assert_eq!(events.next().await.id, "1", "events before it are sent");
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");
    assert!(log.contains("the event at position 2 is damaged"), "{log}");
}

#[tokio::test]
async fn event_damaged_while_server_runs_stops_only_its_readers() {
    let directory = TempDir::new().expect("a directory");
    let server = Server::start(&directory);
    server.create("Sound").await;
    remarks(&server, "").await;
    let mut live = server.stream("/api/events").await;
    // The metadata of the event lack its id.
    change(
        &directory,
        &["INSERT INTO events
           SELECT 2, aggregate_type, 'x' || aggregate_id, 0, event_type, schema_version, payload,
                  '{}', created_at FROM events"],
    )
    .await;
    server.create("Other remarks go on").await;
    assert!(live.next_or_end().await.is_none(), "the stream ends there");
    let mut behind = server.stream("/api/events?after=2").await;
    assert_eq!(behind.next().await.id, "3");

    let start = std::time::Instant::now();
    let status = async |wanted: &str| {
        while !said(&directory, &["status"]).contains(wanted) {
            assert!(start.elapsed() < DEADLINE, "{wanted}");
        }
    };
    status("stuck at position 2, a \"unreadable\" event: missing field").await;
    while !said(&directory, &["status"]).contains("remarks, version 1: live, at position 3") {
        assert!(start.elapsed() < DEADLINE, "the event is not skipped");
        // The projection must be stuck there before the event can be skipped.
        projections(&directory, &["skip", "remarks", "2"]);
    }
    server.create("Live, behind it").await;
    assert_eq!(behind.next().await.id, "4");
    let shown = remarks(&server, "at_least=4").await;
    assert_eq!(shown.len(), 3);
    status("notes, version 1: live, at position 1").await;
}
