//! Faults of the database's files while a server runs: files are removed, replaced,
//! overwritten or cut off. After `kill -9` and a restart, all acknowledged events are there.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;

use crate::process::{DEADLINE, Server, database, database_url, rows, run_to_end, server};

/// A fault, given the path of the database.
type Fault = fn(&Path);

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove(path: &Path, suffix: &str) {
    fs::remove_file(beside(path, suffix)).expect("removed");
}

fn rename(path: &Path, suffix: &str) {
    fs::rename(beside(path, suffix), beside(path, ".moved")).expect("renamed");
}

/// Replaces a file by another one.
fn replace(path: &Path, suffix: &str) {
    let other = beside(path, ".other");
    fs::write(&other, "This is not SQLite's.\n".repeat(5_000)).expect("written");
    fs::rename(other, beside(path, suffix)).expect("replaced");
}

/// Overwrites a file, as `cp` does, but without the moment in which it is empty.
fn overwrite(path: &Path, suffix: &str) {
    let file = OpenOptions::new().write(true).open(beside(path, suffix));
    let content = "This is not SQLite's.\n".repeat(5_000);
    file.expect("a file")
        .write_all_at(content.as_bytes(), 0)
        .expect("overwritten");
}

fn cut_off(path: &Path, suffix: &str, length: u64) {
    let file = OpenOptions::new().write(true).open(beside(path, suffix));
    file.expect("a file").set_len(length).expect("cut off");
}

const FAULTS: &[(&str, Fault)] = &[
    ("log removed", |path| remove(path, "-wal")),
    ("index removed", |path| remove(path, "-shm")),
    ("log and index removed", |path| {
        remove(path, "-wal");
        remove(path, "-shm");
    }),
    ("log renamed", |path| rename(path, "-wal")),
    ("index renamed", |path| rename(path, "-shm")),
    ("log replaced", |path| replace(path, "-wal")),
    ("index replaced", |path| replace(path, "-shm")),
    ("log overwritten", |path| overwrite(path, "-wal")),
    ("index overwritten", |path| overwrite(path, "-shm")),
    ("log emptied", |path| cut_off(path, "-wal", 0)),
    ("log cut off", |path| cut_off(path, "-wal", 5_000)),
    ("index emptied", |path| cut_off(path, "-shm", 0)),
    ("database removed", |path| remove(path, "")),
    ("database renamed", |path| rename(path, "")),
    ("all removed", |path| {
        for suffix in ["", "-wal", "-shm"] {
            remove(path, suffix);
        }
    }),
];

/// Returns the texts of all created remarks, in the order of the log.
async fn created(path: &Path) -> Vec<String> {
    let events = rows(
        path,
        "SELECT id, payload ->> 'text', sequence, event_type, aggregate_type FROM events
         WHERE event_type = 'created' AND aggregate_type = 'Remark' ORDER BY id",
    );
    events.await.into_iter().map(|event| event.1).collect()
}

/// Sends a command that the server must refuse. Returns true if it does.
async fn is_refused(server: &Server) -> bool {
    let create = json!({"type": "create", "text": "After it"});
    let (status, _) = server.command(&create).await;
    status == StatusCode::SERVICE_UNAVAILABLE
}

/// The signal that Linux sends to a process that reads mapped memory behind the end of its
/// file.
const SIGBUS: i32 = 7;

/// Returns true if a request has ended the server. SQLite maps the index into memory and may
/// read it before the server checks the file.
async fn has_ended(server: &Server) -> bool {
    let page = server.client.get(format!("{}/", server.url)).send();
    page.await.is_err()
}

#[tokio::test]
async fn acknowledged_events_survive_faults_of_files() {
    for (what, fault) in FAULTS {
        let directory = TempDir::new().expect("a directory");
        let path = database(&directory);
        let server = Server::start(&directory);
        let mut texts = Vec::new();
        for number in 0..5 {
            let text = format!("{what} {number}");
            server.create(&text).await;
            texts.push(text);
        }
        fault(&path);
        if *what == "index emptied" && has_ended(&server).await {
            let (status, _) = server.wait();
            assert_eq!(status.signal(), Some(SIGBUS), "{what}: {status}");
        } else {
            assert!(is_refused(&server).await, "{what}: it is accepted");
            assert!(is_refused(&server).await, "{what}: it is accepted later");
            server.signal("KILL");
            let (_, log) = server.wait();
            assert!(log.contains("while it was open"), "{what}: {log}");
        }

        let server = Server::start(&directory);
        let found = created(&path).await;
        assert_eq!(found[..5], texts, "{what}");
        server.create("Once more").await;
        let (status, log) = server.stop();
        assert!(status.success(), "{what}: {log}");
    }
}

#[tokio::test]
async fn idle_server_saves_log_that_is_removed() {
    let directory = TempDir::new().expect("a directory");
    let path = database(&directory);
    let server = Server::start(&directory);
    server.create("Before it").await;
    remove(&path, "-wal");
    let start = std::time::Instant::now();
    while !beside(&path, "-wal").exists() {
        assert!(start.elapsed() < DEADLINE, "the log is not put back");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let page = server.client.get(format!("{}/", server.url)).send();
    page.await.expect("an answer");
    let (_, log) = server.stop();
    assert!(log.contains("was put back"), "{log}");
    let server = Server::start(&directory);
    assert_eq!(created(&path).await, ["Before it"]);
    server.stop();
}

#[tokio::test]
async fn database_is_saved_beside_one_that_replaced_it() {
    let directory = TempDir::new().expect("a directory");
    let path = database(&directory);
    let server = Server::start(&directory);
    server.create("Before it").await;
    replace(&path, "");
    assert!(is_refused(&server).await);
    server.signal("KILL");
    let (_, log) = server.wait();
    assert!(log.contains("ironstar.db.rescued-1"), "{log}");

    // As the message in the log advises.
    let copy = beside(&path, ".rescued-1");
    fs::rename(beside(&copy, "-wal"), beside(&path, "-wal")).expect("renamed");
    fs::rename(copy, &path).expect("renamed");
    let server = Server::start(&directory);
    assert_eq!(created(&path).await, ["Before it"]);
    server.stop();
}

#[tokio::test]
async fn backup_copied_over_open_database_is_not_mixed_with_its_log() {
    let directory = TempDir::new().expect("a directory");
    let path = database(&directory);
    let server = Server::start(&directory);
    server.create("In the backup").await;
    server.stop();
    let backup = fs::read(&path).expect("a backup");
    let server = Server::start(&directory);
    server.create("After the backup").await;
    let file = OpenOptions::new().write(true).open(&path).expect("a file");
    file.write_all_at(&backup, 0).expect("restored");
    assert!(is_refused(&server).await);
    server.signal("KILL");
    server.wait();

    let url = database_url(&directory);
    let output = run_to_end(server_on(&url));
    let refusal = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(refusal.contains("belongs to another database"), "{refusal}");
    fs::rename(beside(&path, "-wal"), beside(&path, ".away")).expect("moved away");
    let server = Server::start(&directory);
    assert_eq!(created(&path).await, ["In the backup"]);
    server.stop();
}

fn server_on(url: &str) -> &'static mut std::process::Command {
    let mut command = server();
    command.args(["--listen", "127.0.0.1:0", "--database-url", url]);
    Box::leak(Box::new(command))
}

#[tokio::test]
async fn two_servers_lose_nothing_when_log_and_index_are_removed() {
    let directory = TempDir::new().expect("a directory");
    let path = database(&directory);
    let (first, second) = (Server::start(&directory), Server::start(&directory));
    let mut texts = Vec::new();
    for number in 0..10 {
        let text = format!("Number {number}");
        let server = if number % 2 == 0 { &first } else { &second };
        server.create(&text).await;
        texts.push(text);
    }
    remove(&path, "-wal");
    remove(&path, "-shm");
    assert!(is_refused(&second).await);
    assert!(is_refused(&first).await);

    // A third server would begin a log of its own.
    let output = run_to_end(server_on(&database_url(&directory)));
    let refusal = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(refusal.contains("Stop that process first"), "{refusal}");
    for server in [first, second] {
        server.signal("KILL");
        server.wait();
    }
    let server = Server::start(&directory);
    assert_eq!(created(&path).await[..10], texts);
    server.stop();
}
