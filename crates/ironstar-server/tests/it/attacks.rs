//! Clients that begin requests without ending them, request answers without reading them, or
//! leave in between. The server keeps its limits and continues to serve other clients.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use axum::body::Bytes;
use axum::http::{Request, StatusCode};
use futures::stream::FuturesUnordered;
use futures::{StreamExt, stream};
use h2::RecvStream;
use h2::client::{Builder, SendRequest};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::process::{DEADLINE, Server, database_url, server};
use crate::projections::remarks;

/// The addresses of the clients in these tests.
const ATTACKER: Ipv4Addr = Ipv4Addr::LOCALHOST;
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Starts a server with the default limits, except for the rate of commands.
fn limited(directory: &TempDir) -> Server {
    let mut command = server();
    command.env_remove("IRONSTAR_STREAMS_PER_VISITOR");
    Server::start_with(command.args(["--database-url", &database_url(directory)]))
}

fn address(server: &Server) -> SocketAddr {
    let address = server.url.strip_prefix("http://").expect("an address");
    address.parse().expect("an address")
}

/// Returns a connection from an address, with little room for unread bytes.
async fn connect(server: &Server, from: Ipv4Addr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("set");
    socket.bind((from, 0).into()).expect("an address");
    socket.connect(address(server)).await.expect("connected")
}

/// Returns an HTTP/2 connection from an address, with this much room for answers on each
/// stream. Dropping it closes the connection.
async fn http2(server: &Server, from: Ipv4Addr, window: u32) -> SendRequest<Bytes> {
    let stream = connect(server, from).await;
    let mut builder = Builder::new();
    builder.initial_window_size(window);
    let (client, connection) = builder.handshake(stream).await.expect("HTTP/2");
    // The connection fails if the test ends first.
    tokio::spawn(async move { drop(connection.await) });
    client
}

/// An answer whose body is not read.
struct Unread {
    status: StatusCode,
    size: usize,
    _body: RecvStream,
}

/// Sends a GET request and reads the head of the answer.
async fn get(client: &SendRequest<Bytes>, uri: &str) -> Unread {
    let request = Request::get(uri).header("accept-encoding", "gzip");
    let request = request.body(()).expect("a request");
    let mut client = client.clone().ready().await.expect("room for a stream");
    let (answer, _) = client.send_request(request, true).expect("sent");
    let (head, body) = answer.await.expect("an answer").into_parts();
    let size = head.headers.get("content-length");
    let size = size.map_or(0, |size| {
        size.to_str().expect("text").parse().expect("a size")
    });
    Unread {
        status: head.status,
        size,
        _body: body,
    }
}

/// Returns the status of the answer to a GET request from an address.
async fn status(server: &Server, from: Ipv4Addr, uri: &str) -> StatusCode {
    let client = http2(server, from, 65_535).await;
    get(&client, uri).await.status
}

/// Waits until the address gets answers again.
async fn is_served_again(server: &Server, from: Ipv4Addr, uri: &str) {
    let start = Instant::now();
    while status(server, from, uri).await != StatusCode::OK {
        assert!(start.elapsed() < DEADLINE, "the limit is not released");
    }
}

/// Returns the address of the pages' script. It is the largest file, and small when it is
/// compressed.
async fn script(server: &Server) -> String {
    let start = Instant::now();
    loop {
        // A page is only there once its read model is built.
        let page = server.client.get(&server.url).send().await;
        let page = page.expect("an answer").text().await.expect("a page");
        let path = page.split('"').find(|it| it.starts_with("/static/page-"));
        if let Some(path) = path {
            return format!("{}{path}", server.url);
        }
        assert!(start.elapsed() < DEADLINE, "no script: {page}");
    }
}

#[tokio::test]
async fn incomplete_bodies_are_counted_over_all_connections() {
    const CONNECTIONS: usize = 4;
    const STREAMS: usize = 40;
    /// The maximum number of bodies of 63 KiB that there is room for.
    const ROOM: usize = 4 * 1024 / 63;

    let directory = TempDir::new().expect("a directory");
    let server = limited(&directory);
    let script = script(&server).await;
    let part = Bytes::from(vec![b' '; 63 * 1024]);
    let uri = format!("{}/api/commands/remark", server.url);
    let (mut held, mut answers) = (Vec::new(), FuturesUnordered::new());
    for _ in 0..CONNECTIONS {
        let client = http2(&server, ATTACKER, 65_535).await;
        for _ in 0..STREAMS {
            let request = Request::post(&uri).header("content-type", "application/json");
            let request = request.body(()).expect("a request");
            let mut ready = client.clone().ready().await.expect("room for a stream");
            let (answer, mut body) = ready.send_request(request, false).expect("sent");
            body.send_data(part.clone(), false).expect("sent");
            answers.push(answer);
            held.push(body);
        }
        held.shrink_to_fit();
    }
    let refused = async {
        for _ in 0..CONNECTIONS * STREAMS - ROOM {
            let answer = answers.next().await.expect("more").expect("an answer");
            assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(answer.headers()["retry-after"], "5");
        }
    };
    let refused = tokio::time::timeout(DEADLINE, refused).await;
    refused.expect("all bodies above the limit are refused");
    assert_eq!(status(&server, OTHER, &script).await, StatusCode::OK);
    drop((held, answers));
    is_served_again(&server, ATTACKER, &script).await;
}

#[tokio::test]
async fn small_unread_answers_are_counted_over_http_2() {
    const STREAMS: usize = 100;

    let directory = TempDir::new().expect("a directory");
    let server = limited(&directory);
    let uri = script(&server).await;
    let (mut held, mut size) = (Vec::new(), 0);
    // The limit is 64 MiB of unread answers.
    while size < 70 * 1024 * 1024 {
        let client = http2(&server, ATTACKER, 0).await;
        let answers = (0..STREAMS).map(|_| get(&client, &uri));
        let answers: Vec<_> = stream::iter(answers)
            .buffer_unordered(STREAMS)
            .collect()
            .await;
        let is_refused = answers.iter().any(|answer| answer.status != StatusCode::OK);
        size += answers.iter().map(|answer| answer.size).sum::<usize>();
        held.extend(answers);
        if is_refused {
            break;
        }
    }
    assert!(
        held.iter().all(|answer| answer.size < 20 * 1024),
        "not small"
    );
    assert!(size > 55 * 1024 * 1024, "{size} bytes are refused");
    let refused = held.iter().rfind(|answer| answer.status != StatusCode::OK);
    let refused = refused.unwrap_or_else(|| panic!("{size} bytes are not refused"));
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(status(&server, OTHER, &uri).await, StatusCode::OK);
    drop(held);
    is_served_again(&server, ATTACKER, &uri).await;
}

#[tokio::test]
async fn body_that_would_be_too_large_is_refused_before_it_is_sent() {
    let directory = TempDir::new().expect("a directory");
    let server = Server::start(&directory);
    let mut client = connect(&server, ATTACKER).await;
    client
        .write_all(b"POST /api/commands/remark HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 65537\r\n\r\n")
        .await
        .expect("sent");
    let mut answer = [0; 12];
    let read = tokio::time::timeout(DEADLINE, client.read_exact(&mut answer)).await;
    read.expect("an answer").expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 413");
}

/// As `nc -N` does.
#[tokio::test]
async fn client_that_half_closes_has_its_command_carried_out_and_answered() {
    let directory = TempDir::new().expect("a directory");
    let server = Server::start(&directory);
    let body = r#"{"type":"create","text":"Milk"}"#;
    let length = body.len();
    let request = format!(
        "POST /api/commands/remark HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    for _ in 0..30 {
        let mut client = connect(&server, ATTACKER).await;
        client.write_all(request.as_bytes()).await.expect("sent");
        client.shutdown().await.expect("half closed");
        let mut answer = String::new();
        let read = tokio::time::timeout(DEADLINE, client.read_to_string(&mut answer)).await;
        read.expect("an end").expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer:?}");
    }
    let created = remarks(&server, "at_least=30").await;
    assert_eq!(created.len(), 30);
}
