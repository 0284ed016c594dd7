//! Lists whose todos are all completed are archived, after the time that the operator chooses.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use super::{command, server, start};
use crate::process::{DEADLINE, Server, database, database_url, rows, run_to_end};

const STEPS: &str = "SELECT id, aggregate_type, sequence, event_type, payload FROM events
     WHERE event_type = 'archived' OR aggregate_type = 'Step'";

fn start_after(directory: &TempDir, patience: &str) -> Server {
    let url = database_url(directory);
    let options = [
        "--database-url",
        &url,
        "--archive-done-lists-after",
        patience,
    ];
    Server::start_with(server().args(options))
}

/// Creates a list whose only todo is completed. Returns its id.
async fn done_list(server: &Server) -> String {
    let create = json!({"type": "create", "name": "Groceries"});
    let (_, answer) = server.command_on("list", &create).await;
    let list = answer["id"].as_str().expect("an id");
    let create = json!({"type": "create", "text": "Buy milk", "list": list});
    let (status, answer) = command(server, &create).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let complete = json!({"type": "complete", "id": answer["id"]});
    assert_eq!(command(server, &complete).await.0, StatusCode::OK);
    list.to_owned()
}

/// Waits until the output of `projections status` contains these words.
fn wait_for(directory: &TempDir, words: &str) {
    let since = Instant::now();
    loop {
        let url = database_url(directory);
        let status = ["projections", "status", "--database-url", &url];
        let output = run_to_end(server().args(status));
        let said = String::from_utf8(output.stdout).expect("text");
        if said.contains(words) {
            return;
        }
        assert!(since.elapsed() < DEADLINE, "{said}");
    }
}

async fn archived(server: &Server) -> Vec<String> {
    let url = format!("{}/api/lists", server.url);
    let answer = server.client.get(url).send().await;
    let answer: Value = answer.expect("an answer").json().await.expect("JSON");
    let lists = answer["archived"].as_array().expect("lists").iter();
    lists
        .map(|list| list["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[tokio::test]
async fn a_done_list_is_archived_once_also_across_kills() {
    let directory = TempDir::new().expect("a directory");
    let mut server = start_after(&directory, "1h");
    let session = server.begin_session().await;
    let list = done_list(&server).await;
    wait_for(&directory, "pending: 0 steps, 1 timer");
    server.signal("KILL");
    server.wait();

    let mut server = start_after(&directory, "1s");
    server.resume_session(&session);
    let since = Instant::now();
    while archived(&server).await != [list.clone()] {
        assert!(since.elapsed() < DEADLINE, "the list is never archived");
        sleep(Duration::from_millis(20)).await;
    }
    wait_for(&directory, "pending: 0 steps, 0 timers");
    server.signal("KILL");
    server.wait();

    let mut server = start_after(&directory, "0s");
    server.resume_session(&session);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(archived(&server).await, [list]);
    let found = rows(&database(&directory), STEPS).await;
    let found: Vec<_> = found
        .iter()
        .map(|(id, of, sequence, event, _)| (*id, &**of, *sequence, &**event))
        .collect();
    assert_eq!(
        found,
        [(4, "List", 1, "archived"), (5, "Step", 0, "carried_out")]
    );
}

#[tokio::test]
async fn no_list_is_archived_with_option_never() {
    let directory = TempDir::new().expect("a directory");
    let mut server = start_after(&directory, "never");
    let session = server.begin_session().await;
    done_list(&server).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(archived(&server).await, Vec::<String>::new());
    server.signal("KILL");
    server.wait();
    // By default, a list is archived after 30 days.
    let mut server = start(&directory);
    server.resume_session(&session);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(archived(&server).await, Vec::<String>::new());
}
