//! The shutdown, with many streams open on real connections.

use std::time::Duration;

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::app::{STREAM, TestApp};

/// The number of streams, unless the system allows a process fewer files.
const STREAMS: usize = 1_000;

/// The longest time for the shutdown. A supervisor waits longer, and a browser should not
/// wait.
const SOON: Duration = Duration::from_secs(2);

/// The longest time for everything that is not measured.
const PATIENCE: Duration = Duration::from_secs(60);

/// The number of streams that can be open. Both ends of each are files of this process, which
/// has others, too.
fn streams() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|limits| limits.split_whitespace().next())
        .and_then(|soft| soft.parse::<usize>().ok());
    STREAMS.min(files.unwrap_or(256).saturating_sub(128) / 2)
}

/// Opens a stream, and reads until its first event has begun.
async fn open(address: std::net::SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let sent = stream.write_all(request.as_bytes()).await;
    sent.expect("sent");
    let mut seen = String::new();
    while !seen.contains("\nid: ") {
        let mut bytes = [0; 8_192];
        let count = stream.read(&mut bytes).await.expect("bytes");
        assert!(count > 0, "the stream goes on");
        seen += &String::from_utf8_lossy(&bytes[..count]);
    }
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn thousand_streams_do_not_delay_the_shutdown() {
    let app = TestApp::init().await;
    app.create("Buy milk").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = app.shutdown.clone();
    let serving = axum::serve(listener, app.router.clone())
        .with_graceful_shutdown(async move { stop.cancelled().await });
    let serving = tokio::spawn(async move { serving.await });
    let paths = [STREAM, "/api/events?after=0"];
    let opening = (0..streams()).map(|index| open(address, paths[index % 2]));
    let streams = timeout(PATIENCE, join_all(opening)).await;
    let streams = streams.expect("all streams are open");
    app.shutdown.cancel();
    let ended = timeout(SOON, serving).await;
    let ended = ended
        .expect("the server ends soon")
        .expect("the task does not panic");
    ended.expect("the server ends without an error");
    for mut stream in streams {
        let mut rest = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        read.expect("the stream ends").expect("the read succeeds");
        assert!(rest.ends_with(b"0\r\n\r\n"), "the response is complete");
    }
}
