//! Clients that have nothing more to send, and may be waiting for an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::routing::{get, post};
use futures::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{TestServer, seconds_until_closed, within_an_hour};

/// Returns the whole answer to a client that sends this request and half-closes.
async fn answer_to(server: &TestServer, request: &[u8]) -> String {
    let mut client = server.send(request).await;
    client.shutdown().await.expect("half closed");
    let mut answer = String::new();
    let read = within_an_hour(client.read_to_string(&mut answer)).await;
    read.expect("an answer, and the end");
    answer
}

#[tokio::test(start_paused = true)]
async fn client_that_half_closes_after_its_request_gets_the_answer() {
    let carried_out = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&carried_out);
    let command = post(async move |body: Bytes| {
        sleep(Duration::from_secs(1)).await;
        count.fetch_add(1, SeqCst);
        body
    });
    let large = get(async || vec![b'x'; 8 * 1024 * 1024]);
    let router = Router::new().route("/", command).route("/large", large);
    let server = TestServer::start(router, 100).await;
    let command = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\n\r\nmilk";
    let answer = answer_to(&server, command).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nmilk"), "{answer}");
    let two = answer_to(&server, &command.repeat(2)).await;
    assert_eq!(two.matches("HTTP/1.1 200 OK").count(), 2, "{two}");
    assert_eq!(carried_out.load(SeqCst), 3);
    let large = b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let answer = answer_to(&server, large).await;
    assert!(answer.len() > 8 * 1024 * 1024, "{}", answer.len());
}

#[tokio::test(start_paused = true)]
async fn client_that_half_closes_within_a_request_is_gone() {
    let router = Router::new().route(
        "/",
        post(async |body: Result<Bytes, BytesRejection>| match body {
            Ok(_) => "whole",
            Err(_) => "broken",
        }),
    );
    let server = TestServer::start(router, 100).await;
    let part = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nmilk";
    let start = Instant::now();
    let answer = answer_to(&server, part).await;
    assert!(!answer.contains("whole"), "{answer}");
    assert_eq!(start.elapsed().as_secs(), 0);
}

/// Serves a stream without events, and reports when the stream is dropped.
fn silent(dropped: &CancellationToken) -> Router {
    let body = dropped.clone();
    let silent = get(async move || {
        let guard = body.clone().drop_guard();
        Body::from_stream(
            stream::pending::<Result<&str, axum::Error>>().inspect(move |_| {
                let _: &tokio_util::sync::DropGuard = &guard;
            }),
        )
    });
    Router::new().route("/", silent)
}

#[tokio::test(start_paused = true)]
async fn client_that_half_closes_while_it_watches_a_stream_is_gone() {
    let dropped = CancellationToken::new();
    let server = TestServer::start(silent(&dropped), 100).await;
    let mut client = server.send(super::REQUEST).await;
    super::expect(&mut client, "200 OK").await;
    assert!(!dropped.is_cancelled());
    client.shutdown().await.expect("half closed");
    assert_eq!(seconds_until_closed(&mut client).await, 0);
    within_an_hour(dropped.cancelled()).await;
    // The same if the client half-closes together with its request.
    let start = Instant::now();
    answer_or_none(&server).await;
    assert_eq!(start.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn client_that_resets_its_connection_while_it_watches_a_stream_is_gone() {
    let dropped = CancellationToken::new();
    let server = TestServer::start(silent(&dropped), 100).await;
    let client = server.send(super::REQUEST).await;
    // A client that closes with unread bytes resets its connection.
    within_an_hour(client.readable()).await.expect("an answer");
    assert!(!dropped.is_cancelled());
    let start = Instant::now();
    drop(client);
    within_an_hour(dropped.cancelled()).await;
    assert_eq!(start.elapsed().as_secs(), 0);
}

/// Opens a stream and half-closes at once.
async fn answer_or_none(server: &TestServer) {
    let mut client = server.send(super::REQUEST).await;
    client.shutdown().await.expect("half closed");
    seconds_until_closed(&mut client).await;
}
