//! The server with its default settings, and clients that ask for too much.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{DEADLINE, Server, database_url, live_page, server};

/// Starts a server on a loopback address with the default limits.
fn limited(directory: &TempDir) -> Server {
    let mut command = server();
    for variable in ["IRONSTAR_COMMAND_RATE", "IRONSTAR_STREAMS_PER_VISITOR"] {
        command.env_remove(variable);
    }
    Server::start_with(command.args(["--database-url", &database_url(directory)]))
}

#[tokio::test]
async fn commands_streams_and_hosts_are_limited_by_default() {
    let directory = TempDir::new().expect("a directory");
    let server = limited(&directory);
    let command = format!("{}/api/commands/remark", server.url);
    let (start, mut count) = (Instant::now(), 0);
    let refused = loop {
        let answer = server
            .client
            .post(&command)
            .send()
            .await
            .expect("an answer");
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
        assert!(start.elapsed() < DEADLINE, "nothing is refused");
        count += 1;
    };
    assert!(count >= 100, "{count} is less than a burst");
    assert_eq!(refused.headers()[header::RETRY_AFTER], "1");

    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(server.stream(&live_page()).await);
    }
    let stream = format!("{}{}", server.url, live_page());
    let asked = || server.client.get(&stream).send();
    let refused = asked().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    // The server notices by itself that a client has left.
    streams.pop();
    let start = Instant::now();
    while asked().await.expect("an answer").status() != StatusCode::OK {
        assert!(
            start.elapsed() < DEADLINE,
            "the place of a stream stays taken"
        );
    }

    let elsewhere = server
        .client
        .get(&server.url)
        .header(header::HOST, "evil.test");
    let refused = elsewhere.send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::MISDIRECTED_REQUEST);
    let problem: Value = refused.json().await.expect("JSON");
    assert_eq!(problem["type"], "/problems/unknown-host");
}

#[tokio::test]
async fn limits_can_be_set() {
    let directory = TempDir::new().expect("a directory");
    let mut command = server();
    command
        .args(["--database-url", &database_url(&directory)])
        .env("IRONSTAR_COMMAND_RATE", "1")
        .env("IRONSTAR_CLIENT_ADDRESS_HEADER", "X-Real-IP")
        .env("IRONSTAR_ALLOWED_HOSTS", "example.org");
    let server = Server::start_with(&mut command);
    let send = |visitor: &'static str| {
        let request = server.client.post(&server.url);
        let request = request.header("x-real-ip", visitor);
        request.header(header::HOST, "example.org").send()
    };
    let start = Instant::now();
    while send("192.0.2.1").await.expect("an answer").status() != StatusCode::TOO_MANY_REQUESTS {
        assert!(start.elapsed() < DEADLINE, "nothing is refused");
    }
    let other = send("192.0.2.2").await.expect("an answer");
    assert_eq!(other.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn clients_cannot_fill_the_log_with_errors() {
    let directory = TempDir::new().expect("a directory");
    let server = limited(&directory);
    let behind = format!("{}/api/remarks?at_least=1000000", server.url);
    let answer = server.client.get(behind).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let (_, log) = server.stop();
    assert!(!log.contains("ERROR"), "{log}");
}

#[tokio::test]
async fn a_connection_goes_on_after_a_refusal() {
    let directory = TempDir::new().expect("a directory");
    let server = Server::start(&directory);
    let address = server.url.strip_prefix("http://").expect("an address");
    let mut client = TcpStream::connect(address).expect("connected");
    let patience = Some(Duration::from_secs(30));
    client.set_read_timeout(patience).expect("set");
    for (request, status) in [
        ("POST /nowhere HTTP/1.1\r\nhost: localhost", "404"),
        ("POST /api/remarks HTTP/1.1\r\nhost: localhost", "405"),
        (
            "POST /api/commands/remark HTTP/1.1\r\nhost: localhost",
            "415",
        ),
        ("POST / HTTP/1.1\r\nhost: evil.test", "421"),
        (
            "POST / HTTP/1.1\r\nhost: localhost\r\nsec-fetch-site: cross-site",
            "403",
        ),
    ] {
        let head = format!("{request}\r\ncontent-length: 9\r\n\r\n");
        client.write_all(head.as_bytes()).expect("sent");
        // Time in which the server could answer after the head alone.
        tokio::time::sleep(Duration::from_millis(50)).await;
        client.write_all(b"text=Milk").expect("sent");
        let answer = answer(&mut client);
        let (version, rest) = answer.split_once(' ').expect("a status line");
        assert_eq!((version, &rest[..3]), ("HTTP/1.1", status), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
}

/// Returns the head of the next answer on a connection, and reads its body.
fn answer(client: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client
            .read_exact(&mut byte)
            .expect("the connection goes on");
        answer.push(byte[0]);
    }
    let head = String::from_utf8(answer).expect("text");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.parse().expect("a number"));
    client
        .read_exact(&mut vec![0; length])
        .expect("the connection goes on");
    head
}
