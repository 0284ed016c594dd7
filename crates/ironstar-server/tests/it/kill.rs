//! Kills the server under load, again and again, with a witness beside it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Server, database, rows};

const ROUNDS: u64 = 6;
const CLIENTS: u64 = 8;

/// Whatever was acknowledged before a kill is there after it, once; what was
/// under way is there whole or not at all; and a command that is sent again
/// with its key after the restart is not carried out twice.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_is_doubled() {
    let directory = TempDir::new().expect("a directory");
    let witness: Arc<Mutex<HashSet<String>>> = Arc::default();
    let mut unanswered: Vec<String> = Vec::new();
    for round in 0..ROUNDS {
        let server = Server::start(&directory);
        for key in unanswered.drain(..) {
            let answer = send(&server.client, &server.url, &key).await;
            witness
                .lock()
                .expect("the lock")
                .insert(answer.expect("it is up"));
        }
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (http, url) = (server.client.clone(), server.url.clone());
                let witness = Arc::clone(&witness);
                tokio::spawn(async move {
                    for number in 0.. {
                        let key = format!("{round}-{client}-{number}");
                        match send(&http, &url, &key).await {
                            Some(id) => witness.lock().expect("the lock").insert(id),
                            None => return key,
                        };
                    }
                    unreachable!("a client ends with its server")
                })
            })
            .collect();
        // Killed wherever it is by then: that is the point.
        tokio::time::sleep(Duration::from_millis(100 + 37 * round)).await;
        server.signal("KILL");
        server.wait();
        for client in clients {
            unanswered.push(client.await.expect("no panic"));
        }
    }
    let server = Server::start(&directory);
    for key in unanswered {
        let answer = send(&server.client, &server.url, &key).await;
        witness
            .lock()
            .expect("the lock")
            .insert(answer.expect("it is up"));
    }
    server.stop();

    let stored = rows(
        &database(&directory),
        "SELECT id, aggregate_id, sequence, event_type, payload FROM events ORDER BY id",
    )
    .await;
    let positions: Vec<i64> = stored.iter().map(|row| row.0).collect();
    let expected: Vec<i64> = (1..).take(stored.len()).collect();
    assert_eq!(positions, expected, "positions are contiguous");
    let ids: Vec<String> = stored.into_iter().map(|row| row.1).collect();
    let unique: HashSet<String> = ids.iter().cloned().collect();
    assert_eq!(ids.len(), unique.len(), "nothing is doubled");
    let witness = witness.lock().expect("the lock");
    assert!(witness.len() as u64 > ROUNDS * CLIENTS, "there was load");
    // Every key was answered in the end, so both are the same.
    assert_eq!(
        unique, *witness,
        "nothing is lost, and nothing is left over"
    );
}

/// Creates a todo under a key. Returns its id, or nothing if the server is gone.
async fn send(http: &Client, url: &str, key: &str) -> Option<String> {
    let response = http
        .post(format!("{url}/api/commands/todo"))
        .header("idempotency-key", key)
        .json(&json!({"type": "create", "text": key}))
        .send()
        .await
        .ok()?;
    let status = response.status();
    let answer: Value = response.json().await.ok()?;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["id"].as_str().map(str::to_owned)
}
