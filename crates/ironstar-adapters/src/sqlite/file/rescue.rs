//! Saves what displaced files hold.
//!
//! Nothing here goes through SQLite, since its view may be what is damaged. What
//! was acknowledged is in the database and in the committed frames of the log, and
//! both are open here; so they are put back in their places, where the next start
//! reads them. A place that another file has taken is left alone if a process may
//! use it, and the copy goes beside it.
//!
//! Several processes may have the files open. Each finds out by itself, and they save in
//! turn. What each of them vouches for is what it saw before its last look, since that
//! is what its callers have answers of. Each adds what is missing to what those before
//! it have put back; so nothing is lost that any of them has acknowledged.

use std::fmt::{self, Display};
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::committed::{Committed, committed, is_this_or_next};
use super::copy::{CHUNK, Prepared, sync_folder, vacant};
use super::displaced::{How, Part};
use super::holders::{others_with_descriptors, others_with_locks};
use super::log::{Log, scan};
use super::look::{Seen, identity_at};
use super::{Shared, beside};

/// What became of the data, for the operator.
pub(super) enum Outcome {
    /// All of it is where the next start reads it.
    Kept,
    /// The same, and a log that must not be read has this name now.
    Moved(PathBuf),
    /// It has been put there again.
    PutBack,
    /// It has been put there again, but for what followed the last look. A copy has that.
    Cut(PathBuf),
    /// A whole copy is beside the database.
    Beside(PathBuf),
    /// The content is gone, and with it what only it had.
    Lost(Part),
    /// It could not be saved.
    Failed(io::Error),
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("restart it: the next start reads every acknowledged event"),
            Self::Moved(log) => write!(
                f,
                "restart it: the next start reads every acknowledged event; what had the \
                 log's place was moved to {}",
                log.display()
            ),
            Self::PutBack => f.write_str(
                "restart it: what it held was put back, and the next start reads every \
                 acknowledged event",
            ),
            Self::Cut(copy) => write!(
                f,
                "restart it: the next start reads every event that this server has \
                 acknowledged; what was written since may be wrong, and is only in {}",
                copy.display()
            ),
            Self::Beside(copy) => write!(
                f,
                "every acknowledged event was saved in {copy}, with {copy}-wal; to go on with \
                 it, stop the server and rename both to the database's names",
                copy = copy.display()
            ),
            Self::Lost(Part::Main) => f.write_str(
                "its former content is gone; stop the server, and restore a backup \
                 (docs/BACKUP.md)",
            ),
            Self::Lost(_) => f.write_str(
                "events since the last checkpoint may be gone; restart it to see which are left, \
                 or restore a backup (docs/BACKUP.md)",
            ),
            Self::Failed(error) => write!(
                f,
                "what it held could NOT be saved ({error}); do not stop the server before its \
                 files are copied from /proc/{pid}/fd",
                pid = std::process::id()
            ),
        }
    }
}

/// How long to wait for other processes that save what they know: they may have to copy
/// the whole database.
const TURN: Duration = Duration::from_secs(120);

/// How often to ask whether they are done.
const PAUSE: Duration = Duration::from_millis(5);

/// Saves what can be saved.
pub(super) fn rescue(files: &Shared, seen: &Seen) -> Outcome {
    let rescue = Rescue { files, seen };
    let _turn = take_turn(&files.main.path);
    rescue.run().unwrap_or_else(Outcome::Failed)
}

struct Rescue<'a> {
    files: &'a Shared,
    seen: &'a Seen,
}

/// What has a place now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// The file that is open here.
    Ours,
    /// No file, or an empty one.
    Vacant,
    /// Another file.
    Taken,
}

impl Rescue<'_> {
    fn run(&self) -> io::Result<Outcome> {
        if self.is_overwritten(Part::Main) {
            return Ok(Outcome::Lost(Part::Main));
        }
        let main = self.place(Part::Main)?;
        let Some(committed) = committed(self.files, self.seen)? else {
            return self.give_up_log();
        };
        if main == Place::Taken && !self.is_copied()? {
            return self.save_beside(&committed.log);
        }
        let mut outcome = match self.put_log(&committed)? {
            Put::Kept => Outcome::Kept,
            Put::Moved(log) => Outcome::Moved(log),
            Put::Back => Outcome::PutBack,
            Put::Cut(uncut) => Outcome::Cut(uncut),
            Put::Impossible => return self.save_beside(&committed.log),
        };
        if main == Place::Vacant {
            // After the log, without which it would be an older database.
            let main = &self.files.main;
            Prepared::of_file(&main.path, self.mode()?, &main.held)?.put(&main.path)?;
            if let Outcome::Kept = outcome {
                outcome = Outcome::PutBack;
            }
        }
        Ok(outcome)
    }

    /// Whether another process has put a copy of the database in its place.
    fn is_copied(&self) -> io::Result<bool> {
        let main = &self.files.main;
        let mut copy = BufReader::with_capacity(CHUNK, File::open(&main.path)?);
        let mut ours = vec![0; CHUNK];
        let mut offset = 0;
        loop {
            let theirs = copy.fill_buf()?;
            let length = theirs.len();
            if length == 0 {
                return Ok(offset == main.held.size()?);
            }
            match main.held.read_exact_at(&mut ours[..length], offset) {
                Ok(()) if theirs == &ours[..length] => {}
                Ok(()) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                Err(error) => return Err(error),
            }
            copy.consume(length);
            offset += length as u64;
        }
    }

    /// Sees to it that the log is in its place.
    fn put_log(&self, committed: &Committed) -> io::Result<Put> {
        let (path, log) = (&self.files.log.path, &*committed.log);
        let place = self.place(Part::Log)?;
        if log.is_empty() {
            return self.clear_log(place, committed);
        }
        // What is replaced once is left as it is by processes that vouch for less.
        let is_kept = place != Place::Ours || committed.is_certain;
        if place != Place::Vacant && is_kept && starts_with(path, log)? {
            // Ours, or one that another server has put back.
            return Ok(Put::Kept);
        }
        let prepared = Prepared::of_bytes(path, self.mode()?, log)?;
        match place {
            Place::Vacant if identity_at(path)?.is_none() => prepared.put(path)?,
            Place::Ours => {
                if let Some(uncut) = &committed.uncut {
                    let copy = vacant(path, "uncut")?;
                    Prepared::of_bytes(&copy, self.mode()?, uncut)?.put(&copy)?;
                    prepared.replace(path)?;
                    return Ok(Put::Cut(copy));
                }
                prepared.replace(path)?;
            }
            // Another server has put back what it knew, and this one knows more.
            Place::Taken if is_start(path, log)? => prepared.replace(path)?,
            Place::Vacant | Place::Taken if self.is_used()? => return Ok(Put::Impossible),
            Place::Vacant => prepared.replace(path)?,
            Place::Taken => {
                fs::rename(path, vacant(path, "displaced")?)?;
                prepared.put(path)?;
            }
        }
        Ok(Put::Back)
    }

    /// Moves another log, or what is left of ours, away when the database has all of it.
    fn clear_log(&self, place: Place, committed: &Committed) -> io::Result<Put> {
        let path = &self.files.log.path;
        let kind = match place {
            Place::Ours if committed.is_stale => "stale",
            Place::Ours | Place::Vacant => return Ok(Put::Kept),
            // Another server has put back what it knew, and it may know more.
            Place::Taken if self.goes_on(&scan(File::open(path)?)?, committed)? => {
                return Ok(Put::Kept);
            }
            Place::Taken if self.is_used()? => return Ok(Put::Impossible),
            Place::Taken => "displaced",
        };
        let moved = vacant(path, kind)?;
        fs::rename(path, &moved)?;
        sync_folder(path)?;
        Ok(Put::Moved(moved))
    }

    fn goes_on(&self, log: &Log, committed: &Committed) -> io::Result<bool> {
        is_this_or_next(self.files, self.seen, log, committed.backfilled)
    }

    /// Moves a log away that was overwritten, so that the next start does not take
    /// it for the right one.
    fn give_up_log(&self) -> io::Result<Outcome> {
        let path = &self.files.log.path;
        if self.place(Part::Log)? == Place::Ours {
            fs::rename(path, vacant(path, "damaged")?)?;
            sync_folder(path)?;
        }
        Ok(Outcome::Lost(Part::Log))
    }

    /// Copies the database and its log to names of their own.
    fn save_beside(&self, log: &[u8]) -> io::Result<Outcome> {
        let main = &self.files.main;
        let copy = vacant(&main.path, RESCUED)?;
        if !log.is_empty() {
            let place = beside(&copy, "-wal");
            Prepared::of_bytes(&place, self.mode()?, log)?.put(&place)?;
        }
        Prepared::of_file(&copy, self.mode()?, &main.held)?.put(&copy)?;
        Ok(Outcome::Beside(copy))
    }

    fn is_overwritten(&self, part: Part) -> bool {
        let displaced = self.files.displaced.get();
        displaced.is_some_and(|it| it.part == part && it.how == How::Overwritten)
    }

    fn place(&self, part: Part) -> io::Result<Place> {
        let open = self.files.part(part);
        Ok(match fs::metadata(&open.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Place::Vacant,
            Err(error) => return Err(error),
            Ok(_) if identity_at(&open.path)? == Some(open.held.identity()) => Place::Ours,
            Ok(metadata) if metadata.len() == 0 && part != Part::Main => Place::Vacant,
            Ok(_) => Place::Taken,
        })
    }

    /// Whether another process may use what has taken the log's place.
    fn is_used(&self) -> io::Result<bool> {
        let index = &self.files.index;
        let new_index = identity_at(&index.path)?.filter(|it| *it != index.held.identity());
        let has_locks = new_index.is_some_and(|index| !others_with_locks(index).is_empty());
        let log = identity_at(&self.files.log.path)?;
        Ok(has_locks || log.is_some_and(|log| !others_with_descriptors(log).is_empty()))
    }

    /// The permissions of the database, which its other files share.
    fn mode(&self) -> io::Result<u32> {
        Ok(self.files.main.held.metadata()?.mode() & 0o777)
    }
}

/// Waits until no other process saves what is in this folder, and keeps others waiting
/// until the file is dropped. A file system without locks has no turns, and a process
/// that keeps the lock for too long is passed over.
fn take_turn(path: &Path) -> Option<File> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = File::open(folder.unwrap_or(Path::new("."))).ok()?;
    let end = Instant::now() + TURN;
    while let Err(TryLockError::WouldBlock) = folder.try_lock() {
        if Instant::now() > end {
            return None;
        }
        thread::sleep(PAUSE);
    }
    Some(folder)
}

/// What databases are called that were saved.
pub(super) const RESCUED: &str = "rescued";

/// What became of a log's place.
enum Put {
    Kept,
    /// What must not be read has this name now.
    Moved(PathBuf),
    Back,
    /// The whole log is in this copy.
    Cut(PathBuf),
    Impossible,
}

fn starts_with(path: &Path, content: &[u8]) -> io::Result<bool> {
    let mut start = Vec::with_capacity(content.len());
    let file = fs::File::open(path)?;
    file.take(content.len() as u64).read_to_end(&mut start)?;
    Ok(start == content)
}

/// Whether a file holds the start of this content.
fn is_start(path: &Path, content: &[u8]) -> io::Result<bool> {
    let start = fs::read(path)?;
    Ok(!start.is_empty() && content.starts_with(&start))
}
