use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::{Server, database_url, live_page, server, undisturbed};

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_the_server_cleanly_with_streams_open() {
    let ends = |signal: &&str| *signal != "HUP" || !ignores_hangups();
    for signal in ["TERM", "INT", "HUP"].into_iter().filter(ends) {
        let directory = TempDir::new().expect("a directory");
        let server = Server::start(&directory);
        let mut page = server.stream(&live_page()).await;
        let mut raw = server.stream("/api/events").await;
        page.next().await;
        let start = Instant::now();
        server.signal(signal);
        assert!(raw.next_or_end().await.is_none(), "the stream ends");
        let (status, log) = server.wait();
        assert!(status.success(), "{log}");
        assert!(start.elapsed() < Duration::from_secs(5));
        assert!(log.contains("stopped"), "{log}");
        assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
        let left: Vec<_> = std::fs::read_dir(directory.path())
            .expect("the directory")
            .filter_map(|file| file.ok()?.file_name().into_string().ok())
            .collect();
        assert_eq!(left, ["ironstar.db"], "the write-ahead log is folded in");
    }
}

/// Returns true if this test, and with it the servers that it starts, ignores hangups: under
/// `nohup`.
fn ignores_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|signals| u64::from_str_radix(signals.trim(), 16).ok());
    ignored.is_some_and(|signals| signals & 1 == 1)
}

/// As `nohup` does.
#[tokio::test]
async fn server_goes_on_after_a_hangup_that_was_ignored_when_it_started() {
    let directory = TempDir::new().expect("a directory");
    let mut command = Command::new("sh");
    undisturbed(&mut command);
    command
        .args(["-c", "trap '' HUP; exec \"$0\" \"$@\""])
        .arg(server().get_program())
        .args(["--database-url", &database_url(&directory)]);
    let server = Server::start_with(&mut command);
    server.signal("HUP");
    server.create("Goes on").await;
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");
}

#[tokio::test]
async fn a_client_that_never_finishes_its_request_does_not_hold_the_server_up() {
    use std::io::Write;

    let directory = TempDir::new().expect("a directory");
    let server = Server::start(&directory);
    let address = server.url.strip_prefix("http://").expect("an address");
    let mut lazy = std::net::TcpStream::connect(address).expect("connected");
    lazy.write_all(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\ntext=")
        .expect("sent");
    // Once this is answered, the server has begun to read the incomplete request, too.
    server.create("Buy milk").await;
    let start = Instant::now();
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn command_in_progress_is_finished_before_the_end() {
    use std::io::{Read, Write};

    let directory = TempDir::new().expect("a directory");
    let server = Server::start(&directory);
    let address = server.url.strip_prefix("http://").expect("an address");
    let mut client = std::net::TcpStream::connect(address).expect("connected");
    client
        .write_all(b"POST /api/commands/remark HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 31\r\n\r\n")
        .expect("sent");
    // The command is in progress: the server asks for its body.
    let mut go_on = [0; 25];
    client.read_exact(&mut go_on).expect("an answer");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    server.signal("TERM");
    client
        .write_all(br#"{"type":"create","text":"Last"}"#)
        .expect("sent");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");
    assert!(!log.contains("WARN"), "{log}");
}

/// The reader of the log may leave first. The server must not fail because its last message
/// cannot be written.
#[tokio::test]
async fn server_ends_cleanly_after_reader_of_log_has_gone() {
    let directory = TempDir::new().expect("a directory");
    let mut server = Server::start(&directory);
    server.close_log();
    server.create("Goes on").await;
    server.signal("TERM");
    assert!(server.status().success());
}
