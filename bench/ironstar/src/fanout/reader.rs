//! The state of one client's stream: an HTTP/1.1 response in chunks, which contain
//! server-sent events. Only the ids of the events matter. Chunks and events may be split
//! anywhere, so state machines read both. They need very little memory.

use anyhow::{bail, ensure};
use memchr::memchr;

/// The reading state of one client.
#[derive(Debug, Default)]
pub(super) struct Reader {
    framing: Framing,
    line: Line,
    /// The id of the present event, or of the last one.
    id: Option<u64>,
    /// The id of the newest complete event.
    seen: Option<u64>,
}

/// The place in the response.
#[derive(Clone, Copy, Debug)]
enum Framing {
    /// In the head. This many bytes of the end of the head match.
    Head { status: usize, end: usize },
    /// In the size of a chunk.
    Size(usize),
    /// Behind the size of a chunk, up to the end of the line.
    AfterSize(usize),
    /// In a chunk, of which this many bytes are left.
    Data(usize),
    /// Between a chunk and the next size.
    AfterData,
}

/// The place in a line of an event.
#[derive(Clone, Copy, Debug)]
enum Line {
    /// At the beginning, where this many bytes match those of an id.
    Id(usize),
    /// In the number of an id.
    Number(u64),
    /// In the mark behind the number of an id.
    Mark(u64),
    /// In a line that does not matter.
    Other,
}

const STATUS: &[u8] = b"HTTP/1.1 200";
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
const ID: &[u8] = b"id: ";

impl Default for Framing {
    fn default() -> Self {
        Self::Head { status: 0, end: 0 }
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::Id(0)
    }
}

impl Reader {
    /// The id of the newest complete event.
    pub(super) fn seen(&self) -> Option<u64> {
        self.seen
    }

    /// Reads the bytes that have arrived. Appends the bytes of events to `kept`.
    pub(super) fn read(
        &mut self,
        mut bytes: &[u8],
        mut kept: Option<&mut Vec<u8>>,
    ) -> anyhow::Result<()> {
        while let [byte, rest @ ..] = bytes {
            if let Framing::Data(left) = self.framing {
                let (data, rest) = bytes.split_at(left.min(bytes.len()));
                self.read_events(data);
                if let Some(kept) = &mut kept {
                    kept.extend_from_slice(data);
                }
                bytes = rest;
                self.framing = match left - data.len() {
                    0 => Framing::AfterData,
                    left => Framing::Data(left),
                };
            } else {
                self.framing = self.framing.after(*byte)?;
                bytes = rest;
            }
        }
        Ok(())
    }

    fn read_events(&mut self, mut bytes: &[u8]) {
        while let [byte, rest @ ..] = bytes {
            bytes = rest;
            self.line = match (self.line, *byte) {
                (Line::Other, b'\n') => Line::default(),
                (Line::Other, _) => {
                    let Some(end) = memchr(b'\n', rest) else {
                        return;
                    };
                    bytes = &rest[end + 1..];
                    Line::default()
                }
                (Line::Id(0), b'\n') => {
                    self.seen = self.id;
                    Line::default()
                }
                (Line::Id(matched), byte) if byte == ID[matched] => match matched + 1 {
                    all if all == ID.len() => Line::Number(0),
                    matched => Line::Id(matched),
                },
                (Line::Number(number), digit @ b'0'..=b'9') => {
                    Line::Number(number * 10 + u64::from(digit - b'0'))
                }
                (Line::Number(number), b'.') => Line::Mark(number),
                (Line::Mark(number), byte) if byte != b'\n' => Line::Mark(number),
                (Line::Number(number) | Line::Mark(number), b'\n') => {
                    self.id = Some(number);
                    Line::default()
                }
                (Line::Id(_), b'\n') => Line::default(),
                (Line::Id(_) | Line::Number(_) | Line::Mark(_), _) => Line::Other,
            };
        }
    }
}

impl Framing {
    /// Returns the place after a byte that is not in a chunk.
    fn after(self, byte: u8) -> anyhow::Result<Self> {
        Ok(match (self, byte) {
            (Self::Head { status, end }, _) => {
                ensure!(
                    STATUS.get(status).is_none_or(|expected| *expected == byte),
                    "a stream was refused"
                );
                let end = match byte {
                    byte if byte == END_OF_HEAD[end] => end + 1,
                    b'\r' => 1,
                    _ => 0,
                };
                let status = (status + 1).min(STATUS.len());
                match end {
                    end if end == END_OF_HEAD.len() => Self::Size(0),
                    end => Self::Head { status, end },
                }
            }
            (Self::Size(size), byte) => match (byte as char).to_digit(16) {
                Some(digit) => Self::Size(size * 16 + digit as usize),
                None => Self::AfterSize(size),
            },
            (Self::AfterSize(0), b'\n') => bail!("a stream has ended"),
            (Self::AfterSize(size), b'\n') => Self::Data(size),
            (Self::AfterData, b'\n') => Self::Size(0),
            (Self::AfterSize(_) | Self::AfterData | Self::Data(_), _) => self,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Reader;

    const HEAD: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    const FIRST: &str = "event: patch\ndata: idle\ndata: id: 9\nid: 41.k3f9a2\n\n";
    const SECOND: &str = ":\n\ndata: x\nid: 42\n\n";

    fn chunks(texts: &[&str]) -> String {
        let mut response = HEAD.to_owned();
        for text in texts {
            response.push_str(&format!("{:x}\r\n{text}\r\n", text.len()));
        }
        response
    }

    #[test]
    fn events_may_be_split_anywhere() {
        let (start, end) = SECOND.split_at(SECOND.len() - 3);
        let response = chunks(&[FIRST, start, end]);
        for step in 1..response.len() {
            let mut reader = Reader::default();
            let mut kept = Vec::new();
            for part in response.as_bytes().chunks(step) {
                reader.read(part, Some(&mut kept)).expect("a stream");
            }
            assert_eq!(reader.seen(), Some(42), "in steps of {step}");
            assert_eq!(kept, format!("{FIRST}{SECOND}").as_bytes());
        }
    }

    #[test]
    fn event_counts_after_its_end() {
        let response = chunks(&[FIRST, SECOND]);
        let mut reader = Reader::default();
        let (most, end) = response.as_bytes().split_at(response.len() - 3);
        reader.read(most, None).expect("a stream");
        assert_eq!(reader.seen(), Some(41));
        reader.read(end, None).expect("a stream");
        assert_eq!(reader.seen(), Some(42));
    }

    #[test]
    fn refused_or_ended_stream_is_an_error() {
        let refused = HEAD.replace("200 OK", "503 Service Unavailable");
        for response in [refused, chunks(&[FIRST, ""])] {
            let mut reader = Reader::default();
            reader
                .read(response.as_bytes(), None)
                .expect_err("no stream");
        }
    }
}
