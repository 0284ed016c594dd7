//! The operator's tasks on projections, with the real program.

use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tempfile::TempDir;

use crate::process::{Server, database, database_url, run_to_end, server};

pub(crate) fn projections(directory: &TempDir, task: &[&str]) -> Output {
    let url = database_url(directory);
    let mut command = server();
    command
        .arg("projections")
        .args(task)
        .args(["--database-url", &url]);
    run_to_end(&mut command)
}

/// Returns the output of a task that succeeds.
pub(crate) fn said(directory: &TempDir, task: &[&str]) -> String {
    let output = projections(directory, task);
    assert!(output.status.success(), "{task:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Returns the reason of a task that fails.
fn refused(directory: &TempDir, task: &[&str]) -> String {
    let output = projections(directory, task);
    assert_eq!(output.status.code(), Some(1), "{task:?}: {output:?}");
    String::from_utf8(output.stderr).expect("text")
}

pub(crate) async fn connect(directory: &TempDir) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(database(directory))
        .create_if_missing(true);
    options.connect().await.expect("a database")
}

pub(crate) async fn change(directory: &TempDir, statements: &[&'static str]) {
    let mut connection = connect(directory).await;
    for statement in statements {
        let done = sqlx::query(*statement).execute(&mut connection).await;
        done.expect(statement);
    }
}

/// Returns the remarks on the open note.
pub(crate) async fn remarks(server: &Server, query: &str) -> Vec<Value> {
    let url = format!("{}/api/remarks?{query}", server.url);
    let response = server.client.get(url).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let answer: Value = response.json().await.expect("JSON");
    answer["remarks"].as_array().expect("remarks").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_under_load_fails_no_request_and_changes_nothing() {
    let directory = TempDir::new().expect("a directory");
    let server = Arc::new(Server::start(&directory));
    let mut ids = Vec::new();
    for number in 0..50 {
        ids.push(server.create(&format!("Remark {number}")).await);
    }
    let done = Arc::new(AtomicBool::new(false));
    let load = {
        let (server, done) = (Arc::clone(&server), Arc::clone(&done));
        tokio::spawn(async move {
            let mut rounds = 0;
            while !done.load(SeqCst) {
                for id in &ids {
                    let text = format!("Round {rounds}");
                    let rewrite = json!({"type": "rewrite", "id": id, "text": text});
                    assert_eq!(server.command(&rewrite).await.0, StatusCode::OK);
                    remarks(&server, "").await;
                }
                rounds += 1;
            }
            rounds
        })
    };
    for _ in 0..3 {
        let said = said(&directory, &["rebuild", "remarks"]);
        assert!(
            said.starts_with("remarks: the new read model is live"),
            "{said}"
        );
    }
    done.store(true, SeqCst);
    assert!(load.await.expect("no request has failed") > 0);
    let before = remarks(&server, "").await;
    said(&directory, &["rebuild", "remarks"]);
    assert_eq!(remarks(&server, "").await, before);
    let status = said(&directory, &["status"]);
    assert_eq!(
        status.matches("remarks, version 1: live").count(),
        1,
        "{status}"
    );
    assert!(!status.contains("in progress"), "{status}");
}

#[tokio::test]
async fn a_read_model_is_rebuilt_without_a_server_too() {
    let directory = TempDir::new().expect("a directory");
    let server = Server::start(&directory);
    server.create("Buy milk").await;
    remarks(&server, "").await;
    server.stop();
    change(
        &directory,
        &["UPDATE documents SET body = json_set(body, '$.text', 'Spoilt')"],
    )
    .await;
    let said = said(&directory, &["rebuild", "remarks"]);
    assert!(
        said.starts_with("remarks: the new read model is live"),
        "{said}"
    );
    let server = Server::start(&directory);
    assert_eq!(remarks(&server, "").await[0]["text"], "Buy milk");
}

#[tokio::test]
async fn status_says_up_to_date_when_no_event_after_the_checkpoint_concerns_a_projection() {
    let directory = TempDir::new().expect("a directory");
    let server = Server::start(&directory);
    server.create("Buy milk").await;
    server.create("Buy bread").await;
    remarks(&server, "at_least=2").await;
    server.stop();
    // As it is until a running projection stores its checkpoint behind the events that do not
    // concern it.
    change(&directory, &["UPDATE projections SET checkpoint = 0"]).await;
    let status = said(&directory, &["status"]);
    let lines: Vec<&str> = status.lines().collect();
    let is_there = |line| assert!(lines.contains(&line), "{status}");
    is_there("the log ends at position 2");
    is_there("notes, version 1: live, at position 2 (100 %), up to date");
    is_there("remarks, version 1: live, at position 0 (0 %)");
}

#[tokio::test]
async fn unreadable_event_is_reported_and_skipped_on_request() {
    let directory = TempDir::new().expect("a directory");
    let server = Server::start(&directory);
    let id = server.create("Sound").await;
    remarks(&server, "").await;
    server.stop();
    // As if a newer version of ironstar had written to the log.
    change(
        &directory,
        &["INSERT INTO events
           SELECT 2, aggregate_type, aggregate_id, 1, 'painted', 1, '{\"type\":\"painted\"}',
                  metadata, created_at FROM events"],
    )
    .await;
    let server = Server::start(&directory);
    let other = json!({"type": "create", "text": "Other remarks go on"});
    assert_eq!(server.command(&other).await.0, StatusCode::OK);
    let rewrite = json!({"type": "rewrite", "id": id, "text": "x"});
    let (status, problem) = server.command(&rewrite).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    assert_eq!(problem["type"], "/problems/newer-version");
    let url = format!("{}/api/remarks", server.url);
    let behind = server.client.get(url).send().await.expect("an answer");
    assert_eq!(behind.status(), StatusCode::SERVICE_UNAVAILABLE);

    let status = said(&directory, &["status"]);
    let reason = "stuck at position 2, a \"painted\" event: the \"painted\" event (schema version 1) \
                  at position 2 cannot be read: no event of this type is known (tried ";
    assert!(status.contains(reason), "{status}");
    assert!(
        status.contains("notes, version 1: live, at position"),
        "{status}"
    );
    let stuck = refused(&directory, &["skip", "remarks", "3"]);
    assert!(
        stuck.contains("nothing has failed at position 3"),
        "{stuck}"
    );
    said(&directory, &["retry", "remarks"]);
    loop {
        // The event must fail again before it can be skipped.
        let skip = projections(&directory, &["skip", "remarks", "2"]);
        if skip.status.success() {
            break;
        }
    }
    while !said(&directory, &["status"]).contains("remarks, version 1: live, at position 3") {}
    let shown = remarks(&server, "").await;
    assert_eq!(shown[1]["text"], "Other remarks go on");
    let status = said(&directory, &["status"]);
    assert!(
        status.contains("skipped position 2, a \"painted\" event"),
        "{status}"
    );
}

#[tokio::test]
async fn retry_tries_all_failed_read_models_again() {
    let directory = TempDir::new().expect("a directory");
    let server = Server::start(&directory);
    remarks(&server, "").await;
    server.stop();
    change(
        &directory,
        &[
            "INSERT INTO projections (name, version, state, checkpoint, skipped)
           SELECT name, version, 'building', 0, '[]' FROM projections
           WHERE name IN ('notes', 'remarks')",
        ],
    )
    .await;
    for failed in ["live", "building", ""] {
        let mut connection = connect(&directory).await;
        sqlx::query(
            "UPDATE projections SET failure = json_object('position', 1, 'event_type', 'painted',
                 'reason', 'no', 'attempts', 9, 'failed_at', '2026-11-20T10:00:00Z')
             WHERE name = 'notes' OR name = 'remarks' AND ?1 IN (state, '')",
        )
        .bind(failed)
        .execute(&mut connection)
        .await
        .expect("failed");
        said(&directory, &["retry", "remarks"]);
        let status = said(&directory, &["status"]);
        let stuck: Vec<&str> = status
            .lines()
            .zip(status.lines().skip(1))
            .filter(|(_, reason)| reason.contains("stuck"))
            .map(|(build, _)| build)
            .collect();
        assert!(
            matches!(stuck[..], [live, other] if live.starts_with("notes, version 1: live")
                && other.starts_with("notes, version 1: in progress")),
            "{failed:?}: {status}"
        );
    }
}

#[tokio::test]
async fn impossible_task_is_refused_with_the_reason() {
    let directory = TempDir::new().expect("a directory");
    let nowhere = refused(&directory, &["status"]);
    assert!(nowhere.contains("there is no database"), "{nowhere}");
    assert!(!database(&directory).exists());
    let server = Server::start(&directory);
    remarks(&server, "").await;
    server.stop();
    let unknown = refused(&directory, &["rebuild", "nope"]);
    assert!(unknown.contains("there is no projection \"nope\"; the projections are: notes, "));
    let idle = refused(&directory, &["cancel", "remarks"]);
    assert!(idle.contains("remarks: no build is in progress"), "{idle}");
    let sound = refused(&directory, &["retry", "remarks"]);
    assert!(sound.contains("remarks: nothing has failed"), "{sound}");
    let list = said(&directory, &["list"]);
    assert!(
        list.contains("remarks                1  version 1"),
        "{list}"
    );
    assert!(
        list.contains("closing                1  version 1"),
        "{list}"
    );
}
