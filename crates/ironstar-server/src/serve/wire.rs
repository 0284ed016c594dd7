//! Reads the traffic of a connection to find the answer bytes that the client has taken.
//!
//! In HTTP/1.1, every written byte is part of an answer. In HTTP/2, only the contents of
//! `DATA` frames are (RFC 9113, section 6.1): a client can make the server write
//! acknowledgements for ever without taking any byte of an answer.

/// The first bytes from an HTTP/2 client (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The types of frames that matter here, and the flag that ends a stream.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 1;

/// The number of bytes before the contents of a frame (RFC 9113, section 4.1).
const HEAD: usize = 9;

/// The protocol of a connection, recognized by the client's first bytes, and the state of its
/// parser.
#[derive(Debug)]
pub(super) enum Incoming {
    /// The connection has begun with this many bytes of the preface, and no others.
    Begins(usize),
    Http1,
    Http2(Frames),
}

/// A parser for HTTP/2 frames, which takes bytes in pieces of any size.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; HEAD],
    /// The number of bytes of the head that have arrived.
    known: usize,
    /// The number of bytes of the contents that have not arrived yet.
    left: usize,
}

/// An event in HTTP/2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    /// This many bytes of a body.
    Data(usize),
    /// The head of a message. It opens the stream if the stream is new.
    Opened(u32),
    /// The end of one side of a stream.
    Ended(u32),
    /// The end of both sides.
    Reset(u32),
}

impl Default for Incoming {
    fn default() -> Self {
        Self::Begins(0)
    }
}

impl Incoming {
    /// Reads the next bytes. Reports the events in them, if the protocol is HTTP/2.
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
    /// Reads the next bytes and reports the events in them.
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

    /// Reports the events at the end of a frame.
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

    /// Returns the events in bytes that arrive in parts of this size, and whether they are
    /// HTTP/2.
    fn seen(bytes: &[u8], part: usize) -> (bool, Vec<Seen>) {
        let (mut incoming, mut seen) = (Incoming::default(), Vec::new());
        for part in bytes.chunks(part) {
            incoming.feed(part, |it| seen.push(it));
        }
        (incoming.is_http2(), seen)
    }

    #[test]
    fn frames_are_recognized_in_parts_of_any_size() {
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
    fn connection_without_http_2_preface_is_http_1() {
        for bytes in [&b"GET / HTTP/1.1"[..], b"PUT / ", b"PRI * HTTP/1.1"] {
            for part in [1, 2, 100] {
                assert_eq!(seen(bytes, part), (false, vec![]));
            }
        }
        assert!(!seen(&PREFACE[..23], 5).0);
    }
}
