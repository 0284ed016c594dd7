//! Compresses streams with gzip (RFC 1952), if the operator wants that.
//!
//! To compress each client's stream separately would cost hundreds of kilobytes for each
//! client, and would repeat the same work. Here each chunk is compressed once for all clients.
//! It becomes deflate blocks (RFC 1951) that refer to no earlier data and end at a byte
//! boundary, so they fit into any stream. Only the checksum is separate for each client. A
//! chunk goes out at once, and never waits for the next one.
//!
//! The price is that a chunk cannot refer to earlier chunks, so a patch shrinks less than it
//! could. Whole pages shrink as well as with separate compression.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress};
use futures::{Stream, StreamExt};
use parking_lot::Mutex;

/// The number of compressed chunks that are kept. It is larger than the number of chunks that
/// many clients receive at the same time.
const KEPT: usize = 64;

/// The minimum size of a chunk that is kept, in bytes. Shorter chunks, such as the marks of a
/// bundle, often belong to one client, and would displace chunks that many clients receive.
const SHORT: usize = 64;

/// A gzip header: deflate, without a name or a time, and with an unknown operating system.
const HEADER: Bytes = Bytes::from_static(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);

/// The last block. It is empty.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// Compresses each chunk once.
#[derive(Debug)]
pub(crate) struct Packer(Mutex<Packed>);

#[derive(Debug)]
struct Packed {
    compress: Compress,
    /// The newest chunks, plain and compressed. Holding a plain chunk also keeps its address in
    /// memory valid, by which [`Packer::pack`] finds it.
    recent: VecDeque<(Bytes, Bytes)>,
}

/// The compressed stream of a client.
struct Packing {
    plain: BodyDataStream,
    packer: Arc<Packer>,
    checksum: Hasher,
    /// The number of plain bytes so far, modulo 2^32.
    length: u32,
    state: Progress,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Progress {
    Before,
    Under,
    After,
}

impl Packer {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Packed {
            compress: Compress::new(Compression::default(), false),
            recent: VecDeque::with_capacity(KEPT),
        }))
    }

    /// Compresses a chunk into blocks that fit into any stream. Chunks that share the same bytes
    /// in memory are compressed once, unless they are short.
    fn pack(&self, chunk: &Bytes) -> Bytes {
        if chunk.len() < SHORT {
            return stored(chunk);
        }
        let mut packed = self.0.lock();
        let is_same =
            |known: &Bytes| known.as_ptr() == chunk.as_ptr() && known.len() == chunk.len();
        let mut recent = packed.recent.iter().rev();
        if let Some((_, blocks)) = recent.find(|(known, _)| is_same(known)) {
            return blocks.clone();
        }
        let blocks = deflate(&mut packed.compress, chunk);
        if packed.recent.len() == KEPT {
            packed.recent.pop_front();
        }
        packed.recent.push_back((chunk.clone(), blocks.clone()));
        blocks
    }
}

/// A short chunk as a block of uncompressed bytes (RFC 1951, section 3.2.4).
fn stored(chunk: &[u8]) -> Bytes {
    let length = u16::try_from(chunk.len()).expect("the chunk is short");
    let (length, check) = (length.to_le_bytes(), (!length).to_le_bytes());
    [&[0][..], &length, &check, chunk].concat().into()
}

fn deflate(compress: &mut Compress, chunk: &[u8]) -> Bytes {
    compress.reset();
    let mut blocks = Vec::with_capacity(chunk.len() / 2 + 64);
    loop {
        let read = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
        let rest = chunk.get(read..).unwrap_or_default();
        compress
            .compress_vec(rest, &mut blocks, FlushCompress::Full)
            .expect("deflate fails only on misuse");
        // Free space in the buffer shows that everything has been flushed.
        if blocks.len() < blocks.capacity() {
            return blocks.into();
        }
        blocks.reserve(chunk.len() / 2 + 64);
    }
}

/// Compresses an answer if it is a stream and the client accepts gzip.
pub(crate) fn stream(packer: &Arc<Packer>, is_taken: bool, mut response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE);
    if kind.is_none_or(|kind| kind != "text/event-stream") {
        return response;
    }
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    if !is_taken {
        return response;
    }
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.remove(header::CONTENT_LENGTH);
    response.map(|plain| {
        Body::from_stream(Packing {
            plain: plain.into_data_stream(),
            packer: Arc::clone(packer),
            checksum: Hasher::new(),
            length: 0,
            state: Progress::Before,
        })
    })
}

/// Returns true if a client accepts gzip by name
/// (<https://www.rfc-editor.org/rfc/rfc9110#field.accept-encoding>).
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    let encodings = headers.get_all(header::ACCEPT_ENCODING).iter();
    encodings
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|encoding| {
            let (name, weight) = encoding.split_once(';').unwrap_or((encoding, ""));
            let weight = weight
                .trim()
                .trim_start_matches(['q', 'Q', '='])
                .parse::<f32>();
            name.trim().eq_ignore_ascii_case("gzip") && weight != Ok(0.0)
        })
}

impl Stream for Packing {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.state {
            Progress::Before => {
                self.state = Progress::Under;
                Poll::Ready(Some(Ok(HEADER)))
            }
            Progress::Under => match ready!(self.plain.poll_next_unpin(context)) {
                Some(Ok(chunk)) => {
                    self.checksum.update(&chunk);
                    let length = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
                    self.length = self.length.wrapping_add(length);
                    Poll::Ready(Some(Ok(self.packer.pack(&chunk))))
                }
                // Our streams do not fail. If one did, it would be cut off here.
                Some(Err(_)) | None => {
                    self.state = Progress::After;
                    Poll::Ready(Some(Ok(self.end())))
                }
            },
            Progress::After => Poll::Ready(None),
        }
    }
}

impl Packing {
    /// The last block, the checksum and the length.
    fn end(&self) -> Bytes {
        [
            &LAST_BLOCK[..],
            &self.checksum.clone().finalize().to_le_bytes(),
            &self.length.to_le_bytes(),
        ]
        .concat()
        .into()
    }
}

#[cfg(test)]
mod tests;
