//! Whether a client makes progress: whether it asks for something, and takes what it
//! has asked for. Nothing else counts, whatever goes to and fro.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ironstar_web::Unread;
use tokio::time::sleep;

use super::ledger::Ledger;

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
    /// How many of the answers are streams, which do not end by themselves.
    streaming: AtomicUsize,
    /// Counts requests, their ends, and every time that the client takes
    /// something of an answer. It may wrap around.
    steps: AtomicUsize,
    /// Whether something is to be sent that the client does not take.
    is_blocked: AtomicBool,
    /// What the client has not taken yet.
    ledger: Mutex<Ledger>,
}

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub(super) struct Answering {
    activity: Arc<Activity>,
    is_waiting: bool,
    is_streaming: bool,
    /// What the answer counts for, until the client has taken it.
    counts: Option<Unread>,
}

impl Answering {
    /// The same, with an answer: what it counts for, and whether it is a stream.
    pub(super) fn with(mut self, counts: Option<Unread>, is_streaming: bool) -> Self {
        self.wait(false);
        self.counts = counts;
        self.is_streaming = is_streaming;
        if is_streaming {
            self.activity.streaming.fetch_add(1, Relaxed);
        }
        self
    }

    /// Takes note that so many bytes of the answer were given to hyper.
    pub(super) fn give(&self, bytes: usize) {
        self.activity.ledger().give(bytes);
    }

    /// Takes note of whether the answer waits for the server.
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
        self.activity.ledger().end(self.counts.take());
        self.activity.answering.fetch_sub(1, Relaxed);
        self.activity.steps.fetch_add(1, Relaxed);
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
            is_streaming: false,
            counts: None,
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
            let is_unread = self.ledger().is_unread();
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

    /// Whether one of the answers is a stream.
    pub(super) fn is_streaming(&self) -> bool {
        self.streaming.load(Relaxed) > 0
    }

    /// Takes note that the client has taken something of an answer.
    pub(super) fn step(&self) {
        self.steps.fetch_add(1, Relaxed);
    }

    /// Takes note of whether the socket takes what is to be sent.
    pub(super) fn block(&self, is_blocked: bool) {
        self.is_blocked.store(is_blocked, Relaxed);
    }

    /// What the client has not taken yet.
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // The ledger is whole between any two calls.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
