//! What of the log is known to be committed, once its files are not what they were.
//!
//! As long as the index can be trusted, it says which frames are. Otherwise they are those
//! that the last look has seen: this process answers its callers after a look. Frames
//! that came later may follow a false index and be wrong, or they are another process's,
//! which saves them itself.

use std::collections::HashMap;
use std::io;

use super::Shared;
use super::held::Held;
use super::index::Index;
use super::log::{self, DATABASE_HEADER, Log, scan};
use super::look::Seen;
use crate::sqlite::link;

/// How many logs other processes may have begun since the last look, which is a second
/// ago at the most.
const MOST_LATER: u32 = 64;

/// The log as it was committed.
pub(super) struct Committed {
    /// Its content. Empty, if the database has all of it.
    pub(super) log: Vec<u8>,
    /// How many frames of it the database has at least. A log that ends before those
    /// must not be replayed over it.
    pub(super) backfilled: u32,
    /// Whether the log that is open here ends before those.
    pub(super) is_stale: bool,
    /// Whether the index says so, or said so at the last look.
    pub(super) is_certain: bool,
    /// The log with what may be wrong at its end, if that was left out.
    pub(super) uncut: Option<Vec<u8>>,
}

/// The log as it was committed. Nothing, if that is not known any more.
pub(super) fn committed(files: &Shared, seen: &Seen) -> io::Result<Option<Committed>> {
    let Some(last) = seen.index else {
        return Ok(None);
    };
    let mut content = read(&files.log.held)?;
    let log = scan(&*content)?;
    let certain = |log| Committed {
        log,
        backfilled: last.backfilled,
        is_stale: false,
        is_certain: true,
        uncut: None,
    };
    let mirrored = || seen.mirror().map(|mirror| certain(mirror.to_vec()));
    let sure = match files.current_index(seen) {
        Some(index) if index.frames == 0 => return Ok(Some(certain(Vec::new()))),
        // Another process may have gone on since. An earlier index is also one that can
        // be read, and a commit that followed it has overwritten what came before.
        Some(index)
            if goes_on_from(&index, &log, &content)
                && (index.salts != last.salts || goes_on_from(&last, &log, &content)) =>
        {
            content.truncate(length(log.frames, &log));
            return Ok(Some(certain(content)));
        }
        Some(index) if has_all(&index, &last) => {
            return Ok(Some(Committed {
                backfilled: index.backfilled,
                is_stale: true,
                ..certain(Vec::new())
            }));
        }
        Some(_) => return Ok(mirrored()),
        None if goes_on_from(&last, &log, &content) => last.frames,
        None if is_next(files, &log, &last)? => 0,
        None if last.frames == 0 => return Ok(Some(certain(Vec::new()))),
        None => return Ok(mirrored()),
    };
    content.truncate(length(log.frames, &log));
    let (known, rest) = content.split_at(length(sure, &log));
    let is_cut = !rest.is_empty() && !has_any(&files.main.held, rest, log.page_size)?;
    let (log, uncut) = if is_cut {
        (known.to_vec(), Some(content))
    } else {
        (content, None)
    };
    Ok(Some(Committed {
        is_certain: false,
        uncut,
        ..certain(log)
    }))
}

/// Whether checkpoints have brought all frames of the last look into the database, and
/// maybe later ones.
fn has_all(index: &Index, last: &Index) -> bool {
    let is_done = index.backfilled == index.attempted;
    is_done && index.salts == last.salts && index.backfilled >= last.frames
}

/// Whether a log is the one of the last look, with all frames that the database has, or
/// was begun after it.
pub(super) fn is_this_or_next(
    files: &Shared,
    seen: &Seen,
    log: &Log,
    backfilled: u32,
) -> io::Result<bool> {
    let Some(last) = seen.index else {
        return Ok(false);
    };
    let is_this = log.salts == last.salts && log.frames >= backfilled.max(1);
    Ok(is_this || is_next(files, log, &last)?)
}

/// How long so many frames of a log are, in bytes.
fn length(frames: u32, log: &Log) -> usize {
    usize::try_from(log::end(frames, log.page_size)).unwrap_or(usize::MAX)
}

/// Whether a log begins with the frames that an index tells of.
fn goes_on_from(index: &Index, log: &Log, content: &[u8]) -> bool {
    if log.frames == 0 || log.salts != index.salts || log.frames < index.frames {
        return false;
    }
    let Some(frames) = index.frames.checked_sub(1) else {
        return true;
    };
    let start = length(frames, log) + log::CHECKSUM.start;
    content[start..].starts_with(&index.checksum)
}

/// Whether a log was begun after the one of the last look. SQLite begins one when the
/// database has all of the one before, and counts them in the first salt.
fn is_next(files: &Shared, log: &Log, last: &Index) -> io::Result<bool> {
    let count = |salts: &[u8; 8]| {
        let [count @ .., _, _, _, _] = *salts;
        u32::from_be_bytes(count)
    };
    let later = count(&log.salts).wrapping_sub(count(&last.salts));
    if log.frames == 0 || !(1..=MOST_LATER).contains(&later) {
        return Ok(false);
    }
    let mut header = [0; DATABASE_HEADER];
    files.main.held.read_exact_at(&mut header, 0)?;
    Ok(link::belongs(&header, log))
}

/// Whether a checkpoint has brought the pages of some of these transactions into the
/// database. Without their frames it would then be half of one state and half of another.
fn has_any(main: &Held, frames: &[u8], page_size: u32) -> io::Result<bool> {
    let mut stored = vec![0; page_size as usize];
    let mut is_stored = HashMap::new();
    for page in log::pages(frames, page_size) {
        let offset = u64::from(page.number.saturating_sub(1)) * u64::from(page_size);
        let is_same = match main.read_exact_at(&mut stored, offset) {
            Ok(()) => stored == page.content,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
            Err(error) => return Err(error),
        };
        is_stored.insert(page.number, is_same);
        // One page may be as it was before.
        if page.is_commit && is_stored.values().all(|it| *it) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads a file up to the length that it has now. Linux reads less than 2 GiB at once.
fn read(file: &Held) -> io::Result<Vec<u8>> {
    let mut content = vec![0; usize::try_from(file.size()?).unwrap_or(usize::MAX)];
    let mut end = 0;
    while end < content.len() {
        let read = file.read_at(&mut content[end..], end as u64)?;
        if read == 0 {
            break;
        }
        end += read;
    }
    content.truncate(end);
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::file::index::MARKS;

    #[test]
    fn finished_checkpoints_of_the_same_log_have_brought_all() {
        let index = |salt, backfilled, attempted| Index {
            salts: [salt; 8],
            changes: 0,
            frames: 9,
            page_size: 4_096,
            checksum: [0; 8],
            backfilled,
            attempted,
            marks: [0; MARKS],
        };
        let last = Index {
            frames: 5,
            ..index(1, 0, 0)
        };
        assert!(has_all(&index(1, 5, 5), &last));
        assert!(has_all(&index(1, 9, 9), &last));
        assert!(!has_all(&index(1, 5, 9), &last), "one is under way");
        assert!(!has_all(&index(1, 4, 4), &last), "a frame is missing");
        assert!(!has_all(&index(2, 9, 9), &last), "it is another log");
    }
}
