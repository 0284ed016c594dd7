//! The head of SQLite's `-shm`, the index of its write-ahead log
//! (<https://sqlite.org/walformat.html#the_wal_index_file_format>).
//!
//! The head says which frames of the log count. Its numbers have the byte order of the
//! machine.

/// The length of the head: two copies of the header, and the progress of checkpoints.
pub(super) const HEAD: usize = 136;

/// The length of one copy of the header.
const COPY: usize = 48;

/// The length of the part that the checksum of a copy covers.
const SUMMED: usize = 40;

/// The number of slots in which readers put their marks.
pub(super) const MARKS: usize = 5;

/// The content of the head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sqlite) struct Index {
    /// The salts of the log that the index belongs to.
    pub(in crate::sqlite) salts: [u8; 8],
    /// The number of transactions. SQLite starts again at 0 when it rebuilds the index.
    pub(in crate::sqlite) changes: u32,
    /// The number of committed frames in the log.
    pub(in crate::sqlite) frames: u32,
    /// The size of a page, in bytes.
    pub(in crate::sqlite) page_size: u32,
    /// The checksum of the last frame, in the byte order of the log.
    pub(in crate::sqlite) checksum: [u8; 8],
    /// The number of frames that are certainly in the database, too.
    pub(in crate::sqlite) backfilled: u32,
    /// The number of frames that a checkpoint may have copied to the database.
    pub(in crate::sqlite) attempted: u32,
    /// For each slot, the last frame that its readers may see.
    pub(in crate::sqlite) marks: [u32; MARKS],
}

impl Index {
    /// Parses a head. Returns `None` if the head is invalid, or is just being changed.
    pub(super) fn parse(head: &[u8; HEAD]) -> Option<Self> {
        let copy = &head[..COPY];
        let number = |at: usize| {
            let bytes = head[at..at + 4].try_into().expect("four bytes");
            u32::from_ne_bytes(bytes)
        };
        let is_whole = copy == &head[COPY..2 * COPY] && head[12] != 0;
        if !is_whole || checksum(&copy[..SUMMED]) != (number(40), number(44)) {
            return None;
        }
        let page_size = u16::from_ne_bytes([head[14], head[15]]);
        let mut checksum = [0; 8];
        checksum[..4].copy_from_slice(&number(24).to_be_bytes());
        checksum[4..].copy_from_slice(&number(28).to_be_bytes());
        let index = Self {
            salts: head[32..40].try_into().expect("eight bytes"),
            changes: number(8),
            frames: number(16),
            // The largest size does not fit into 16 bits, and is stored as 1.
            page_size: if page_size == 1 {
                65_536
            } else {
                page_size.into()
            },
            checksum,
            backfilled: number(96),
            attempted: number(128),
            marks: std::array::from_fn(|slot| number(100 + 4 * slot)),
        };
        // A commit over other content writes the header again, but not the bytes behind it.
        // SQLite never writes the eight bytes that stand for locks.
        let is_plausible = index.backfilled <= index.frames
            && index.attempted <= index.frames
            && head[120..128] == [0_u8; 8];
        is_plausible.then_some(index)
    }

    /// The end of the committed frames in the log's file, in bytes.
    pub(in crate::sqlite) fn end(&self) -> u64 {
        super::log::end(self.frames, self.page_size)
    }
}

/// SQLite's checksum, over words in the byte order of the machine.
fn checksum(bytes: &[u8]) -> (u32, u32) {
    let (mut first, mut second) = (0_u32, 0_u32);
    for pair in bytes.chunks_exact(8) {
        let (one, other) = pair.split_at(4);
        let word = |bytes: &[u8]| u32::from_ne_bytes(bytes.try_into().expect("four bytes"));
        first = first.wrapping_add(word(one)).wrapping_add(second);
        second = second.wrapping_add(word(other)).wrapping_add(first);
    }
    (first, second)
}
