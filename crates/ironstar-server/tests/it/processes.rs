//! Process managers in the real server.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::process::{DEADLINE, Server, database, database_url, rows, server};
use crate::projections::{remarks, said};

const STEPS: &str = "SELECT id, aggregate_type, sequence, event_type, payload FROM events
     WHERE event_type = 'closed' OR aggregate_type = 'Step'";

fn start(directory: &TempDir, patience: &str) -> Server {
    let url = database_url(directory);
    let options = ["--database-url", &url, "--close-remarks-after", patience];
    Server::start_with(server().args(options))
}

/// Waits until the process manager that closes remarks has these steps and timers.
fn wait_for(directory: &TempDir, pending: &str) {
    let since = Instant::now();
    loop {
        let said = said(directory, &["status"]);
        let mut lines = said.lines();
        lines.find(|line| line.starts_with("closing, version 1: live"));
        if lines.next() == Some(&format!("    pending: {pending}")) {
            return;
        }
        assert!(since.elapsed() < DEADLINE, "{said}");
    }
}

/// Returns true for each remark that is closed.
async fn are_closed(server: &Server) -> Vec<bool> {
    let remarks = remarks(server, "").await;
    let is_closed = |remark: &serde_json::Value| remark["is_closed"] == true;
    remarks.iter().map(is_closed).collect()
}

#[tokio::test]
async fn remark_is_closed_once_also_across_kills() {
    let directory = TempDir::new().expect("a directory");
    let server = start(&directory, "3600");
    let id = server.create("Buy milk").await;
    let rewrite = json!({"type": "rewrite", "id": id, "text": "Buy oat milk"});
    assert_eq!(server.command(&rewrite).await.0, StatusCode::OK);
    wait_for(&directory, "0 steps, 1 timer");
    server.signal("KILL");
    server.wait();

    let server = start(&directory, "1");
    let since = Instant::now();
    while are_closed(&server).await != [true] {
        assert!(since.elapsed() < DEADLINE, "the remark is never closed");
        sleep(Duration::from_millis(20)).await;
    }
    wait_for(&directory, "0 steps, 0 timers");
    server.signal("KILL");
    server.wait();

    let server = start(&directory, "0");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(are_closed(&server).await, [true]);
    let found = rows(&database(&directory), STEPS).await;
    let found: Vec<_> = found
        .iter()
        .map(|(id, of, sequence, event, _)| (*id, &**of, *sequence, &**event))
        .collect();
    assert_eq!(
        found,
        [(3, "Remark", 2, "closed"), (4, "Step", 0, "carried_out")]
    );
}

#[tokio::test]
async fn no_remark_is_closed_before_its_time() {
    let directory = TempDir::new().expect("a directory");
    let patient = start(&directory, "3600");
    patient.create("Buy milk").await;
    let other = TempDir::new().expect("a directory");
    // Without the option, the time is a month.
    let by_default = Server::start(&other);
    by_default.create("Buy milk").await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(are_closed(&patient).await, [false]);
    assert_eq!(are_closed(&by_default).await, [false]);
}
