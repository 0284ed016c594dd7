//! The head of SQLite's `-shm`, the index of its write-ahead log
//! (<https://sqlite.org/walformat.html#the_wal_index_file_format>).
//!
//! It says which frames of the log count. Its numbers are in the byte order of the
//! machine.

/// The length of the head: the header twice, and how far checkpoints came.
pub(super) const HEAD: usize = 136;

/// The length of one of the two copies of the header.
const COPY: usize = 48;

/// The part of a copy that its checksum is of.
const SUMMED: usize = 40;

/// The slots that readers put their marks in.
pub(super) const MARKS: usize = 5;

/// What the index says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sqlite) struct Index {
    /// As in the header of the log that it belongs to.
    pub(in crate::sqlite) salts: [u8; 8],
    /// Counts transactions, from 0 again when SQLite makes the index again.
    pub(in crate::sqlite) changes: u32,
    /// How many frames of the log are committed.
    pub(in crate::sqlite) frames: u32,
    /// How long a page is, in bytes.
    pub(in crate::sqlite) page_size: u32,
    /// The checksum of the last frame, as the frame has it.
    pub(in crate::sqlite) checksum: [u8; 8],
    /// How many frames are in the database, too.
    pub(in crate::sqlite) backfilled: u32,
    /// How many frames a checkpoint may have brought there.
    pub(in crate::sqlite) attempted: u32,
    /// The last frame that readers of each slot may see.
    pub(in crate::sqlite) marks: [u32; MARKS],
}

impl Index {
    /// Reads a head. Nothing, if it is being changed, or is none.
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
            // The largest size does not fit, and is written as 1.
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
        // A commit writes the header again over whatever is there, but not what is
        // behind it. SQLite never writes the eight bytes that locks stand for.
        let is_plausible = index.backfilled <= index.frames
            && index.attempted <= index.frames
            && head[120..128] == [0_u8; 8];
        is_plausible.then_some(index)
    }

    /// Where the log ends, in bytes.
    pub(in crate::sqlite) fn end(&self) -> u64 {
        super::log::end(self.frames, self.page_size)
    }
}

/// SQLite's checksum over native words.
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
