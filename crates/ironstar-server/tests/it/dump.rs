//! A database from a dump by SQLite's own tools.

use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::process::{Server, database};
use crate::programs::installed;

#[tokio::test]
async fn a_server_starts_on_a_database_that_was_dumped_and_loaded() {
    let test = "a_server_starts_on_a_database_that_was_dumped_and_loaded";
    let Some(sqlite3) = installed(test, &["sqlite3"]) else {
        return;
    };
    let (before, after) = (TempDir::new(), TempDir::new());
    let (before, after) = (before.expect("a folder"), after.expect("a folder"));
    let mut server = Server::start(&before);
    let id = server.create("Buy milk").await;
    let cookie = server.begin_session().await;
    server.stop();

    let mut dump = Command::new(&sqlite3)
        .arg(database(&before))
        .arg(".dump")
        .stdout(Stdio::piped())
        .spawn()
        .expect("sqlite3 runs");
    let loaded = Command::new(&sqlite3)
        .arg("-bail")
        .arg(database(&after))
        .stdin(dump.stdout.take().expect("its output"))
        .status();
    assert!(loaded.expect("sqlite3 runs").success());
    assert!(dump.wait().expect("its status").success());

    let mut server = Server::start(&after);
    server.resume_session(&cookie);
    let (status, answer) = server.command(&json!({"type": "close", "id": id})).await;
    assert!(status.is_success(), "{answer}");
    let page = server.client.get(&server.url).send().await.expect("a page");
    let page = page.text().await.expect("text");
    assert_eq!(page.matches("class=\"closed\"").count(), 1);
}
