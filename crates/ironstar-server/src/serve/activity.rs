//! Whether anything happens on a connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

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
    /// Counts requests, their ends, and every time that the client takes
    /// something of an answer. It may wrap around.
    steps: AtomicUsize,
    /// Whether something is to be sent that the client does not take.
    is_blocked: AtomicBool,
}

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub(super) struct Answering(Arc<Activity>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answering.fetch_sub(1, Relaxed);
        self.0.steps.fetch_add(1, Relaxed);
    }
}

impl Activity {
    /// Takes note of a request.
    pub(super) fn begin(self: &Arc<Self>) -> Answering {
        self.answering.fetch_add(1, Relaxed);
        self.steps.fetch_add(1, Relaxed);
        Answering(Arc::clone(self))
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
            let is_blocked = self.is_blocked.load(Relaxed);
            if steps != seen || (is_answering && !is_blocked) {
                unread = Duration::ZERO;
            } else if is_blocked {
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
