//! Serves connections, and gets rid of those that only take up room.
//!
//! HTTP/1.1 and HTTP/2 are served on the same port. A connection may be quiet
//! for a while: before its first request, within the head of one, or between
//! two. A client that asks for nothing for longer than that is cut off, and so
//! is one that does not read what it is sent. That is measured here, and not
//! left to hyper's `header_read_timeout`, which neither covers the bytes by
//! which the two protocols are told apart nor anything of HTTP/2.
//!
//! How long the body of a request may take is the web layer's business.

mod activity;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use self::activity::{Activity, Patience, Watched};

/// How patient the server is with clients.
const PATIENCE: Patience = Patience {
    quiet: Duration::from_secs(10),
    // As long as nginx waits between two writes.
    unread: Duration::from_secs(60),
};

/// The same, once a connection has been asked to end.
const FAREWELL: Patience = Patience {
    quiet: Duration::from_secs(1),
    unread: Duration::from_secs(1),
};

/// The most bytes of a request's head, and of what is written at once.
const BUFFER: usize = 64 * 1024;

/// What a client of HTTP/2 sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How many files and sockets the server needs for itself: the database, the
/// log, and what libraries open for a moment.
const RESERVED: u64 = 100;

/// Serves until told to stop. Then nobody is accepted any more, and those who are
/// connected get their answers: that is over when the tracker is empty. Beyond so many
/// connections, further ones wait to be accepted.
pub(crate) async fn serve(
    listener: &mut TcpListener,
    router: Router,
    most_connections: usize,
    shutdown: CancellationToken,
) -> TaskTracker {
    let room = Arc::new(Semaphore::new(most_connections));
    let connections = TaskTracker::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&room).acquire_owned().await;
            let place = place.expect("it is never closed");
            // Logs what goes wrong, such as that there are too many open files,
            // and waits a while before it tries again.
            let (stream, peer) = Listener::accept(&mut *listener).await;
            (place, stream, peer)
        };
        let (place, stream, peer) = tokio::select! {
            accepted = accepted => accepted,
            () = shutdown.cancelled() => break,
        };
        // As it is: inside another future it would take its room twice.
        connections.spawn(connection(
            stream,
            peer,
            router.clone(),
            shutdown.clone(),
            place,
        ));
    }
    connections.close();
    connections
}

/// Serves one connection to its end, for which it takes up its place.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    shutdown: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    if let Err(error) = stream.set_nodelay(true) {
        // It only makes answers slower.
        tracing::debug!(%error, "small packets are held back");
    }
    let activity = Arc::new(Activity::default());
    let mut ceases = pin!(activity.ceases(PATIENCE));
    let is_http1 = tokio::select! {
        is_http1 = begins_as_http1(&stream) => is_http1,
        () = ceases.as_mut() => return,
        () = shutdown.cancelled() => return,
    };
    let service = service_fn(|mut request: Request<Incoming>| {
        let answering = activity.begin();
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = router.clone().oneshot(request.map(Body::new));
        async move {
            let response = response.await;
            response.map(|response| response.map(|body| answering.with(body)))
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(BUFFER);
    builder.http2().timer(TokioTimer::new());
    if is_http1 {
        builder = builder.http1_only();
    }
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
    let mut connection = pin!(builder.serve_connection(io, service));
    tokio::select! {
        ended = connection.as_mut() => return note(ended),
        () = ceases => {}
        () = shutdown.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = connection => note(ended),
        () = activity.ceases(FAREWELL) => {}
    }
}

/// Waits for the first bytes of a connection. Returns whether they cannot be the
/// beginning of HTTP/2. If it is left to hyper to tell the protocols apart, it
/// reads these bytes first and the rest of the head into a buffer of twice the
/// size, which a connection has to its end.
async fn begins_as_http1(stream: &TcpStream) -> bool {
    let mut first = [0; PREFACE.len()];
    // What goes wrong here is seen again when it is read.
    let peeked = stream.peek(&mut first).await;
    peeked.is_ok_and(|length| !PREFACE.starts_with(&first[..length]))
}

/// What ends a connection early is the client's business.
fn note<E: std::fmt::Display>(ended: Result<(), E>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Makes room for connections, each of which takes an open file. Returns for how
/// many of those that are wanted there is.
pub(crate) fn make_room(wanted: usize) -> usize {
    let limit = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => limit,
        Err(error) => {
            tracing::warn!(%error, "it is not known how many files may be open");
            return wanted;
        }
    };
    let room = usize::try_from(limit.saturating_sub(RESERVED)).unwrap_or(usize::MAX);
    if room >= wanted {
        return wanted;
    }
    let room = room.max(1);
    tracing::warn!(
        "at most {room} connections are served at once, and not {wanted}, because no more than \
         {limit} files may be open; raise that limit (ulimit -n), or lower --max-connections"
    );
    room
}

#[cfg(test)]
mod tests;
