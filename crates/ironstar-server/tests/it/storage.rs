//! A storage that refuses writes: the operator gets the exact reason, and clients do not.
//!
//! The tests run on real volumes if they may mount some, which takes root on Linux. In any
//! case they run with system calls that fail as on such a volume (`storage/faults.c`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;

use crate::process::{Server, database, database_url, program, run_to_end, server, undisturbed};

const READ_ONLY: &str = "its volume is read-only; mount the volume for writing";
const NO_SPACE: &str = "its volume has no space left; delete other files there";
const NO_INODES: &str = "its volume has no room for another file (df -i)";
const QUOTA: &str = "the disk quota of this user is used up";

const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const EDQUOT: i32 = 122;

/// Returns a command that runs a shell script first, in which a volume may be mounted on the
/// folder, and then the server.
fn mounting(script: &str, folder: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &format!("{script} && exec \"$@\"")]);
    command.arg(folder).arg(program());
    let url = format!("sqlite:{}/ironstar.db", folder.display());
    command.args(["--database-url", &url]);
    undisturbed(&mut command);
    command
}

/// Returns true if this test may mount volumes.
fn can_mount() -> bool {
    let tried = Command::new("unshare")
        .args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"])
        .stderr(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

/// Returns a command for a server whose writes to the database fail while a file exists, and
/// the path of that file.
fn failing(directory: &TempDir, error: i32) -> (Command, PathBuf) {
    let tools = directory.path().join("tools");
    fs::create_dir_all(&tools).expect("a folder");
    let library = tools.join("faults.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/storage/faults.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status();
    assert!(compiled.expect("cc runs").success());
    let switch = tools.join("switch");
    let mut command = server();
    command
        .args(["--database-url", &database_url(directory)])
        .env("LD_PRELOAD", &library)
        .env("FAULT_FOLDER", database(directory))
        .env("FAULT_SWITCH", &switch)
        .env("FAULT_ERRNO", error.to_string());
    (command, switch)
}

/// Expects the server to end with one line that contains this text.
fn assert_refused(command: &mut Command, expected: &str) {
    let output = run_to_end(command);
    let message = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    let begins = message.starts_with("notes: cannot write to the database /");
    assert!(
        begins && message.contains(expected),
        "{expected}: {message}"
    );
}

/// Sends commands until one is refused. The refusal must not mention the storage.
async fn assert_unavailable(server: &Server) {
    let text = "x".repeat(200);
    let command = json!({"type": "create", "text": text});
    let mut answer = server.command(&command).await;
    while answer.0 == StatusCode::OK {
        answer = server.command(&command).await;
    }
    let (status, problem) = answer;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    let problem = problem.to_string();
    for word in ["disk", "volume", "quota", "SQL", "database"] {
        assert!(!problem.contains(word), "{problem}");
    }
}

#[test]
fn a_server_that_starts_on_a_failing_storage_says_what_is_wrong() {
    for (error, expected) in [(EROFS, READ_ONLY), (ENOSPC, NO_SPACE), (EDQUOT, QUOTA)] {
        let directory = TempDir::new().expect("a directory");
        let (mut command, switch) = failing(&directory, error);
        command.args(["--listen", "127.0.0.1:0"]);
        fs::write(&switch, "").expect("switched on");
        assert_refused(&mut command, expected);
        assert!(!database(&directory).exists(), "nothing is left behind");
    }
    // An existing database, on a volume that is mounted read-only.
    let directory = TempDir::new().expect("a directory");
    Server::start(&directory).stop();
    let (mut command, switch) = failing(&directory, EROFS);
    fs::write(&switch, "").expect("switched on");
    assert_refused(command.args(["--listen", "127.0.0.1:0"]), READ_ONLY);
}

#[tokio::test]
async fn a_server_whose_storage_fails_tells_the_operator_and_goes_on_afterwards() {
    for (error, expected) in [(EROFS, READ_ONLY), (ENOSPC, NO_SPACE), (EDQUOT, QUOTA)] {
        let directory = TempDir::new().expect("a directory");
        let (mut command, switch) = failing(&directory, error);
        let mut server = Server::start_with(&mut command);
        server.create("Buy milk").await;
        fs::write(&switch, "").expect("switched on");
        assert_unavailable(&server).await;
        let session = format!("{}/api/session", server.url);
        let refused = server.client.post(session).send().await.expect("an answer");
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        fs::remove_file(&switch).expect("switched off");
        server.create("Buy bread").await;
        server.begin_session().await;
        let (_, log) = server.stop();
        let told = log.matches(expected).count();
        assert!(
            told >= 2,
            "{expected}, for the command and the session: {log}"
        );
    }
}

#[test]
fn start_on_unusable_volume_is_refused_with_the_reason() {
    if !can_mount() {
        // The same refusals are tested with system calls that fail.
        return;
    }
    let directory = TempDir::new().expect("a directory");
    Server::start(&directory).stop();
    for (script, expected) in [
        ("mount -t tmpfs -o ro none \"$0\"", READ_ONLY),
        (
            "cp \"$0/ironstar.db\" /dev/shm/$$ && mount -t tmpfs none \"$0\" && \
             mv /dev/shm/$$ \"$0/ironstar.db\" && mount -o remount,ro \"$0\"",
            READ_ONLY,
        ),
        ("mount -t tmpfs -o size=16k none \"$0\"", NO_SPACE),
        ("mount -t tmpfs -o nr_inodes=1 none \"$0\"", NO_INODES),
        ("mount -t tmpfs -o nr_inodes=2 none \"$0\"", NO_INODES),
        ("mount -t tmpfs -o nr_inodes=3 none \"$0\"", NO_INODES),
    ] {
        let mut command = mounting(script, directory.path());
        assert_refused(command.args(["--listen", "127.0.0.1:0"]), expected);
    }
}

#[tokio::test]
async fn server_on_full_volume_reports_it_and_keeps_acknowledged_remarks() {
    if !can_mount() {
        // The same refusal is tested with system calls that fail.
        return;
    }
    let directory = TempDir::new().expect("a directory");
    let script = "mount -t tmpfs -o size=1m none \"$0\"";
    let server = Server::start_with(&mut mounting(script, directory.path()));
    server.create("Buy milk").await;
    assert_unavailable(&server).await;
    let page = server.client.get(&server.url).send().await.expect("a page");
    assert!(page.text().await.expect("text").contains("Buy milk"));
    let (_, log) = server.stop();
    assert!(log.contains(NO_SPACE), "{log}");
}
