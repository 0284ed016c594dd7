//! A look at the files of a database, and its comparison with the look before.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::ops::Range;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::displaced::{How, Part};
use super::held::Identity;
use super::index::{HEAD, Index};
use super::log::{self, DATABASE_HEADER, DatabaseHeader, HEADER};
use super::{FileError, Shared, quiet};

/// The smallest size of the index that SQLite makes, in bytes.
pub(super) const INDEX_PAGE: u64 = 32_768;

/// The number of earlier logs that are remembered, so that an old index does not pass for a
/// new one.
const REMEMBERED: usize = 8;

/// The largest log whose content is kept in memory, in bytes. The content allows the rescue
/// to write an overwritten log again.
const MIRRORED: u64 = 16 * 1024 * 1024;

/// The largest buffer that is kept for the next read of the log, in bytes.
const MEMORY: usize = 1024 * 1024;

/// The number of attempts if the files do not fit together: another process may be changing
/// them at the same time.
const LOOKS: u32 = 40;

/// The pause between the attempts of the second half.
const PAUSE: Duration = Duration::from_millis(1);

/// The state of the files at the last look.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) index: Option<Index>,
    main: Option<(DatabaseHeader, u64)>,
    /// The salts of earlier logs.
    past: VecDeque<[u8; 8]>,
    /// The content of the log, from its start.
    mirror: Vec<u8>,
    /// The last frame of the log.
    last_frame: Vec<u8>,
    /// The buffer for the next read of the log.
    memory: Vec<u8>,
}

impl Seen {
    /// The whole log at the last look, if it is kept in memory.
    pub(super) fn mirror(&self) -> Option<&[u8]> {
        let end = self.index?.end();
        (self.mirror.len() as u64 == end).then_some(&self.mirror)
    }
}

/// Reasons why the files do not fit together.
enum Misfit {
    Part(Part, How),
    Io(io::Error),
}

impl From<io::Error> for Misfit {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Shared {
    /// Looks at all files, and stores the result if they fit together.
    pub(super) fn look(&self, seen: &mut Seen) -> Result<(), FileError> {
        let unknown = |source| FileError::Unknown {
            path: self.named.clone(),
            source,
        };
        for part in [Part::Main, Part::Log, Part::Index] {
            match self.placed(part).map_err(unknown)? {
                // A read of a mapped page that no longer exists would end the process.
                Ok(size) if part == Part::Index && size < INDEX_PAGE => {
                    return Err(self.displaced(part, How::Overwritten));
                }
                Ok(_) => {}
                Err(how) => return Err(self.displaced(part, how)),
            }
        }
        let mut looks = 1;
        loop {
            match self.compare(seen) {
                Ok(()) => return Ok(()),
                // Removed and replaced files were detected above. Other misfits may be
                // short-lived.
                Err(_) if looks < LOOKS => {}
                Err(Misfit::Part(part, how)) => return Err(self.displaced(part, how)),
                Err(Misfit::Io(error)) => return Err(unknown(error)),
            }
            if looks > LOOKS / 2 {
                thread::sleep(PAUSE);
            }
            looks += 1;
        }
    }

    /// Returns the present index if it can be trusted: it is valid, and not older than the
    /// last look. Another process may be changing it at the same time, so this tries several
    /// times.
    pub(super) fn current_index(&self, seen: &Seen) -> Option<Index> {
        (0..LOOKS).find_map(|_| {
            let index = self.read_index(seen).ok();
            if index.is_none() {
                thread::sleep(PAUSE);
            }
            index
        })
    }

    /// Returns the length of a file in its place, in bytes, or how the file was displaced.
    fn placed(&self, part: Part) -> io::Result<Result<u64, How>> {
        let path = match part {
            Part::Main => &self.named,
            Part::Log | Part::Index => &self.part(part).path,
        };
        let found = match quiet::find(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err(How::Removed));
            }
            Err(error) => return Err(error),
        };
        Ok(if found.identity == self.part(part).held.identity() {
            Ok(found.size)
        } else {
            Err(How::Replaced)
        })
    }

    /// Compares the heads of the files with each other and with the last look. The order
    /// matters: SQLite writes the log before the index, and the index before it truncates the
    /// log.
    fn compare(&self, seen: &mut Seen) -> Result<(), Misfit> {
        let index = self.read_index(seen)?;
        let mut read = mem::take(&mut seen.memory);
        let (added, last_frame) = self.read_log(&index, seen, &mut read)?;
        let main = self.read_main(&index, seen)?;
        let is_same = seen.index.is_some_and(|last| last.salts == index.salts);
        if !is_same {
            if let Some(last) = seen.index {
                seen.past.push_back(last.salts);
            }
            if seen.past.len() > REMEMBERED {
                seen.past.pop_front();
            }
            seen.mirror.clear();
            // The mirror may be large if a checkpoint had to wait.
            seen.mirror.shrink_to(MIRRORED as usize / 2);
        }
        seen.mirror.extend_from_slice(&read[added]);
        seen.last_frame.clear();
        seen.last_frame.extend_from_slice(&read[last_frame]);
        if read.len() <= MEMORY {
            seen.memory = read;
        }
        seen.main = Some(main);
        seen.index = Some(index);
        Ok(())
    }

    fn read_index(&self, seen: &Seen) -> Result<Index, Misfit> {
        const OVERWRITTEN: Misfit = Misfit::Part(Part::Index, How::Overwritten);

        let mut head = [0; HEAD];
        self.index
            .held
            .read_exact_at(&mut head, 0)
            .map_err(|error| cut_off(error, Part::Index))?;
        let index = Index::parse(&head).ok_or(OVERWRITTEN)?;
        let is_older = match seen.index {
            Some(last) if last.salts == index.salts => {
                // SQLite rebuilds an index that it cannot read. Earlier reads may have
                // trusted the broken index.
                let is_made_again = index.changes < last.changes;
                // A power cut can leave a log that has a header and no frame. The index of
                // such a log has no page size before the first commit.
                let is_resized = last.page_size != 0 && index.page_size != last.page_size;
                is_made_again
                    || index.frames < last.frames
                    || index.backfilled < last.backfilled
                    || is_resized
            }
            Some(_) => seen.past.contains(&index.salts),
            None => false,
        };
        if is_older {
            Err(OVERWRITTEN)
        } else {
            Ok(index)
        }
    }

    /// Reads the part of the log that is new since the last look, as far as it is kept in
    /// memory. Returns two ranges of `read`: the new part, and the log's last frame.
    fn read_log(
        &self,
        index: &Index,
        seen: &Seen,
        read: &mut Vec<u8>,
    ) -> Result<(Range<usize>, Range<usize>), Misfit> {
        const OVERWRITTEN: Misfit = Misfit::Part(Part::Log, How::Overwritten);

        if index.frames == 0 {
            // The file still holds the frames of the log before.
            return Ok((0..0, 0..0));
        }
        let mut header = [0; HEADER];
        self.read_of_log(&mut header, 0)?;
        if log::salts(&header) != index.salts {
            return Err(OVERWRITTEN);
        }
        let page_size = index.page_size;
        let frame = log::frame_size(page_size);
        let last = seen.index.filter(|last| last.salts == index.salts);
        let known = last.filter(|last| last.frames > 0);
        // The read begins with the last frame of the last look, if there is one.
        let begin = |index: &Index| log::end(index.frames - 1, page_size);
        let is_kept = known.is_none_or(|_| !seen.mirror.is_empty()) && index.end() <= MIRRORED;
        let start = match known {
            Some(last) => begin(&last),
            None if is_kept => 0,
            None => begin(index),
        };
        let end = if is_kept { index.end() } else { start + frame };
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let (length, frame) = (size(end - start), size(frame));
        if read.len() < length + frame {
            read.resize(length + frame, 0);
        }
        self.read_of_log(&mut read[..length], start)?;
        // A commit that was in progress when the log was truncated makes the log as long as
        // before.
        if known.is_some() && read[..frame] != seen.last_frame {
            return Err(OVERWRITTEN);
        }
        let last_frame = if end == index.end() {
            length - frame..length
        } else {
            self.read_of_log(&mut read[length..length + frame], begin(index))?;
            length..length + frame
        };
        if read[last_frame.clone()][log::CHECKSUM] != index.checksum {
            return Err(OVERWRITTEN);
        }
        let added = match known {
            _ if !is_kept => 0..0,
            Some(_) => frame..length,
            None => 0..length,
        };
        Ok((added, last_frame))
    }

    fn read_of_log(&self, bytes: &mut [u8], offset: u64) -> Result<(), Misfit> {
        let read = self.log.held.read_exact_at(bytes, offset);
        read.map_err(|error| cut_off(error, Part::Log))
    }

    fn read_main(&self, index: &Index, seen: &Seen) -> Result<(DatabaseHeader, u64), Misfit> {
        const OVERWRITTEN: Misfit = Misfit::Part(Part::Main, How::Overwritten);

        let mut header = [0; DATABASE_HEADER];
        self.main
            .held
            .read_exact_at(&mut header, 0)
            .map_err(|error| cut_off(error, Part::Main))?;
        // A size from before the index would be remembered together with it, even if the end
        // of a checkpoint in between has truncated the file.
        let size = self.main.held.size()?;
        let (Some(last), Some((before, size_before))) = (seen.index, seen.main) else {
            return Ok((header, size));
        };
        let progress = |index: &Index| (index.salts, index.backfilled, index.attempted);
        let is_quiet = index.backfilled == index.attempted;
        // With a log, only checkpoints change the database's file.
        let is_untouched = is_quiet && progress(&last) == progress(index);
        let is_changed = header != before || size < size_before;
        // The first migration writes the application's number into the database.
        let is_named = before[68..72] != [0; 4];
        let is_foreign =
            header[..18] != before[..18] || (is_named && header[68..72] != before[68..72]);
        let is_older = change(&header).wrapping_sub(change(&before)) > u32::MAX / 2;
        if is_changed && (is_untouched || is_foreign || is_older) {
            return Err(OVERWRITTEN);
        }
        Ok((header, size))
    }
}

/// The change counter in a database's header.
fn change(header: &DatabaseHeader) -> u32 {
    u32::from_be_bytes(header[24..28].try_into().expect("four bytes"))
}

/// Returns the identity of the file at a path, if there is one.
pub(super) fn identity_at(path: &Path) -> io::Result<Option<Identity>> {
    match quiet::find(path) {
        Ok(found) => Ok(Some(found.identity)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Converts a read error. A file that ends too early was truncated.
fn cut_off(error: io::Error, part: Part) -> Misfit {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        Misfit::Part(part, How::Overwritten)
    } else {
        Misfit::Io(error)
    }
}
