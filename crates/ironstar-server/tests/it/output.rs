//! Output to closed or full files, and output that could harm its reader.

use std::fs::File;
use std::io::{PipeWriter, pipe};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use tempfile::TempDir;

use crate::process::{DEADLINE, Server, database_url, run_to_end, server};

/// Returns a pipe without a reader.
fn closed_pipe() -> PipeWriter {
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    writer
}

fn full_disk() -> File {
    File::options()
        .write(true)
        .open("/dev/full")
        .expect("a file that takes nothing")
}

/// Standard outputs and standard errors that a process cannot write to.
fn unwritable() -> [(&'static str, [Stdio; 2]); 2] {
    [
        ("full disk", [full_disk().into(), full_disk().into()]),
        ("closed pipe", [closed_pipe().into(), closed_pipe().into()]),
    ]
}

/// Waits until a server is ready that cannot print that it is.
async fn answers(server: &mut Child, address: &str) {
    let start = Instant::now();
    let client = Client::new();
    while client
        .get(format!("http://{address}/readyz"))
        .send()
        .await
        .is_err()
    {
        assert_eq!(server.try_wait().expect("its status"), None, "it has ended");
        assert!(start.elapsed() < DEADLINE, "the server does not serve");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn server_serves_when_no_reader_takes_its_output() {
    for (what, [stdout, stderr]) in unwritable() {
        let directory = TempDir::new().expect("a directory");
        let port = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = port.local_addr().expect("its address").to_string();
        drop(port);
        let mut process = server()
            .args(["--listen", &address])
            .args(["--database-url", &database_url(&directory)])
            .env("RUST_LOG", "debug")
            .env("RUST_BACKTRACE", "1")
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .expect("the server starts");
        answers(&mut process, &address).await;
        let create = Client::new()
            .post(format!("http://{address}/api/commands/remark"))
            .json(&serde_json::json!({"type": "create", "text": "Buy milk"}));
        let created = create.send().await.expect("an answer").status();
        assert_eq!(created, StatusCode::OK, "{what}");
        let id = process.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status();
        assert!(told.expect("kill runs").success());
        let output = tokio::task::spawn_blocking(move || process.wait());
        let ended = tokio::time::timeout(DEADLINE, output).await;
        let status = ended
            .expect("it ends")
            .expect("no panic")
            .expect("its status");
        assert!(status.success(), "{what}: {status}");
    }
}

#[test]
fn command_ends_quietly_when_its_reader_has_gone_and_says_that_a_disk_is_full() {
    let directory = TempDir::new().expect("a directory");
    Server::start(&directory).stop();
    let url = database_url(&directory);
    let ended = |arguments: &[&str], stdout: Stdio| {
        let child = server()
            .args(arguments)
            .env("DATABASE_URL", &url)
            .env("RUST_BACKTRACE", "1")
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn();
        let output = child.expect("it starts").wait_with_output();
        let output = output.expect("its output");
        let said = String::from_utf8(output.stderr).expect("text");
        (output.status.code(), said)
    };
    for arguments in [
        &["projections", "list"][..],
        &["projections", "status"],
        &["--help"],
        &["--version"],
        &["projections", "rebuild", "--help"],
    ] {
        let closed = ended(arguments, closed_pipe().into());
        assert_eq!(closed, (Some(0), String::new()), "{arguments:?}");
        let full =
            "notes: cannot write to standard output: No space left on device (os error 28)\n";
        let (code, said) = ended(arguments, full_disk().into());
        assert_eq!((code, &*said), (Some(1), full), "{arguments:?}");
    }
}

#[test]
fn refusal_keeps_its_exit_code_when_no_reader_takes_the_reason() {
    for (what, [stdout, stderr]) in unwritable() {
        let mut command = server();
        command
            .args(["--close-remarks-after", "zz"])
            .stdout(stdout)
            .stderr(stderr);
        let status = command.status().expect("it runs");
        assert_eq!(status.code(), Some(2), "{what}");
    }
    for (what, [stdout, stderr]) in unwritable() {
        let mut command = server();
        command.args([
            "--database-url",
            "sqlite:/nowhere/x.db",
            "--listen",
            "127.0.0.1:0",
        ]);
        let status = command
            .stdout(stdout)
            .stderr(stderr)
            .status()
            .expect("it runs");
        assert_eq!(status.code(), Some(1), "{what}");
    }
}

/// Characters that control a terminal, end a line in some viewers, reverse the direction of
/// text, are invisible, or cover the lines above.
const HARMFUL: &str = "\u{9b}31m\u{85}\u{2028}\u{202e}\u{1b}[2J\u{7f}\n\u{3164}\u{e0041}";

fn expect_harmless(text: &str) {
    let harmful = |c: char| HARMFUL.contains(c) && !c.is_ascii_graphic();
    for line in text.lines() {
        let found = line.chars().find(|c| harmful(*c));
        assert_eq!(found, None, "{line:?}");
        assert!(!line.contains(&"\u{301}".repeat(5)), "{line:?}");
    }
}

/// Begins a sign-in, and returns from it with an error that GitHub never sent.
async fn come_back_with(server: &Server, error: &str) {
    let client = Client::builder().redirect(Policy::none()).build();
    let client = client.expect("a client");
    let begin = client
        .post(format!("{}/sign-in", server.url))
        .header("content-type", "application/x-www-form-urlencoded");
    let begun = begin.send().await.expect("an answer");
    assert_eq!(begun.status(), StatusCode::SEE_OTHER);
    let text = |name| begun.headers()[name].to_str().expect("text").to_owned();
    let (cookie, location) = (text(SET_COOKIE), text(LOCATION));
    let (_, state) = location.split_once("state=").expect("a state");
    let state = state.split('&').next().expect("its value");
    let (cookie, _) = cookie.split_once(';').expect("a cookie");
    let error: String = error.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let back = format!(
        "{}/sign-in/callback?state={state}&error={error}",
        server.url
    );
    let callback = client.get(back).header(COOKIE, cookie);
    let answer = callback.send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn log_holds_no_characters_that_act_on_its_reader() {
    for format in ["text", "json"] {
        let directory = TempDir::new().expect("a directory");
        let server = Server::start_with(
            server()
                .args(["--database-url", &database_url(&directory)])
                .args(["--log-format", format])
                .args(["--github-client-id", "ironstar"])
                .args(["--github-client-secret", "secret"])
                .args(["--public-url", "http://localhost"]),
        );
        let error = format!("begin{HARMFUL}x{}end", "\u{301}".repeat(50));
        come_back_with(&server, &error).await;
        let (_, log) = server.stop();
        assert!(log.contains("a sign-in was refused"), "{log}");
        let line = log.lines().find(|line| line.contains("begin"));
        let line = line.expect("the error is logged");
        assert!(line.contains("end"), "one event, one line: {line}");
        expect_harmless(&log);
        if format == "json" {
            let entry: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(entry["error"], error);
        }
    }
}

#[test]
fn refusal_to_start_holds_no_characters_that_act_on_its_reader() {
    let directory = TempDir::new().expect("a directory");
    let harmful = HARMFUL.replace('\n', "");
    let nowhere = format!("sqlite:/nowhere{harmful}/x.db");
    for (option, value) in [
        ("--database-url", &*nowhere),
        ("--close-remarks-after", &harmful),
        ("--log-format", &harmful),
        ("--listen", &harmful),
        ("--client-address-header", &harmful),
    ] {
        let mut command = server();
        command.args(["--listen", "127.0.0.1:0"]);
        if option == "--listen" {
            command = server();
        }
        let output = run_to_end(command.args([option, value]).current_dir(directory.path()));
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(!output.status.success() && !said.is_empty(), "{option}");
        expect_harmless(&said);
    }
    let output = run_to_end(server().env("RUST_LOG", format!("a={harmful}")));
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.contains("RUST_LOG is 'a="), "{said}");
    expect_harmless(&said);
}
