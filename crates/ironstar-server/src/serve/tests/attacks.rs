//! Clients that keep a connection busy and make no progress.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Router};
use futures::stream;
use ironstar_web::{Allowance, Client, Unread};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{PREFACE, REQUEST, Room, TestServer, chunks, expect, hello, within_an_hour};

/// Opens an HTTP/2 connection with this much room for answers on each stream.
fn preface(window: u32) -> Vec<u8> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    // One setting, `SETTINGS_INITIAL_WINDOW_SIZE`.
    const SETTINGS: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x04";
    [PREFACE, SETTINGS, &window.to_be_bytes()].concat()
}

/// `GET http://localhost/` on a stream, with the end of the stream and of its head.
fn get_on(stream: u8) -> Vec<u8> {
    let head = [b"\0\0\x0e\x01\x05\0\0\0", &[stream][..]].concat();
    [&head[..], b"\x82\x86\x84\x41\x09localhost"].concat()
}

/// Asks for an acknowledgement.
const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0ABCDEFGH";

/// Returns the number of seconds until the server closes a connection on which a client sends
/// these bytes each second, and reads all answers.
async fn seconds_of(client: TcpStream, repeated: &'static [u8]) -> u64 {
    let start = Instant::now();
    let (mut reading, mut writing) = client.into_split();
    tokio::spawn(async move {
        while writing.write_all(repeated).await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    });
    let mut rest = Vec::new();
    // A closed connection may also show as an error.
    let _ = within_an_hour(reading.read_to_end(&mut rest)).await;
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn client_that_asks_for_acknowledgements_alone_is_cut_off() {
    let server = TestServer::start(hello(), 100).await;
    let idle = server.send(PREFACE).await;
    let seconds = seconds_of(idle, PING).await;
    assert!((10..=22).contains(&seconds), "{seconds} s");
    // The same after a request that was answered and read.
    let answered = server.send(&[PREFACE, &get_on(1)].concat()).await;
    let seconds = seconds_of(answered, PING).await;
    assert!((10..=32).contains(&seconds), "{seconds} s");
    // In HTTP/1.1, empty lines need no answer.
    let empty = server.send(REQUEST).await;
    let seconds = seconds_of(empty, b"\r\n").await;
    assert!((10..=32).contains(&seconds), "{seconds} s");
}

#[tokio::test(start_paused = true)]
async fn client_that_takes_no_answer_and_asks_for_acknowledgements_is_cut_off() {
    let dropped = CancellationToken::new();
    let body = dropped.clone();
    let endless = get(async move || chunks(body.clone(), 64 * 1024));
    let silent = get(async || Body::from_stream(stream::pending::<Result<&str, axum::Error>>()));
    let router = hello().route("/endless", endless).route("/silent", silent);
    let server = TestServer::start(router, 100).await;
    // An answer without any byte sent, and an answer with only its first byte sent.
    for window in [0, 1] {
        let client = server.send(&[preface(window), get_on(1)].concat()).await;
        let seconds = seconds_of(client, PING).await;
        assert!((60..=92).contains(&seconds), "{window}: {seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn client_that_watches_a_silent_stream_is_not_cut_off() {
    let silent = get(async || Body::from_stream(stream::pending::<Result<&str, axum::Error>>()));
    let server = TestServer::start(Router::new().route("/", silent), 100).await;
    let client = server.send(&[PREFACE, &get_on(1)].concat()).await;
    let closed = timeout(Duration::from_secs(1_000), seconds_of(client, PING));
    closed.await.expect_err("the connection stays open");
}

#[tokio::test(start_paused = true)]
async fn client_with_too_many_connections_is_told_and_may_exchange_them() {
    let room = Room {
        all: 100,
        each: Some(2),
    };
    let server = TestServer::start_with(hello(), room).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut client = server.send(REQUEST).await;
        expect(&mut client, "hello").await;
        held.push(client);
    }
    let mut third = server.send(REQUEST).await;
    let mut refusal = String::new();
    within_an_hour(third.read_to_string(&mut refusal))
        .await
        .expect("an answer, and the end");
    for expected in [
        "HTTP/1.1 429 ",
        "\r\nretry-after: 5\r\n",
        "\r\nconnection: close\r\n",
        "/problems/too-many-connections",
    ] {
        assert!(refusal.contains(expected), "{refusal}");
    }
    held.pop();
    let served = async {
        loop {
            let mut client = server.send(REQUEST).await;
            let mut first = [0; 12];
            if client.read_exact(&mut first).await.is_ok() && first == *b"HTTP/1.1 200" {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
    };
    within_an_hour(served).await;
}

/// The size of each answer of [`counted`], and the limit on unread bytes.
const SIZE: usize = 8 * 1024 * 1024;
const ROOM: u64 = 12 * 1024 * 1024;

/// Returns a router whose answers count until they are read, and the allowance that they count
/// against.
fn counted() -> (Router, Arc<Allowance>) {
    let allowance = Arc::new(Allowance::new(ROOM));
    let unread = Arc::clone(&allowance);
    let large = get(async move || {
        let client = Client::at([192, 0, 2, 1].into());
        match unread.take(client, SIZE as u64) {
            Ok(taken) => (Extension(Unread::new(taken)), vec![b'x'; SIZE]).into_response(),
            Err(_) => StatusCode::TOO_MANY_REQUESTS.into_response(),
        }
    });
    (Router::new().route("/", large), allowance)
}

/// Waits until the allowance has this much room.
async fn has_room(allowance: &Arc<Allowance>, room: u64) {
    let client = Client::at([192, 0, 2, 1].into());
    let has_room = async {
        while allowance.take(client, room).is_err() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    within_an_hour(has_room).await;
}

#[tokio::test(start_paused = true)]
async fn answer_counts_until_its_client_has_taken_it_or_is_gone() {
    let (router, allowance) = counted();
    let server = TestServer::start(router, 100).await;
    // Both protocols. The second client has room for one byte, then for all.
    for request in [REQUEST.to_vec(), [preface(1), get_on(1)].concat()] {
        let mut first = server.send(&request).await;
        first.read_u8().await.expect("it is begun");
        let mut second = server.send(REQUEST).await;
        expect(&mut second, "429 Too Many Requests").await;
        drop(first);
        has_room(&allowance, ROOM).await;
    }
    let mut reading = server.send(REQUEST).await;
    let mut read = vec![0; SIZE];
    reading.read_exact(&mut read).await.expect("the answer");
    reading.read_u8().await.expect("there was a head");
    has_room(&allowance, ROOM).await;
}

#[tokio::test(start_paused = true)]
async fn small_answer_in_the_buffers_of_hyper_counts_until_it_is_taken() {
    let allowance = Arc::new(Allowance::new(5));
    let unread = Arc::clone(&allowance);
    let peer = Client::at([192, 0, 2, 1].into());
    let small = get(async move || {
        let taken = unread.take(peer, 5).expect("room");
        (Extension(Unread::new(taken)), "hello")
    });
    let server = TestServer::start(Router::new().route("/", small), 100).await;
    let mut client = server.send(&[preface(1), get_on(1)].concat()).await;
    expect(&mut client, "h").await;
    sleep(Duration::from_secs(5)).await;
    assert!(allowance.take(peer, 1).is_err(), "four bytes are left");
    // More room on the stream.
    const UPDATE: &[u8] = b"\0\0\x04\x08\0\0\0\0\x01\0\0\0\x04";
    client.write_all(UPDATE).await.expect("sent");
    expect(&mut client, "ello").await;
    has_room(&allowance, 5).await;
}
