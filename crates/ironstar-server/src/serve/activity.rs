//! Whether anything happens on a connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;

/// How long a client may let the server wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// When it has asked for nothing, or not to the end of a request's head.
    pub(super) quiet: Duration,
    /// When it does not read the answer.
    pub(super) unread: Duration,
}

/// What happens on a connection.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// How many requests are being answered.
    answering: AtomicUsize,
    /// How many of them wait for the server, and not for the client: it has
    /// nothing to send yet. A client of HTTP/2 can keep an answer back without
    /// a word to the network.
    waiting: AtomicUsize,
    /// Counts requests, their ends, and every time that the client takes
    /// something of an answer. It may wrap around.
    steps: AtomicUsize,
    /// Whether something is to be sent that the client does not take.
    is_blocked: AtomicBool,
}

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub(super) struct Answering {
    activity: Arc<Activity>,
    is_waiting: bool,
}

impl Answering {
    /// The body of the answer, which is asked for what it holds only when the
    /// client has room for it.
    pub(super) fn with(mut self, body: Body) -> Answer {
        self.wait(false);
        Answer {
            body,
            answering: self,
        }
    }

    fn wait(&mut self, is_waiting: bool) {
        if is_waiting && !self.is_waiting {
            self.activity.waiting.fetch_add(1, Relaxed);
        } else if !is_waiting && self.is_waiting {
            self.activity.waiting.fetch_sub(1, Relaxed);
        }
        self.is_waiting = is_waiting;
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.wait(false);
        self.activity.answering.fetch_sub(1, Relaxed);
        self.activity.steps.fetch_add(1, Relaxed);
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    answering: Answering,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.answering.wait(frame.is_pending());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Activity {
    /// Takes note of a request.
    pub(super) fn begin(self: &Arc<Self>) -> Answering {
        self.answering.fetch_add(1, Relaxed);
        self.waiting.fetch_add(1, Relaxed);
        self.steps.fetch_add(1, Relaxed);
        Answering {
            activity: Arc::clone(self),
            is_waiting: true,
        }
    }

    /// Waits until the client has used the server's patience up. Looks now and
    /// then rather than at each step, so it takes up to twice as long as to
    /// be quiet.
    pub(super) async fn ceases(&self, patience: Patience) {
        let mut seen = self.steps.load(Relaxed);
        let mut unread = Duration::ZERO;
        loop {
            sleep(patience.quiet).await;
            let steps = self.steps.load(Relaxed);
            let is_answering = self.answering.load(Relaxed) > 0;
            let is_waiting = self.waiting.load(Relaxed) > 0;
            let is_blocked = self.is_blocked.load(Relaxed);
            if steps != seen || (is_waiting && !is_blocked) {
                unread = Duration::ZERO;
            } else if is_blocked || is_answering {
                unread += patience.quiet;
                if unread >= patience.unread {
                    return;
                }
            } else {
                return;
            }
            seen = steps;
        }
    }

    fn note<T>(&self, written: &Poll<io::Result<T>>) {
        self.is_blocked.store(written.is_pending(), Relaxed);
        if written.is_ready() {
            self.steps.fetch_add(1, Relaxed);
        }
    }
}

/// A connection that notes what its client takes. What the client sends does
/// not count: a request could come one byte at a time, for ever.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.activity.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.activity.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
