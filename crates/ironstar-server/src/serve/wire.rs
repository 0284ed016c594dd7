//! What goes over a connection, as far as it tells what the client has taken.
//!
//! Of HTTP/1.1, every byte that is written is part of an answer. Of HTTP/2, only the
//! contents of `DATA` frames are (RFC 9113, section 6.1): a client can have the server
//! write acknowledgements for ever, and take nothing of what it has asked for.

/// What a client of HTTP/2 sends first (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The types of frames that matter here, and the flag that ends a stream.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 1;

/// How many bytes come before the contents of a frame (RFC 9113, section 4.1).
const HEAD: usize = 9;

/// The protocol of a connection, by what its client sends first, and where in it that
/// client is.
#[derive(Debug)]
pub(super) enum Incoming {
    /// So many bytes of the preface have come, and nothing else.
    Begins(usize),
    Http1,
    Http2(Frames),
}

/// Frames of HTTP/2, byte by byte.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; HEAD],
    /// How much of the head has come.
    known: usize,
    /// How much of the contents has not.
    left: usize,
}

/// Something in HTTP/2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    /// So many bytes of a body.
    Data(usize),
    /// The head of a message, which opens a stream if that is new.
    Opened(u32),
    /// The end of one side of a stream.
    Ended(u32),
    /// The end of both.
    Reset(u32),
}

impl Default for Incoming {
    fn default() -> Self {
        Self::Begins(0)
    }
}

impl Incoming {
    /// Goes on with what has come. Tells what that is, if it is HTTP/2.
    pub(super) fn feed(&mut self, mut bytes: &[u8], see: impl FnMut(Seen)) {
        if let Self::Begins(known) = *self {
            let expected = &PREFACE[known..];
            let length = expected.len().min(bytes.len());
            if expected[..length] != bytes[..length] {
                *self = Self::Http1;
                return;
            }
            bytes = &bytes[length..];
            *self = if known + length == PREFACE.len() {
                Self::Http2(Frames::default())
            } else {
                Self::Begins(known + length)
            };
        }
        match self {
            Self::Begins(_) | Self::Http1 => {}
            Self::Http2(frames) => frames.feed(bytes, see),
        }
    }

    pub(super) fn is_http2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }
}

impl Frames {
    /// Goes on with what has come.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut see: impl FnMut(Seen)) {
        while !bytes.is_empty() {
            if self.known < HEAD {
                let length = bytes.len().min(HEAD - self.known);
                self.head[self.known..self.known + length].copy_from_slice(&bytes[..length]);
                self.known += length;
                bytes = &bytes[length..];
                if self.known < HEAD {
                    return;
                }
                let [a, b, c, ..] = self.head;
                self.left = u32::from_be_bytes([0, a, b, c]) as usize;
            }
            let length = bytes.len().min(self.left);
            if length > 0 && self.head[3] == DATA {
                see(Seen::Data(length));
            }
            self.left -= length;
            bytes = &bytes[length..];
            if self.left == 0 {
                self.known = 0;
                self.end(&mut see);
            }
        }
    }

    /// Tells what a frame was that has come to its end.
    fn end(&self, see: &mut impl FnMut(Seen)) {
        let [.., kind, flags, a, b, c, d] = self.head;
        // The first bit is reserved.
        let stream = u32::from_be_bytes([a, b, c, d]) & (u32::MAX >> 1);
        match kind {
            HEADERS => see(Seen::Opened(stream)),
            RST_STREAM => return see(Seen::Reset(stream)),
            _ => {}
        }
        if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            see(Seen::Ended(stream));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Incoming, PREFACE, Seen};

    /// What is seen of bytes that come in parts of this size, and whether they are
    /// HTTP/2.
    fn seen(bytes: &[u8], part: usize) -> (bool, Vec<Seen>) {
        let (mut incoming, mut seen) = (Incoming::default(), Vec::new());
        for part in bytes.chunks(part) {
            incoming.feed(part, |it| seen.push(it));
        }
        (incoming.is_http2(), seen)
    }

    #[test]
    fn frames_are_seen_however_they_are_cut() {
        let frames: &[&[u8]] = &[
            PREFACE,
            b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0",
            b"\0\0\x01\x01\x05\0\0\0\x01\x82",
            b"\0\0\x08\x06\0\0\0\0\0ABCDEFGH",
            b"\0\0\x03\0\0\x80\0\0\x03abc",
            b"\0\0\0\0\x01\0\0\0\x03",
            b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08",
        ];
        let bytes = frames.concat();
        let mut expected = vec![
            Seen::Opened(1),
            Seen::Ended(1),
            Seen::Data(3),
            Seen::Ended(3),
            Seen::Reset(1),
        ];
        assert_eq!(seen(&bytes, bytes.len()), (true, expected.clone()));
        for part in [2, 3, 7, 9, 24, 25] {
            let (is_http2, seen) = seen(&bytes, part);
            let of_data = |it: &Seen| match it {
                Seen::Data(length) => *length,
                Seen::Opened(_) | Seen::Ended(_) | Seen::Reset(_) => 0,
            };
            let data: usize = seen.iter().map(of_data).sum();
            assert_eq!((is_http2, data), (true, 3), "{part}");
        }
        let (_, mut bit_by_bit) = seen(&bytes, 1);
        bit_by_bit.retain(|it| *it != Seen::Data(1));
        expected.retain(|it| *it != Seen::Data(3));
        assert_eq!(bit_by_bit, expected);
    }

    #[test]
    fn what_does_not_begin_as_http_2_is_http_1() {
        for bytes in [&b"GET / HTTP/1.1"[..], b"PUT / ", b"PRI * HTTP/1.1"] {
            for part in [1, 2, 100] {
                assert_eq!(seen(bytes, part), (false, vec![]));
            }
        }
        assert!(!seen(&PREFACE[..23], 5).0);
    }
}
