//! A reader of SQLite's `-wal`, the write-ahead log, that does without SQLite
//! (<https://sqlite.org/walformat.html#the_wal_file_format>).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The length of the log's header. The next constant is the length of a frame's header.
pub(super) const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The bytes of a frame that hold its checksum.
pub(super) const CHECKSUM: std::ops::Range<usize> = 16..24;

/// The length of a database's header, at the start of the first page.
pub(in crate::sqlite) const DATABASE_HEADER: usize = 100;

/// The header of a database.
pub(in crate::sqlite) type DatabaseHeader = [u8; DATABASE_HEADER];

/// The first number of a log. Its last bit gives the byte order of the checksums.
const MAGIC: u32 = 0x377f_0682;

/// The end of this many frames, in bytes from the start of the log.
pub(super) fn end(frames: u32, page_size: u32) -> u64 {
    HEADER as u64 + u64::from(frames) * frame_size(page_size)
}

/// The length of a frame, in bytes.
pub(super) fn frame_size(page_size: u32) -> u64 {
    FRAME_HEADER as u64 + u64::from(page_size)
}

/// The salts in the header of a log.
pub(super) fn salts(header: &[u8; HEADER]) -> [u8; 8] {
    header[16..24].try_into().expect("eight bytes")
}

/// The part of a log that SQLite would replay.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::sqlite) struct Log {
    pub(super) salts: [u8; 8],
    /// The number of committed frames.
    pub(in crate::sqlite) frames: u32,
    pub(super) page_size: u32,
    /// The header of the database after each commit that changed it.
    pub(in crate::sqlite) headers: Vec<DatabaseHeader>,
    /// The header in the first frame, if that frame is a whole transaction.
    pub(in crate::sqlite) first: Option<DatabaseHeader>,
}

/// Reads a log up to its last commit. Returns an empty log if SQLite would replay nothing.
pub(in crate::sqlite) fn scan(mut log: impl Read) -> io::Result<Log> {
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(Log::default());
    }
    let magic = number(&header[..4]);
    let sum = Sum {
        is_big_endian: magic & 1 == 1,
    };
    let mut running = sum.add((0, 0), &header[..24]);
    let page_size = number(&header[8..12]);
    let is_log = magic & !1 == MAGIC && written(running) == header[24..32];
    if !is_log || !page_size.is_power_of_two() || !(512..=65_536).contains(&page_size) {
        return Ok(Log::default());
    }
    let mut scanned = Log {
        salts: salts(&header),
        page_size,
        ..Log::default()
    };
    let mut frame = vec![0; FRAME_HEADER + page_size as usize];
    let mut uncommitted: Option<DatabaseHeader> = None;
    let mut read = 0;
    while fill(&mut log, &mut frame)? {
        running = sum.add(sum.add(running, &frame[..8]), &frame[FRAME_HEADER..]);
        if frame[8..16] != scanned.salts || written(running) != frame[16..24] {
            break;
        }
        read += 1;
        if number(&frame[..4]) == 1 {
            let header = frame[FRAME_HEADER..][..DATABASE_HEADER].try_into();
            uncommitted = Some(header.expect("a hundred bytes"));
        }
        if number(&frame[4..8]) != 0 {
            scanned.frames = read;
            scanned.headers.extend(uncommitted.take());
            if read == 1 {
                scanned.first = scanned.headers.first().copied();
            }
        }
    }
    Ok(scanned)
}

/// A page with its content after a transaction.
pub(super) struct Page<'a> {
    /// The page number, from 1.
    pub(super) number: u32,
    pub(super) content: &'a [u8],
    /// True if the transaction ends with this page.
    pub(super) is_commit: bool,
}

/// The pages in a sequence of whole frames.
pub(super) fn pages(frames: &[u8], page_size: u32) -> impl Iterator<Item = Page<'_>> {
    frames
        .chunks_exact(FRAME_HEADER + page_size as usize)
        .map(|frame| Page {
            number: number(&frame[..4]),
            content: &frame[FRAME_HEADER..],
            is_commit: number(&frame[4..8]) != 0,
        })
}

/// Reads the header of a log, or less if the file is shorter. The header differs from log to
/// log.
pub(in crate::sqlite) fn read_start(path: &Path) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(HEADER);
    match File::open(path) {
        Ok(file) => file.take(HEADER as u64).read_to_end(&mut start)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(start)
}

/// Fills the buffer. Returns false if the log ends too early.
fn fill(log: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("four bytes"))
}

/// Converts a checksum to the bytes in the log.
fn written((first, second): (u32, u32)) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&first.to_be_bytes());
    bytes[4..].copy_from_slice(&second.to_be_bytes());
    bytes
}

/// SQLite's checksum, over words in one of two byte orders.
struct Sum {
    is_big_endian: bool,
}

impl Sum {
    fn add(&self, (mut first, mut second): (u32, u32), bytes: &[u8]) -> (u32, u32) {
        for pair in bytes.chunks_exact(8) {
            let one = [pair[0], pair[1], pair[2], pair[3]];
            let other = [pair[4], pair[5], pair[6], pair[7]];
            let (one, other) = if self.is_big_endian {
                (u32::from_be_bytes(one), u32::from_be_bytes(other))
            } else {
                (u32::from_le_bytes(one), u32::from_le_bytes(other))
            };
            first = first.wrapping_add(one).wrapping_add(second);
            second = second.wrapping_add(other).wrapping_add(first);
        }
        (first, second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_frames_yield_pages() {
        let frame = |page: u32, size: u32, content: u8| {
            let mut frame = [page.to_be_bytes(), size.to_be_bytes()].concat();
            frame.resize(FRAME_HEADER, 0);
            frame.resize(FRAME_HEADER + 512, content);
            frame
        };
        let frames = [frame(3, 0, 1), frame(4, 9, 2), vec![0; 100]].concat();
        let read: Vec<_> = pages(&frames, 512)
            .map(|page| (page.number, page.content.to_vec(), page.is_commit))
            .collect();
        assert_eq!(read, [(3, vec![1; 512], false), (4, vec![2; 512], true)]);
    }
}
