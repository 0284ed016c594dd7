//! The procedures of backup and restore in docs/BACKUP.md, each exactly as written there.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Server, database, rows};
use crate::programs::installed;

fn has_sqlite3(test: &str) -> bool {
    installed(test, &["sqlite3"]).is_some()
}

/// Runs command lines of the page in the folder of the database.
fn run(directory: &TempDir, line: &str) {
    let status = Command::new("sh")
        .args(["-e", "-c", line])
        .current_dir(directory)
        .status()
        .expect("it runs");
    assert!(status.success(), "{line}");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/BACKUP.md");
    let page = fs::read_to_string(page).expect("the page");
    for line in line.lines() {
        assert!(page.contains(line.trim()), "not on the page: {line}");
    }
}

async fn texts(directory: &TempDir) -> Vec<String> {
    let path = database(directory);
    let remarks = rows(
        &path,
        "SELECT id, payload ->> 'text', sequence, event_type, aggregate_type FROM events
         WHERE event_type = 'created' ORDER BY id",
    );
    remarks.await.into_iter().map(|remark| remark.1).collect()
}

/// Backs up a running server, adds a remark, and restores after the server has ended cleanly or
/// was killed.
async fn restores(backup: &str, restore: &str) {
    for signal in ["TERM", "KILL"] {
        let directory = TempDir::new().expect("a directory");
        let server = Server::start(&directory);
        server.create("Before").await;
        run(&directory, backup);
        server.create("After").await;
        server.signal(signal);
        server.wait();
        run(&directory, restore);
        let server = Server::start(&directory);
        assert_eq!(texts(&directory).await, ["Before"], "{backup}, {signal}");
        server.create("Later").await;
        server.stop();
    }
}

const RESTORE: &str = "rm -f ironstar.db-wal ironstar.db-shm
                       cp backup.db ironstar.db";

#[tokio::test]
async fn backup_command_of_sqlite3_can_be_restored() {
    if has_sqlite3("backup_command_of_sqlite3_can_be_restored") {
        restores("sqlite3 ironstar.db \".backup backup.db\"", RESTORE).await;
    }
}

#[tokio::test]
async fn vacuum_into_can_be_restored() {
    if has_sqlite3("vacuum_into_can_be_restored") {
        restores("sqlite3 ironstar.db \"VACUUM INTO 'backup.db'\"", RESTORE).await;
    }
}

#[tokio::test]
async fn copy_of_stopped_server_can_be_restored() {
    for signal in ["TERM", "KILL"] {
        let directory = TempDir::new().expect("a directory");
        let server = Server::start(&directory);
        server.create("Before").await;
        server.signal(signal);
        server.wait();
        run(
            &directory,
            "mkdir backup
                         cp -p ironstar.db* backup/",
        );
        let server = Server::start(&directory);
        server.create("After").await;
        server.signal("KILL");
        server.wait();
        run(
            &directory,
            "rm -f ironstar.db-wal ironstar.db-shm
                         cp -p backup/ironstar.db* .",
        );
        let server = Server::start(&directory);
        assert_eq!(texts(&directory).await, ["Before"], "{signal}");
        server.stop();
    }
}

/// The omitted step, the removal of the stale log, is the important one.
#[tokio::test]
async fn restore_beside_stale_log_is_refused_for_each_kind_of_backup() {
    if !has_sqlite3("restore_beside_stale_log_is_refused_for_each_kind_of_backup") {
        return;
    }
    for backup in [
        "sqlite3 ironstar.db \".backup backup.db\"",
        "sqlite3 ironstar.db \"VACUUM INTO 'backup.db'\"",
    ] {
        let directory = TempDir::new().expect("a directory");
        let server = Server::start(&directory);
        server.create("Before").await;
        run(&directory, backup);
        server.create("After").await;
        server.signal("KILL");
        server.wait();
        run(&directory, "cp backup.db ironstar.db");
        let url = crate::process::database_url(&directory);
        let mut command = crate::process::server();
        command.args(["--listen", "127.0.0.1:0", "--database-url", &url]);
        let output = crate::process::run_to_end(&mut command);
        let refusal = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{backup}");
        assert!(refusal.contains("move"), "{refusal}");
        assert!(refusal.contains("ironstar.db-wal away"), "{refusal}");
        run(&directory, "mv ironstar.db-wal stale-wal");
        let server = Server::start(&directory);
        assert_eq!(texts(&directory).await, ["Before"], "{backup}");
        server.stop();
    }
}
