//! Real connections, with a clock that jumps to the next timer, so that waiting takes no real
//! time.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use futures::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Room, serve};

mod attacks;
mod half_closed;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// The preface of an HTTP/2 connection, with empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// The time limit of a test by the real clock.
const REAL_DEADLINE: Duration = Duration::from_secs(30);

struct TestServer {
    address: SocketAddr,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

impl TestServer {
    async fn start(router: Router, most_connections: usize) -> Self {
        let room = Room {
            all: most_connections,
            each: None,
        };
        Self::start_with(router, room).await
    }

    async fn start_with(router: Router, room: Room) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn({
            let shutdown = shutdown.clone();
            async move {
                let mut listener = listener;
                let connections = serve(&mut listener, router, room, shutdown).await;
                drop(listener);
                connections.wait().await;
            }
        });
        Self {
            address,
            shutdown,
            serving,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connected")
    }

    /// Returns a connection on which these bytes were sent.
    async fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut client = self.connect().await;
        client.write_all(bytes).await.expect("sent");
        client
    }
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// Returns a body that yields chunks until it is dropped.
fn chunks(dropped: CancellationToken, size: usize) -> Body {
    let chunk = Bytes::from(vec![b'x'; size]);
    let guard = dropped.drop_guard();
    Body::from_stream(stream::repeat(chunk).map(move |chunk| {
        let _: &tokio_util::sync::DropGuard = &guard;
        Ok::<_, Infallible>(chunk)
    }))
}

/// Waits for an event, at most for an hour of the test's clock.
async fn within_an_hour<T>(event: impl Future<Output = T>) -> T {
    let outcome = timeout(Duration::from_secs(3600), event).await;
    outcome.expect("the event happens within an hour")
}

/// Reads until the expected text has arrived.
async fn expect(client: &mut TcpStream, expected: &str) {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(expected) {
        let mut buffer = [0; 4096];
        let read = within_an_hour(client.read(&mut buffer)).await;
        let read = read.expect("an answer");
        assert_ne!(
            read,
            0,
            "no {expected} in {:?}",
            String::from_utf8_lossy(&seen)
        );
        seen.extend_from_slice(&buffer[..read]);
    }
}

/// Returns the number of seconds until the server closes a connection.
async fn seconds_until_closed(client: &mut TcpStream) -> u64 {
    let start = Instant::now();
    let mut rest = Vec::new();
    // A closed connection may also show as an error.
    let _ = within_an_hour(client.read_to_end(&mut rest)).await;
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_no_whole_head_is_cut_off() {
    let server = TestServer::start(hello(), 100).await;
    for begun in [&b""[..], b"GET / HTTP/1.1\r\nhost:", b"PRI * HT", PREFACE] {
        let mut client = server.send(begun).await;
        let seconds = seconds_until_closed(&mut client).await;
        let begun = String::from_utf8_lossy(begun);
        // HTTP/2 adds the time in which the server waits for an answer to its farewell.
        assert!((10..=22).contains(&seconds), "{begun}: {seconds} s");
    }
}

/// The first message of an HTTP/2 server is a frame of settings.
#[tokio::test(start_paused = true)]
async fn protocols_are_told_apart_after_any_number_of_bytes() {
    let server = TestServer::start(hello(), 100).await;
    let put = b"PUT / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let cases = [
        (REQUEST, "hello"),
        (put, "405 Method Not Allowed"),
        (PREFACE, "\x04\0\0\0\0\0"), // Type, flags, stream.
    ];
    for (bytes, answer) in cases {
        for length in [0, 1, 3, 10, 23, bytes.len()] {
            let mut client = server.send(&bytes[..length]).await;
            // Time to see the first bytes.
            sleep(Duration::from_secs(1)).await;
            client.write_all(&bytes[length..]).await.expect("sent");
            expect(&mut client, answer).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_is_cut_off_as_well() {
    let server = TestServer::start(hello(), 100).await;
    let (mut reading, mut writing) = server.connect().await.into_split();
    let start = Instant::now();
    tokio::spawn(async move {
        let head = b"GET / HTTP/1.1\r\nx: "
            .iter()
            .chain(std::iter::repeat(&b'x'));
        for byte in head {
            if writing.write_all(&[*byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
    });
    let mut rest = Vec::new();
    // A closed connection may also show as an error.
    let _ = within_an_hour(reading.read_to_end(&mut rest)).await;
    let seconds = start.elapsed().as_secs();
    assert!((10..=12).contains(&seconds), "{seconds} s");
}

#[tokio::test(start_paused = true)]
async fn a_connection_between_requests_is_kept_for_a_while() {
    let server = TestServer::start(hello(), 100).await;
    let mut client = server.connect().await;
    for _ in 0..10 {
        client.write_all(REQUEST).await.expect("sent");
        expect(&mut client, "hello").await;
        sleep(Duration::from_secs(9)).await;
    }
    let seconds = seconds_until_closed(&mut client).await;
    assert!((10..=22).contains(&seconds), "{seconds} s");
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_goes_on() {
    let router = Router::new().route(
        "/",
        get(async || {
            Body::from_stream(stream::once(async {
                sleep(Duration::from_secs(600)).await;
                Ok::<_, Infallible>("at last")
            }))
        }),
    );
    let server = TestServer::start(router, 100).await;
    let mut client = server.send(REQUEST).await;
    expect(&mut client, "at last").await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_cut_off() {
    let dropped = CancellationToken::new();
    let body = dropped.clone();
    let endless = get(async move || chunks(body, 64 * 1024));
    let server = TestServer::start(Router::new().route("/", endless), 100).await;
    let client = server.send(REQUEST).await;
    let start = Instant::now();
    within_an_hour(dropped.cancelled()).await;
    let seconds = start.elapsed().as_secs();
    assert!((60..=80).contains(&seconds), "{seconds} s");
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http_2_that_gives_an_answer_no_room_is_cut_off() {
    // `SETTINGS_INITIAL_WINDOW_SIZE` is 0: no byte of a body may be sent.
    const NO_ROOM: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";
    // `GET http://localhost/`, with the end of the stream and of its head.
    const GET: &[u8] = b"\0\0\x0e\x01\x05\0\0\0\x01\x82\x86\x84\x41\x09localhost";

    let server = TestServer::start(hello(), 100).await;
    let mut client = server.send(&[NO_ROOM, GET].concat()).await;
    let seconds = seconds_until_closed(&mut client).await;
    assert!((60..=82).contains(&seconds), "{seconds} s");
}

/// Fills a buffer without a jump of the clock, because the kernel takes real time to hand on
/// the bytes that the server has written. Returns the number of bytes before the end.
async fn fill(client: &TcpStream, buffer: &mut [u8]) -> usize {
    let start = std::time::Instant::now();
    let mut filled = 0;
    while filled < buffer.len() {
        match client.try_read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                assert!(start.elapsed() < REAL_DEADLINE, "nothing comes");
                std::thread::sleep(Duration::from_millis(1));
                yield_now().await;
            }
            Err(error) => panic!("cut off: {error}"),
        }
    }
    filled
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_gets_everything() {
    const SIZE: usize = 32 * 1024 * 1024;

    let large = get(async || Bytes::from(vec![b'x'; SIZE]));
    let server = TestServer::start(Router::new().route("/", large), 100).await;
    let client = server.send(REQUEST).await;
    let (mut read, mut buffer) = (0, vec![0; 1024 * 1024]);
    while read < SIZE {
        sleep(Duration::from_secs(5)).await;
        let more = fill(&client, &mut buffer).await;
        assert_ne!(more, 0, "cut off after {read} bytes");
        read += more;
    }
}

#[tokio::test(start_paused = true)]
async fn connections_above_the_limit_wait_for_their_turn() {
    let server = TestServer::start(hello(), 2).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut client = server.send(REQUEST).await;
        expect(&mut client, "hello").await;
        held.push(client);
    }
    let mut waiting = server.send(REQUEST).await;
    let early = timeout(Duration::from_secs(5), waiting.read_u8()).await;
    early.expect_err("the connection waits for room");
    held.pop();
    expect(&mut waiting, "hello").await;
}

#[tokio::test(start_paused = true)]
async fn request_in_progress_is_finished_before_the_end() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (has_begun, goes_on) = (Arc::clone(&begun), Arc::clone(&go_on));
    let slow = get(async move || {
        has_begun.notify_one();
        goes_on.notified().await;
        "done"
    });
    let server = TestServer::start(hello().route("/slow", slow), 100).await;
    let mut idle = server.send(REQUEST).await;
    expect(&mut idle, "hello").await;
    let mut half = server.send(b"GET / HTTP/1.1\r\nhost:").await;
    let mut in_progress = server
        .send(b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    begun.notified().await;

    server.shutdown.cancel();
    assert_eq!(seconds_until_closed(&mut idle).await, 0);
    assert!(seconds_until_closed(&mut half).await <= 2);
    let refused = TcpStream::connect(server.address).await;
    refused.expect_err("the port is closed");
    assert!(!server.serving.is_finished());
    go_on.notify_one();
    expect(&mut in_progress, "done").await;
    within_an_hour(server.serving).await.expect("served");
}
