//! Streams in gzip (RFC 1952), if the operator wants that.
//!
//! Compressing each client's stream by itself would cost hundreds of kilobytes
//! for each, and the same work again and again. Here each chunk is packed once,
//! for all: as deflate blocks (RFC 1951) that refer to nothing before and end
//! at a byte, so they fit into every stream. What is a client's own is a
//! checksum. A chunk goes out as soon as it is there; nothing waits for more.
//!
//! The price is that a chunk knows nothing of those before: a patch shrinks less
//! than it could. Pages that are drawn whole shrink as ever.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress};
use futures::{Stream, StreamExt};

/// How many chunks are kept packed: more than there are at a time that many
/// clients get.
const KEPT: usize = 64;

/// From how many bytes on a chunk is kept. Shorter ones, such as the marks of a bundle,
/// are often one client's own. They would take the places of chunks that many clients get.
const SHORT: usize = 64;

/// A gzip header: deflate, no name, no time, and no word about the system.
const HEADER: Bytes = Bytes::from_static(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);

/// The last of the blocks, which is empty.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// Packs each chunk once.
#[derive(Debug)]
pub(crate) struct Packer(Mutex<Packed>);

#[derive(Debug)]
struct Packed {
    compress: Compress,
    /// Chunks as they are, which keeps them where they are; and packed.
    recent: VecDeque<(Bytes, Bytes)>,
}

/// A client's stream.
struct Packing {
    plain: BodyDataStream,
    packer: Arc<Packer>,
    checksum: Hasher,
    /// How many bytes there were, modulo 2^32.
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

    /// A chunk as blocks that fit into any stream. Chunks that are the same bytes
    /// in memory are packed once, unless they are short.
    fn pack(&self, chunk: &Bytes) -> Bytes {
        if chunk.len() < SHORT {
            return stored(chunk);
        }
        // Nothing panics between the changes that belong together.
        let mut packed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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

/// A short chunk as a block of the bytes as they are (RFC 1951, section 3.2.4).
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
            .expect("only misuse is an error");
        // Room that is left says that all has been flushed.
        if blocks.len() < blocks.capacity() {
            return blocks.into();
        }
        blocks.reserve(chunk.len() / 2 + 64);
    }
}

/// Packs an answer that is a stream, for a client that takes gzip.
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

/// Whether a client takes gzip, as far as it says so by name
/// (<https://www.rfc-editor.org/rfc/rfc9110#field.accept-encoding>).
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    let encodings = headers.get_all(header::ACCEPT_ENCODING).iter();
    encodings
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|encoding| {
            let (name, weight) = encoding.split_once(';').unwrap_or((encoding, ""));
            let weight = weight.trim().trim_start_matches("q=").parse::<f32>();
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
                // Our streams do not fail; what does, is cut off.
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
