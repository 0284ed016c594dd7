//! Counts the answer bytes that a client has not taken yet.
//!
//! hyper may hold bytes of an answer in its buffers for long: until the socket takes them, or,
//! in HTTP/2, until the client makes room for them. An answer that has ended therefore
//! continues to count until all bytes that hyper held at that time have been taken.
//!
//! A reset of a stream discards the bytes that wait for that stream, and hyper does not tell
//! their number. So an answer also stops counting once all streams that had begun by its end
//! are closed.

use std::collections::{BTreeSet, VecDeque};

use ironstar_web::Unread;

use super::wire::Seen;

/// The bytes on their way to a client.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The number of bytes of answers that were given to hyper.
    given: u64,
    /// The number of those bytes that are known to be gone from hyper's buffers.
    gone: u64,
    /// The HTTP/2 streams whose answers have not ended on the wire.
    open: BTreeSet<u32>,
    /// The newest stream so far.
    newest: u32,
    /// The answers that hyper holds or has sent completely, in the order of their ends.
    ended: VecDeque<Ended>,
}

#[derive(Debug)]
struct Ended {
    /// The value of `given` at the end of the answer.
    given: u64,
    /// The newest stream at that time.
    newest: u32,
    _counts: Option<Unread>,
}

impl Ledger {
    /// Records bytes that were given to hyper.
    pub(super) fn give(&mut self, bytes: usize) {
        self.given += bytes as u64;
    }

    /// Records the end of an answer, which counts until the client has taken it.
    pub(super) fn end(&mut self, counts: Option<Unread>) {
        self.ended.push_back(Ended {
            given: self.given,
            newest: self.newest,
            _counts: counts,
        });
        // In HTTP/1.1, the end of the answer has not been written yet.
        if self.newest > 0 {
            self.settle();
        }
    }

    /// Records a message from the client.
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

    /// Records bytes that the socket has taken.
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

    /// Records that the socket has taken all bytes.
    pub(super) fn flush(&mut self) {
        self.gone = self.given;
        self.ended.clear();
    }

    /// Returns true if bytes are on their way, as far as is known.
    pub(super) fn is_unread(&self) -> bool {
        self.gone < self.given || !self.ended.is_empty()
    }

    fn close(&mut self, stream: u32) {
        if self.open.remove(&stream) {
            self.settle();
        }
    }

    /// Removes answers that no longer count.
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

    /// Returns a ledger of HTTP/2 with these streams open.
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
    fn bytes_of_a_reset_stream_do_not_stay_unread_for_ever() {
        let mut ledger = with_streams(&[1, 3]);
        ledger.give(10);
        ledger.end(None);
        ledger.receive(Seen::Reset(1));
        assert!(
            ledger.is_unread(),
            "the bytes may belong to the other stream"
        );
        ledger.give(5);
        ledger.send(Seen::Data(5));
        assert!(ledger.is_unread());
        ledger.send(Seen::Ended(3));
        ledger.end(None);
        assert!(!ledger.is_unread());
        // The next answer is counted correctly.
        ledger.receive(Seen::Opened(5));
        ledger.give(7);
        ledger.end(None);
        assert!(ledger.is_unread());
        ledger.send(Seen::Data(7));
        assert!(!ledger.is_unread());
    }

    #[test]
    fn open_stream_does_not_keep_an_older_reset_answer_unread() {
        let mut ledger = with_streams(&[1]);
        ledger.give(10);
        ledger.end(None);
        ledger.receive(Seen::Opened(3));
        assert!(ledger.is_unread());
        ledger.receive(Seen::Reset(1));
        assert!(!ledger.is_unread());
    }
}
