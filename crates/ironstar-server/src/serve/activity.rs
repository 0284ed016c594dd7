//! Measures the progress of a client. A client makes progress when it sends requests and takes
//! the answers. No other traffic counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use ironstar_web::Unread;
use parking_lot::Mutex;
use tokio::time::sleep;

use super::ledger::Ledger;

/// The time that a client may let the server wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Without a request, or without the end of a request's head.
    pub(super) quiet: Duration,
    /// Without reading the answer.
    pub(super) unread: Duration,
}

/// The state of a connection.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// The number of requests that are being answered.
    answering: AtomicUsize,
    /// The number of those requests that wait for the server, which has nothing to send yet,
    /// and not for the client. An HTTP/2 client can hold an answer back without sending
    /// anything.
    waiting: AtomicUsize,
    /// The number of answers that are streams, which have no end of their own.
    streaming: AtomicUsize,
    /// Counts requests, their ends, and each time that the client takes a part of an answer.
    /// It may wrap around.
    steps: AtomicUsize,
    /// Is true while the socket does not take bytes that are ready to be sent.
    is_blocked: AtomicBool,
    /// The bytes of answers that the client has not taken yet.
    pub(super) ledger: Mutex<Ledger>,
}

/// A request in progress. Dropping it ends the request.
#[derive(Debug)]
pub(super) struct Answering {
    activity: Arc<Activity>,
    is_waiting: bool,
    is_streaming: bool,
    /// The answer's share of the client's limit, held until the client has taken the answer.
    counts: Option<Unread>,
}

impl Answering {
    /// Adds the answer: its share of the client's limit, and whether it is a stream.
    pub(super) fn with(mut self, counts: Option<Unread>, is_streaming: bool) -> Self {
        self.wait(false);
        self.counts = counts;
        self.is_streaming = is_streaming;
        if is_streaming {
            self.activity.streaming.fetch_add(1, Relaxed);
        }
        self
    }

    /// Records that this many bytes of the answer were given to hyper.
    pub(super) fn give(&self, bytes: usize) {
        self.activity.ledger.lock().give(bytes);
    }

    /// Records whether the answer waits for the server.
    pub(super) fn wait(&mut self, is_waiting: bool) {
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
        if self.is_streaming {
            self.activity.streaming.fetch_sub(1, Relaxed);
        }
        self.activity.ledger.lock().end(self.counts.take());
        self.activity.answering.fetch_sub(1, Relaxed);
        self.activity.steps.fetch_add(1, Relaxed);
    }
}

impl Activity {
    /// Records the start of a request.
    pub(super) fn begin(self: &Arc<Self>) -> Answering {
        self.answering.fetch_add(1, Relaxed);
        self.waiting.fetch_add(1, Relaxed);
        self.steps.fetch_add(1, Relaxed);
        Answering {
            activity: Arc::clone(self),
            is_waiting: true,
            is_streaming: false,
            counts: None,
        }
    }

    /// Waits until the client has used up the server's patience. Checks at intervals and not
    /// at each step, so it takes up to twice the allowed time.
    pub(super) async fn ceases(&self, patience: Patience) {
        let mut seen = self.steps.load(Relaxed);
        let mut unread = Duration::ZERO;
        loop {
            sleep(patience.quiet).await;
            let steps = self.steps.load(Relaxed);
            let is_unread = self.ledger.lock().is_unread();
            let is_answering = self.answering.load(Relaxed) > 0;
            let is_blocked = self.is_blocked.load(Relaxed) || is_unread;
            let waits_for_server = self.waiting.load(Relaxed) > 0 && !is_blocked;
            if steps != seen || waits_for_server {
                unread = Duration::ZERO;
            } else if is_unread || is_answering {
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

    /// Returns true if one of the answers is a stream.
    pub(super) fn is_streaming(&self) -> bool {
        self.streaming.load(Relaxed) > 0
    }

    /// Records that the client has taken a part of an answer.
    pub(super) fn step(&self) {
        self.steps.fetch_add(1, Relaxed);
    }

    /// Records whether the socket refuses bytes that are ready to be sent.
    pub(super) fn block(&self, is_blocked: bool) {
        self.is_blocked.store(is_blocked, Relaxed);
    }
}
