//! How much of its answers a client has not taken yet, and what that counts for.
//!
//! What hyper has got of an answer may wait in its buffers for long, until the socket
//! takes it, or, in HTTP/2, until the client makes room for it. An answer that has come
//! to its end goes on counting until all has been taken that was given to hyper by then.
//!
//! A stream that the client resets takes with it what waits of it, and hyper does not
//! say how much that was. So an answer is over as well when all streams are that had
//! begun when it ended.

use std::collections::{BTreeSet, VecDeque};

use ironstar_web::Unread;

use super::wire::Seen;

/// What is on its way to a client.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// How many bytes of answers were given to hyper.
    given: u64,
    /// Of how many it is known that they are not there any more.
    gone: u64,
    /// The streams of HTTP/2 whose answers have not come to their end on the wire.
    open: BTreeSet<u32>,
    /// The newest stream that there was.
    newest: u32,
    /// Answers that hyper has got all of, in the order of their ends.
    ended: VecDeque<Ended>,
}

#[derive(Debug)]
struct Ended {
    /// How much had been given then.
    given: u64,
    /// The newest stream that there was.
    newest: u32,
    _counts: Option<Unread>,
}

impl Ledger {
    /// Takes note of what was given to hyper.
    pub(super) fn give(&mut self, bytes: usize) {
        self.given += bytes as u64;
    }

    /// Takes note of the end of an answer, which counts until it is taken.
    pub(super) fn end(&mut self, counts: Option<Unread>) {
        self.ended.push_back(Ended {
            given: self.given,
            newest: self.newest,
            _counts: counts,
        });
        // The end of an answer of HTTP/1.1 is yet to be written.
        if self.newest > 0 {
            self.settle();
        }
    }

    /// Takes note of what the client sends.
    pub(super) fn receive(&mut self, seen: Seen) {
        match seen {
            Seen::Opened(stream) if stream > self.newest => {
                self.newest = stream;
                self.open.insert(stream);
            }
            Seen::Reset(stream) => self.close(stream),
            Seen::Data(_) | Seen::Opened(_) | Seen::Ended(_) => {}
        }
    }

    /// Takes note of what the socket has taken.
    pub(super) fn send(&mut self, seen: Seen) {
        match seen {
            Seen::Data(bytes) => {
                self.gone = self.given.min(self.gone + bytes as u64);
                self.settle();
            }
            Seen::Ended(stream) | Seen::Reset(stream) => self.close(stream),
            Seen::Opened(_) => {}
        }
    }

    /// Takes note that the socket has taken all that there was.
    pub(super) fn flush(&mut self) {
        self.gone = self.given;
        self.ended.clear();
    }

    /// Whether something is on its way, as far as is known.
    pub(super) fn is_unread(&self) -> bool {
        self.gone < self.given || !self.ended.is_empty()
    }

    fn close(&mut self, stream: u32) {
        if self.open.remove(&stream) {
            self.settle();
        }
    }

    /// Lets go of answers that are over.
    fn settle(&mut self) {
        while let Some(first) = self.ended.front() {
            let is_over = self.open.first().is_none_or(|open| *open > first.newest);
            if first.given > self.gone && !is_over {
                return;
            }
            self.gone = self.gone.max(first.given);
            self.ended.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ledger, Seen};

    /// A ledger of HTTP/2 with these streams open.
    fn with_streams(streams: &[u32]) -> Ledger {
        let mut ledger = Ledger::default();
        for stream in streams {
            ledger.receive(Seen::Opened(*stream));
        }
        ledger
    }

    #[test]
    fn answer_is_unread_until_all_of_it_is_taken() {
        let mut ledger = with_streams(&[1, 3]);
        ledger.give(10);
        ledger.end(None);
        assert!(ledger.is_unread());
        ledger.send(Seen::Data(9));
        assert!(ledger.is_unread());
        ledger.send(Seen::Data(1));
        assert!(!ledger.is_unread());
    }

    #[test]
    fn answer_of_http_1_is_unread_until_all_is_written() {
        let mut ledger = Ledger::default();
        ledger.give(10);
        ledger.end(None);
        assert!(ledger.is_unread());
        ledger.flush();
        assert!(!ledger.is_unread());
        ledger.end(None);
        assert!(ledger.is_unread(), "an answer without a body has a head");
        ledger.flush();
        assert!(!ledger.is_unread());
    }

    #[test]
    fn what_a_reset_takes_with_it_is_not_unread_for_ever() {
        let mut ledger = with_streams(&[1, 3]);
        ledger.give(10);
        ledger.end(None);
        ledger.receive(Seen::Reset(1));
        assert!(ledger.is_unread(), "it may be of the other stream");
        ledger.give(5);
        ledger.send(Seen::Data(5));
        assert!(ledger.is_unread());
        ledger.send(Seen::Ended(3));
        ledger.end(None);
        assert!(!ledger.is_unread());
        // What comes next is counted right.
        ledger.receive(Seen::Opened(5));
        ledger.give(7);
        ledger.end(None);
        assert!(ledger.is_unread());
        ledger.send(Seen::Data(7));
        assert!(!ledger.is_unread());
    }

    #[test]
    fn stream_that_goes_on_does_not_keep_what_was_reset_before_it() {
        let mut ledger = with_streams(&[1]);
        ledger.give(10);
        ledger.end(None);
        ledger.receive(Seen::Opened(3));
        assert!(ledger.is_unread());
        ledger.receive(Seen::Reset(1));
        assert!(!ledger.is_unread());
    }
}
