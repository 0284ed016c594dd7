//! Serves connections, and closes those that make no progress.
//!
//! HTTP/1.1 and HTTP/2 are served on the same port. A connection may be quiet for a while:
//! before its first request, within the head of a request, or between two requests. If a
//! client asks for nothing for longer than that, or does not read its answers, the server
//! closes the connection. This is measured here and not left to hyper's `header_read_timeout`.
//! That timeout covers neither the bytes by which the two protocols are told apart nor
//! anything of HTTP/2.
//!
//! Only requests, and answer bytes that the client takes, count as progress (`activity`, which
//! learns of them from `watched` and `wire`). Answer bytes that the client has not taken count
//! against its limit (`ledger`). The time limit for the body of a request belongs to the web
//! layer.

mod activity;
mod body;
mod ledger;
mod watched;
mod wire;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, header};
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use ironstar_web::{Allowance, Client, Taken};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use self::activity::{Activity, Patience};
use self::watched::Watched;
use self::wire::PREFACE;

/// The server's patience with clients.
const PATIENCE: Patience = Patience {
    quiet: Duration::from_secs(10),
    // The same as nginx's time limit between two writes.
    unread: Duration::from_secs(60),
};

/// The server's patience once a connection has been asked to end.
const FAREWELL: Patience = Patience {
    quiet: Duration::from_secs(1),
    unread: Duration::from_secs(1),
};

/// The maximum size in bytes of a request's head, and of one write.
const BUFFER: usize = 64 * 1024;

/// The number of requests that an HTTP/2 client may have in progress on a connection. A
/// smaller number is not recommended (RFC 9113, section 6.5.2), and each open page takes one.
const STREAMS: u32 = 100;

/// The number of bytes that an HTTP/2 client may send before they are read, on a stream and on
/// a connection. The server reads them at once, unless it does not want them.
const STREAM_WINDOW: u32 = 64 * 1024;
const WINDOW: u32 = 256 * 1024;

/// The number of bytes of an answer that HTTP/2 holds while the client has no room for them.
/// After that it asks for one more part. The web layer counts this much for a stream.
const KEPT: usize = 32 * 1024;

/// The number of connections, for each client with too many, on which the server sends a
/// refusal at the same time. Further connections are closed without an answer.
const TOLD: u64 = 16;

/// The number of files and sockets that the server needs for itself: the database, the log,
/// and files that libraries open for a moment.
const RESERVED: u64 = 100;

/// The maximum number of open connections, unless the operator sets another one.
const USUAL: usize = 20_000;

/// The limits on the number of connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// For all clients together. Further connections wait to be accepted.
    pub(crate) all: usize,
    /// For one client; further connections are refused. `None` means no limit.
    pub(crate) each: Option<u64>,
}

/// The share of the limits that a connection holds until it ends.
#[derive(Debug)]
struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_client: Option<Taken>,
}

/// The router of a connection, and the patience with its client.
#[derive(Clone)]
struct Terms {
    router: Router,
    patience: Patience,
}

/// Admits or refuses connections.
struct Door {
    /// Counts the connections of each client.
    clients: Option<Arc<Allowance>>,
    /// Counts the connections of each client on which a refusal is sent.
    told: Arc<Allowance>,
    welcome: Terms,
    refusal: Terms,
}

impl Door {
    fn new(router: Router, each: Option<u64>) -> Self {
        let most = each.unwrap_or(u64::MAX);
        let refusal = async move || {
            let close = [(header::CONNECTION, HeaderValue::from_static("close"))];
            (close, ironstar_web::too_many_connections(most))
        };
        Self {
            clients: each.map(|each| Arc::new(Allowance::new(each))),
            told: Arc::new(Allowance::new(TOLD)),
            welcome: Terms {
                router,
                patience: PATIENCE,
            },
            refusal: Terms {
                router: Router::new().fallback(refusal),
                patience: FAREWELL,
            },
        }
    }

    /// Returns the terms for a client's connection and its share of the client's limit.
    /// Returns `None` if the connection is to be closed without an answer.
    fn admit(&self, peer: SocketAddr) -> Option<(Terms, Option<Taken>)> {
        let Some(clients) = &self.clients else {
            return Some((self.welcome.clone(), None));
        };
        let client = Client::at(peer.ip());
        let (terms, taken) = match clients.take(client, 1) {
            Ok(taken) => (&self.welcome, taken),
            Err(_) => (&self.refusal, self.told.take(client, 1).ok()?),
        };
        Some((terms.clone(), Some(taken)))
    }
}

/// Serves until `shutdown` is cancelled. Then no further connection is accepted, and connected
/// clients get their answers. The returned tracker is empty once all connections have ended.
pub(crate) async fn serve(
    listener: &mut TcpListener,
    router: Router,
    room: Room,
    shutdown: CancellationToken,
) -> TaskTracker {
    let door = Door::new(router, room.each);
    let room = Arc::new(Semaphore::new(room.all));
    let connections = TaskTracker::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&room).acquire_owned().await;
            let place = place.expect("the semaphore is never closed");
            // Logs errors, such as too many open files, and waits a while before it tries
            // again.
            let (stream, peer) = Listener::accept(&mut *listener).await;
            (place, stream, peer)
        };
        let (place, stream, peer) = tokio::select! {
            accepted = accepted => accepted,
            () = shutdown.cancelled() => break,
        };
        let Some((terms, taken)) = door.admit(peer) else {
            continue;
        };
        let place = Place {
            _of_all: place,
            _of_client: taken,
        };
        // Not within another future, in which its state would take twice the memory.
        connections.spawn(connection(stream, peer, terms, shutdown.clone(), place));
    }
    connections.close();
    connections
}

/// Serves one connection to its end, and holds its place until then.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    terms: Terms,
    shutdown: CancellationToken,
    _place: Place,
) {
    if let Err(error) = stream.set_nodelay(true) {
        // The only effect is slower answers.
        tracing::debug!(%error, "cannot set TCP_NODELAY; small packets may be delayed");
    }
    let Terms { router, patience } = terms;
    let activity = Arc::new(Activity::default());
    let mut ceases = pin!(activity.ceases(patience));
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
            response.map(|response| body::answer(response, answering))
        }
    });
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
    let builder = protocols(is_http1);
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

/// Returns a server for the protocols of a connection.
fn protocols(is_http1: bool) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // A client may half-close the connection and still wait for an answer (`watched`).
    builder.http1().max_buf_size(BUFFER).half_close(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(KEPT);
    if is_http1 {
        builder = builder.http1_only();
    }
    builder
}

/// Waits for the first bytes of a connection. Returns true if they cannot be the beginning of
/// HTTP/2. hyper could also tell the protocols apart. But it would read these bytes first, and
/// then the rest of the head into a buffer of twice the size, which the connection keeps to
/// its end.
async fn begins_as_http1(stream: &TcpStream) -> bool {
    let mut first = [0; PREFACE.len()];
    // The same error appears again when the connection is read.
    let peeked = stream.peek(&mut first).await;
    peeked.is_ok_and(|length| !PREFACE.starts_with(&first[..length]))
}

/// Logs the early end of a connection for debugging only: clients may end connections at any
/// time.
fn note<E: std::fmt::Display>(ended: Result<(), E>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended with an error");
    }
}

/// Makes room for connections, each of which takes an open file. Aims for the operator's
/// number, or else for [`USUAL`]. Returns the number of connections that there is room for.
pub(crate) fn make_room(asked: Option<usize>) -> usize {
    let wanted = asked.unwrap_or(USUAL);
    let limit = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => limit,
        Err(error) => {
            tracing::warn!(%error, "cannot determine the limit on open files");
            return wanted;
        }
    };
    let room = usize::try_from(limit.saturating_sub(RESERVED)).unwrap_or(usize::MAX);
    if room >= wanted {
        return wanted;
    }
    let room = room.max(1);
    match asked {
        None => tracing::info!(
            "at most {room} connections are served at once, because no more than {limit} files \
             may be open (ulimit -n)"
        ),
        Some(asked) => tracing::warn!(
            "at most {room} connections are served at once, and not {asked}, because no more than \
             {limit} files may be open; raise that limit (ulimit -n), or lower --max-connections"
        ),
    }
    room
}

#[cfg(test)]
mod tests;
