//! Finds the committed part of a log whose files are displaced.
//!
//! As long as the index can be trusted, it says which frames are committed. Otherwise the
//! frames of the last look count, because this process answers its callers only after a look.
//! Later frames may follow a damaged index and be wrong. Or they belong to another process,
//! which saves them itself.

use std::collections::HashMap;
use std::io;

use super::Shared;
use super::held::Held;
use super::index::Index;
use super::log::{self, DATABASE_HEADER, Log, scan};
use super::look::Seen;
use crate::sqlite::link;

/// The largest number of logs that other processes can have begun since the last look. The
/// last look is at most a second old.
const MOST_LATER: u32 = 64;

/// The committed part of a log.
pub(super) struct Committed {
    /// The content of the log. Empty if the database has all of it.
    pub(super) log: Vec<u8>,
    /// The least number of frames that the database already has. A log that ends before them
    /// must not be replayed over it.
    pub(super) backfilled: u32,
    /// True if the open log ends before these frames.
    pub(super) is_stale: bool,
    /// True if the index confirms the content, now or at the last look.
    pub(super) is_certain: bool,
    /// The complete log, if its doubtful end was left out of `log`.
    pub(super) uncut: Option<Vec<u8>>,
}

/// Returns the committed part of the log, or `None` if it is no longer known.
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
        // Another process may have written more since the last look. An older index is
        // readable, too: a commit that followed it has overwritten earlier frames.
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

/// Returns true if checkpoints have copied all frames of the last look to the database. They
/// may have copied later frames, too.
fn has_all(index: &Index, last: &Index) -> bool {
    let is_done = index.backfilled == index.attempted;
    is_done && index.salts == last.salts && index.backfilled >= last.frames
}

/// Returns true if a log is the log of the last look, with all frames that the database has,
/// or a later log.
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

/// The length of this many frames of a log, in bytes.
fn length(frames: u32, log: &Log) -> usize {
    usize::try_from(log::end(frames, log.page_size)).unwrap_or(usize::MAX)
}

/// Returns true if a log begins with the frames that an index describes.
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

/// Returns true if a log was begun after the log of the last look. SQLite begins a log when
/// the database has all of the one before, and counts the logs in the first salt.
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

/// Returns true if a checkpoint has copied the pages of at least one of these transactions to
/// the database. Without their frames, the database would then mix two states.
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
        // A single page may be unchanged by its transaction, so all pages are compared.
        if page.is_commit && is_stored.values().all(|it| *it) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads a file up to its present length. Linux reads less than 2 GiB at once.
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
    fn finished_checkpoint_of_the_same_log_has_copied_all_frames() {
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
        assert!(
            !has_all(&index(1, 5, 9), &last),
            "a checkpoint is in progress"
        );
        assert!(!has_all(&index(1, 4, 4), &last), "a frame is missing");
        assert!(!has_all(&index(2, 9, 9), &last), "it is another log");
    }
}
