//! A clock that is behind the log.

use reqwest::StatusCode;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

use crate::process::{Server, database};

#[tokio::test(flavor = "multi_thread")]
async fn server_warns_about_clock_behind_the_log_and_serves() {
    let directory = TempDir::new().expect("a directory");
    let server = Server::start(&directory);
    let id = server.create("Milk").await;
    let (_, log) = server.stop();
    assert!(!log.contains("the clock of this machine"), "{log}");
    let options = SqliteConnectOptions::new().filename(database(&directory));
    let mut raw = options.connect().await.expect("a connection");
    let from_later = "
        INSERT INTO events (id, aggregate_type, aggregate_id, sequence, event_type,
                            schema_version, payload, metadata, created_at)
        SELECT id + 1, aggregate_type, aggregate_id, sequence + 1, 'closed',
               1, '{\"type\":\"closed\"}', metadata, '2099-01-01T00:00:00.000Z'
        FROM events";
    let inserted = sqlx::query(from_later).execute(&mut raw).await;
    inserted.expect("inserted");
    raw.close().await.expect("closed");

    let server = Server::start(&directory);
    let reopen = json!({"type": "reopen", "id": id});
    let (status, answer) = server.command(&reopen).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let (_, log) = server.stop();
    assert!(log.contains("the clock of this machine shows"), "{log}");
    assert!(log.contains("2099-01-01"), "{log}");
    assert!(log.contains("set the clock"), "{log}");
}
