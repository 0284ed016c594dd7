use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;

use crate::process::{Server, database, rows};

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_concurrent_closings_succeeds() {
    const ROUNDS: usize = 1_000;

    let directory = TempDir::new().expect("a directory");
    let server = Server::start(&directory);
    for round in 0..ROUNDS {
        let id = server.create("Contested").await;
        let close = json!({"type": "close", "id": id});
        let (one, other) = futures::join!(server.command(&close), server.command(&close));
        let mut statuses = [one.0, other.0];
        statuses.sort_unstable();
        assert_eq!(
            statuses,
            [StatusCode::OK, StatusCode::CONFLICT],
            "round {round}: {} {}",
            one.1,
            other.1
        );
    }
    let closed = rows(
        &database(&directory),
        "SELECT id, aggregate_type, sequence, event_type, aggregate_id FROM events
         WHERE event_type = 'closed'",
    )
    .await;
    assert_eq!(closed.len(), ROUNDS);
    assert!(closed.iter().all(|row| row.2 == 1));
}
