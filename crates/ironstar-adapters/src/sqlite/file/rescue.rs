//! Saves the data of displaced files.
//!
//! This code does not use SQLite, because the damage may be in SQLite's view of the files.
//! All acknowledged data is in the database and in the committed frames of the log, and this
//! process has both open. So both are put back in their places, where the next start reads
//! them. If another file has taken a place and a process may use it, that file stays, and the
//! copy goes beside it.
//!
//! Several processes may have the files open. Each detects the displacement by itself, and
//! they save in turn. Each process vouches for the state of its last look, because its
//! callers have answers from that state. Each adds the data that the processes before it did
//! not put back. So no event is lost that any of them has acknowledged.

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

/// The result of a rescue, for the operator.
pub(super) enum Outcome {
    /// All data is in place for the next start.
    Kept,
    /// All data is in place, and a log that must not be read was moved to this path.
    Moved(PathBuf),
    /// The data was put back in place.
    PutBack,
    /// The data up to the last look was put back in place. The complete log is in this copy.
    Cut(PathBuf),
    /// A complete copy is beside the database, with a log of its own or without one.
    Beside { copy: PathBuf, has_log: bool },
    /// The content of this file is lost.
    Lost(Part),
    /// The data could not be saved.
    Failed(io::Error),
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("restart the server: every acknowledged event is in place"),
            Self::Moved(log) => write!(
                f,
                "restart the server: every acknowledged event is in place; a log that must \
                 not be replayed was moved to {}",
                log.display()
            ),
            Self::PutBack => f.write_str(
                "restart the server: its data was put back in place, with every \
                 acknowledged event",
            ),
            Self::Cut(copy) => write!(
                f,
                "restart the server: every event that it has acknowledged is in place; \
                 later writes may be wrong, and are only in {}",
                copy.display()
            ),
            Self::Beside {
                copy,
                has_log: true,
            } => write!(
                f,
                "every acknowledged event was saved in {copy}, with {copy}-wal; to continue with \
                 this copy, stop the server and rename both to the database's names",
                copy = copy.display()
            ),
            Self::Beside {
                copy,
                has_log: false,
            } => write!(
                f,
                "every acknowledged event was saved in {}; to continue with this copy, stop the \
                 server and rename it to the database's name",
                copy.display()
            ),
            Self::Lost(Part::Main) => f.write_str(
                "the former content is lost; stop the server, and restore a backup \
                 (docs/BACKUP.md)",
            ),
            Self::Lost(_) => f.write_str(
                "events since the last checkpoint may be lost; restart the server to see which are left, \
                 or restore a backup (docs/BACKUP.md)",
            ),
            Self::Failed(error) => write!(
                f,
                "the data could NOT be saved ({error}); do not stop the server before its \
                 files are copied from /proc/{pid}/fd",
                pid = std::process::id()
            ),
        }
    }
}

/// The longest time to wait for other processes that are saving. They may have to copy the
/// whole database.
const TURN: Duration = Duration::from_secs(120);

/// The pause between two attempts to get the turn.
const PAUSE: Duration = Duration::from_millis(5);

/// Saves the data as far as possible.
pub(super) fn rescue(files: &Shared, seen: &Seen) -> Outcome {
    let rescue = Rescue { files, seen };
    let _turn = take_turn(&files.main.path);
    rescue.run().unwrap_or_else(Outcome::Failed)
}

struct Rescue<'a> {
    files: &'a Shared,
    seen: &'a Seen,
}

/// The file at one of the paths now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// The file that is open in this process.
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
            // The log comes first: a database without its log would be an older state.
            let main = &self.files.main;
            Prepared::of_file(&main.path, self.mode()?, &main.held)?.put(&main.path)?;
            if let Outcome::Kept = outcome {
                outcome = Outcome::PutBack;
            }
        }
        Ok(outcome)
    }

    /// Returns true if another process has already put a copy of the database in its place.
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

    /// Makes sure that the log is in its place.
    fn put_log(&self, committed: &Committed) -> io::Result<Put> {
        let (path, log) = (&self.files.log.path, &*committed.log);
        let place = self.place(Part::Log)?;
        if log.is_empty() {
            return self.clear_log(place, committed);
        }
        // After one process has replaced its log, processes with less certain knowledge keep
        // that log.
        let is_kept = place != Place::Ours || committed.is_certain;
        if place != Place::Vacant && is_kept && starts_with(path, log)? {
            // This is the log of this process, or a log that another server has put back.
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
            // Another server has put back its data, and this one has more.
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

    /// Moves away another log, or the rest of this process's log, if the database has all
    /// data.
    fn clear_log(&self, place: Place, committed: &Committed) -> io::Result<Put> {
        let path = &self.files.log.path;
        let kind = match place {
            Place::Ours if committed.is_stale => "stale",
            Place::Ours | Place::Vacant => return Ok(Put::Kept),
            // Another server has put back its data, and may have more than this one.
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

    /// Moves an overwritten log away, so that the next start does not read it.
    fn give_up_log(&self) -> io::Result<Outcome> {
        let path = &self.files.log.path;
        if self.place(Part::Log)? == Place::Ours {
            fs::rename(path, vacant(path, "damaged")?)?;
            sync_folder(path)?;
        }
        Ok(Outcome::Lost(Part::Log))
    }

    /// Copies the database and its log to unused names.
    fn save_beside(&self, log: &[u8]) -> io::Result<Outcome> {
        let main = &self.files.main;
        let copy = vacant(&main.path, RESCUED)?;
        if !log.is_empty() {
            let place = beside(&copy, "-wal");
            Prepared::of_bytes(&place, self.mode()?, log)?.put(&place)?;
        }
        Prepared::of_file(&copy, self.mode()?, &main.held)?.put(&copy)?;
        Ok(Outcome::Beside {
            copy,
            has_log: !log.is_empty(),
        })
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

    /// Returns true if another process may be using the file that has taken the log's place.
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

/// Waits until no other process is saving in this folder. Other processes wait until the
/// returned file is dropped. On a file system without locks, there are no turns. A process
/// that holds the lock for too long is ignored.
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

/// The part of a file name that marks saved databases.
pub(super) const RESCUED: &str = "rescued";

/// The result of putting the log in its place.
enum Put {
    Kept,
    /// A log that must not be read was moved to this path.
    Moved(PathBuf),
    Back,
    /// The complete log is in this copy.
    Cut(PathBuf),
    Impossible,
}

fn starts_with(path: &Path, content: &[u8]) -> io::Result<bool> {
    let mut start = Vec::with_capacity(content.len());
    let file = fs::File::open(path)?;
    file.take(content.len() as u64).read_to_end(&mut start)?;
    Ok(start == content)
}

/// Returns true if the file's content is the start of this content.
fn is_start(path: &Path, content: &[u8]) -> io::Result<bool> {
    let start = fs::read(path)?;
    Ok(!start.is_empty() && content.starts_with(&start))
}
