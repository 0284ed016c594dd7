//! Decides whether a write-ahead log belongs to the database beside it.
//!
//! SQLite replays any valid log over any database. Assume that a server was killed, and a
//! backup takes the place of its database. Then the old log would undo the restore, or mix
//! two histories. So a log names the database that it continues.
//!
//! - Before a checkpoint, the database gets a *stamp*: a random `user_version`. No earlier
//!   copy of the database has it.
//! - After a complete checkpoint, the log begins again. Its first transaction is a *link*: a
//!   `user_version` that is a digest of the database's header, as it is in the file.
//!
//! While the log grows, only checkpoints change the database, and they copy pages from the
//! log. So the header of the right database is either the header of the link, or one of the
//! headers in the log. Any other header belongs to another database. A log without a link, as
//! older versions and other programs begin it, is accepted.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::file::log::{DATABASE_HEADER, DatabaseHeader, Log, read_start, scan};
use super::file::{Held, displaced_holder, rescued};
use super::path::beside;

/// The first byte of a `user_version` that is a link or a stamp. Both are letters.
const LINK: u32 = 0x49 << 24;
const STAMP: u32 = 0x53 << 24;
const TAG: u32 = 0xff << 24;

/// The bytes of a database's header that hold its `user_version`.
const USER_VERSION: std::ops::Range<usize> = 60..64;

/// The number of attempts to read a database that another process is changing.
const READS: u32 = 20;

/// The number of steps to wait while another process opens or closes a database.
const PATIENCE: u32 = 100;
const STEP: Duration = Duration::from_millis(20);

/// Reasons against opening a database together with the files beside it.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// The log continues another database.
    #[error(
        "the write-ahead log {log} belongs to another database than {database}, which may be a \
         restored backup. To continue with {database} as it is, move {log} away. To continue with the \
         log, put back the database that it belongs to. Nothing was changed",
        database = path.display(),
        log = wal.display()
    )]
    Stale {
        /// The path of the database.
        path: PathBuf,
        /// The path of the log.
        wal: PathBuf,
    },
    /// The log continues a database that does not exist.
    #[error(
        "the database {database} does not exist or is empty, and its write-ahead log {log} has \
         events. Put the database back to continue with them, or move {log} away to begin an \
         empty log. Nothing was changed",
        database = path.display(),
        log = wal.display()
    )]
    Orphan {
        /// The path of the database.
        path: PathBuf,
        /// The path of the log.
        wal: PathBuf,
    },
    /// A server has saved the database under another name.
    #[error(
        "the database {database} does not exist, but a server saved its events in {saved} when it \
         was removed. Rename {saved} (and {saved}-wal, if it exists) to continue with them, or move \
         it away to begin an empty log",
        database = path.display(),
        saved = copy.display()
    )]
    Rescued {
        /// The path of the database.
        path: PathBuf,
        /// The path of the saved copy.
        copy: PathBuf,
    },
    /// Another process has the database open with files that are no longer at their paths.
    #[error(
        "{holder} has the database {database} open, and the files beside it were removed under it. \
         Stop that process first, so that it can save its data",
        database = path.display()
    )]
    Elsewhere {
        /// The path of the database.
        path: PathBuf,
        /// A description of the other process.
        holder: String,
    },
    /// The files cannot be read.
    #[error("cannot read the database {} and its write-ahead log", path.display())]
    Unreadable {
        /// The path of the database.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// Returns a random `user_version`, which marks the database before a checkpoint.
pub(super) fn stamp() -> Result<u32, getrandom::Error> {
    Ok(STAMP | (getrandom::u32()? & !TAG))
}

/// Returns the `user_version` of a log that continues a database with this header.
pub(super) fn link(header: &DatabaseHeader) -> u32 {
    // FNV-1a. The digest only has to tell headers apart, and there is no attacker to forge
    // one.
    let digest = header.iter().fold(0x811c_9dc5_u32, |digest, byte| {
        (digest ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    LINK | ((digest ^ (digest >> 24)) & !TAG)
}

/// Refuses a database that must not be opened together with the files beside it. Changes
/// nothing. Must run before SQLite opens the database, and may block.
pub(super) fn check(named: &Path) -> Result<(), WalError> {
    let unreadable = |source| WalError::Unreadable {
        path: named.to_owned(),
        source,
    };
    let path = match fs::canonicalize(named) {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => named.to_owned(),
        // SQLite cannot open it either, and reports the reason.
        Err(_) => return Ok(()),
    };
    let wal = beside(&path, "-wal");
    for _ in 0..READS {
        let read = || -> io::Result<_> { Ok((read_header(&path)?, read_start(&wal)?)) };
        let before = read().map_err(unreadable)?;
        let log = read_log(&wal).map_err(unreadable)?;
        // Another process may have begun the log again in the meantime.
        if read().map_err(unreadable)? != before {
            continue;
        }
        match before.0 {
            Header::Missing | Header::Empty if log.frames > 0 => {
                return Err(WalError::Orphan { path, wal });
            }
            Header::Of(header) if !belongs(&header, &log) => {
                return Err(WalError::Stale { path, wal });
            }
            Header::Missing => match rescued(&path) {
                Some(copy) => return Err(WalError::Rescued { path, copy }),
                None => return Ok(()),
            },
            Header::Empty | Header::Of(_) => break,
        }
    }
    refuse_if_elsewhere(path)
}

/// Refuses a database if another process uses it without the files at the paths.
fn refuse_if_elsewhere(path: PathBuf) -> Result<(), WalError> {
    let mut steps = 0;
    while let Some(holder) = displaced_holder(&path) {
        if steps == PATIENCE {
            return Err(WalError::Elsewhere { path, holder });
        }
        steps += 1;
        thread::sleep(STEP);
    }
    Ok(())
}

/// Returns true if a log continues a database with this header.
pub(super) fn belongs(header: &DatabaseHeader, log: &Log) -> bool {
    let Some(first) = log.first.as_ref().map(user_version) else {
        return true;
    };
    first & TAG != LINK || first == link(header) || log.headers.contains(header)
}

fn user_version(header: &DatabaseHeader) -> u32 {
    let bytes = header[USER_VERSION].try_into().expect("four bytes");
    u32::from_be_bytes(bytes)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Header {
    Missing,
    Empty,
    Of(DatabaseHeader),
}

fn read_header(path: &Path) -> io::Result<Header> {
    let file = match Held::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Header::Missing),
        Err(error) => return Err(error),
    };
    let mut header = [0; DATABASE_HEADER];
    match file.read_exact_at(&mut header, 0) {
        Ok(()) => Ok(Header::Of(header)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Header::Empty),
        Err(error) => Err(error),
    }
}

fn read_log(path: &Path) -> io::Result<Log> {
    match File::open(path) {
        Ok(file) => scan(BufReader::new(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Log::default()),
        Err(error) => Err(error),
    }
}
