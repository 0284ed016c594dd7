//! A connection that records the answer bytes that its client takes. Bytes that the client
//! sends are no progress: a request could arrive one byte at a time, for ever.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::activity::Activity;
use super::wire::{Frames, Incoming, Seen};

/// A connection under observation.
#[derive(Debug)]
pub(super) struct Watched {
    stream: TcpStream,
    activity: Arc<Activity>,
    incoming: Incoming,
    outgoing: Frames,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            activity,
            incoming: Incoming::default(),
            outgoing: Frames::default(),
        }
    }

    /// Returns true if an HTTP/1.1 client has half-closed or reset its connection. A client
    /// that waits for a plain answer may half-close, and hyper does not check in that case. A
    /// client of a stream that does so is gone. If it is not gone, this is called again when
    /// it sends bytes or half-closes.
    fn is_gone(&self, context: &mut Context<'_>) -> bool {
        let mut next = [0];
        let peeked = self.stream.poll_peek(context, &mut ReadBuf::new(&mut next));
        matches!(peeked, Poll::Ready(Ok(0) | Err(_)))
    }

    /// Records the bytes of these slices that the socket has taken.
    fn sent<'a>(
        &mut self,
        slices: impl IntoIterator<Item = &'a [u8]>,
        written: &Poll<io::Result<usize>>,
    ) {
        self.activity.block(written.is_pending());
        let Poll::Ready(Ok(mut left)) = *written else {
            return;
        };
        if !self.incoming.is_http2() {
            if left > 0 {
                self.activity.step();
            }
            return;
        }
        let activity = &self.activity;
        let mut ledger = activity.ledger.lock();
        for slice in slices {
            let length = slice.len().min(left);
            left -= length;
            self.outgoing.feed(&slice[..length], |seen| {
                if matches!(seen, Seen::Data(_)) {
                    activity.step();
                }
                ledger.send(seen);
            });
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        let come = &buffer.filled()[before..];
        let activity = &this.activity;
        this.incoming
            .feed(come, |seen| activity.ledger.lock().receive(seen));
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.sent([bytes], &written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.sent(slices.iter().map(|slice| &**slice), &written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Both protocols flush when they have written all pending bytes. In HTTP/2, these are the
    /// bytes that the client has room for.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.incoming.is_http2() {
            this.activity.ledger.lock().flush();
            if this.activity.is_streaming() && this.is_gone(context) {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
        }
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
