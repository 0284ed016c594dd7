//! Serves connections, and gets rid of those that only take up room.
//!
//! HTTP/1.1 and HTTP/2 are served on the same port. A connection may be quiet
//! for a while: before its first request, within the head of one, or between
//! two. A client that asks for nothing for longer than that is cut off, and so
//! is one that does not read what it is sent. That is measured here, and not
//! left to hyper's `header_read_timeout`, which neither covers the bytes by
//! which the two protocols are told apart nor anything of HTTP/2.
//!
//! Only what is asked, and what is taken of answers, is progress (`activity`, by what
//! `watched` and `wire` see). What is not taken counts until it is (`ledger`). How long
//! the body of a request may take is the web layer's business.

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

/// How many requests a client of HTTP/2 may have under way on a connection: no fewer
/// are recommended (RFC 9113, section 6.5.2), and each page that is open takes one.
const STREAMS: u32 = 100;

/// How many bytes a client of HTTP/2 may send before they are read, on a stream and on
/// a connection. They are read at once, unless the server does not want them.
const STREAM_WINDOW: u32 = 64 * 1024;
const WINDOW: u32 = 256 * 1024;

/// How much HTTP/2 keeps of an answer that the client has no room for, before it asks
/// for one part more. The web layer counts that much for a stream.
const KEPT: usize = 32 * 1024;

/// How many clients that have too many connections are told so at once, of each. More
/// are cut off without a word.
const TOLD: u64 = 16;

/// How many files and sockets the server needs for itself: the database, the
/// log, and what libraries open for a moment.
const RESERVED: u64 = 100;

/// How many connections may be open unless the operator asks for another number.
const USUAL: usize = 20_000;

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// In all. Further ones wait to be accepted.
    pub(crate) all: usize,
    /// From one client; further ones are refused. Nothing: any number.
    pub(crate) each: Option<u64>,
}

/// What a connection takes up, for as long as it is there.
#[derive(Debug)]
struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_client: Option<Taken>,
}

/// What is served on a connection, and how patiently.
#[derive(Clone)]
struct Terms {
    router: Router,
    patience: Patience,
}

/// Who is let in.
struct Door {
    /// Counts the connections of each client.
    clients: Option<Arc<Allowance>>,
    /// And those on which one is told that there are too many.
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

    /// What is served to a client, and what counts as long as it is. Nothing, if it is
    /// cut off.
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

/// Serves until told to stop. Then no client is accepted any more, and clients that are
/// connected get their answers: that is over when the tracker is empty.
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
        let Some((terms, taken)) = door.admit(peer) else {
            continue;
        };
        let place = Place {
            _of_all: place,
            _of_client: taken,
        };
        // As it is: inside another future it would take its room twice.
        connections.spawn(connection(stream, peer, terms, shutdown.clone(), place));
    }
    connections.close();
    connections
}

/// Serves one connection to its end, for which it takes up its place.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    terms: Terms,
    shutdown: CancellationToken,
    _place: Place,
) {
    if let Err(error) = stream.set_nodelay(true) {
        // It only makes answers slower.
        tracing::debug!(%error, "small packets are held back");
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

/// What is spoken on a connection.
fn protocols(is_http1: bool) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // A client that sends nothing more may wait for an answer (`watched`).
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

/// Makes room for connections, each of which takes an open file: for as many as the
/// operator asks for, or else for as many as there may be, up to [`USUAL`]. Returns
/// for how many there is room.
pub(crate) fn make_room(asked: Option<usize>) -> usize {
    let wanted = asked.unwrap_or(USUAL);
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
