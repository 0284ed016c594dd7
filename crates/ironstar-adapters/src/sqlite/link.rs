//! Whether a write-ahead log belongs to the database that it is beside.
//!
//! SQLite replays any log that is whole over any database. If a backup is put in the
//! place of a database whose server was killed, the log of before undoes it, or mixes
//! two histories. So a log says which database it continues.
//!
//! - Before a checkpoint, the database gets a *stamp*: a random `user_version`. No
//!   copy that was made before has it.
//! - After a checkpoint that brought everything into the database, the log begins
//!   again. Its first transaction is a *link*: a `user_version` that is a digest of
//!   the database's header, as it is in the file.
//!
//! While the log grows, only checkpoints change the database, and they bring pages
//! of the log there. So the header is the one that the link is of, or one of those
//! that the log has. A header that is neither is another database's. A log without a
//! link, as older versions and other programs begin it, is not judged.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::file::log::{DATABASE_HEADER, DatabaseHeader, Log, read_start, scan};
use super::file::{Held, displaced_holder, rescued};
use super::path::beside;

/// The first byte of a `user_version` that is a link, or a stamp. Both are letters.
const LINK: u32 = 0x49 << 24;
const STAMP: u32 = 0x53 << 24;
const TAG: u32 = 0xff << 24;

/// Where a database's header has its `user_version`.
const USER_VERSION: std::ops::Range<usize> = 60..64;

/// How often a database is read that another process is changing.
const READS: u32 = 20;

/// How long another process gets to open or close a database, in steps.
const PATIENCE: u32 = 100;
const STEP: Duration = Duration::from_millis(20);

/// Why a database may not be opened together with what is beside it.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// The log continues another database.
    #[error(
        "the write-ahead log {log} belongs to another database than {database}, which may be a \
         restored backup. To go on with {database} as it is, move {log} away. To go on with the \
         log, put back the database that it belongs to. Nothing was changed",
        database = path.display(),
        log = wal.display()
    )]
    Stale {
        /// The database.
        path: PathBuf,
        /// The log.
        wal: PathBuf,
    },
    /// The log continues a database that is not there.
    #[error(
        "the database {database} does not exist or is empty, and its write-ahead log {log} has \
         events. Put the database back to go on with them, or move {log} away to begin an \
         empty log. Nothing was changed",
        database = path.display(),
        log = wal.display()
    )]
    Orphan {
        /// The database.
        path: PathBuf,
        /// The log.
        wal: PathBuf,
    },
    /// A server has saved the database elsewhere.
    #[error(
        "the database {database} does not exist, but a server saved its events in {saved} when it \
         was removed. Rename {saved} (and {saved}-wal, if it exists) to go on with them, or move \
         it away to begin an empty log",
        database = path.display(),
        saved = copy.display()
    )]
    Rescued {
        /// The database.
        path: PathBuf,
        /// The copy.
        copy: PathBuf,
    },
    /// Another process has the database open with files that are not there any more.
    #[error(
        "{holder} has the database {database} open, and the files beside it were removed under it. \
         Stop that process first, so that what it holds is not lost",
        database = path.display()
    )]
    Elsewhere {
        /// The database.
        path: PathBuf,
        /// The other process.
        holder: String,
    },
    /// The files cannot be read.
    #[error("cannot read the database {} and its write-ahead log", path.display())]
    Unreadable {
        /// The database.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A `user_version` that no database has had before.
pub(super) fn stamp() -> Result<u32, getrandom::Error> {
    Ok(STAMP | (getrandom::u32()? & !TAG))
}

/// The `user_version` of a log that continues a database with this header.
pub(super) fn link(header: &DatabaseHeader) -> u32 {
    // FNV-1a: it is to tell headers apart, and no attacker forges one.
    let digest = header.iter().fold(0x811c_9dc5_u32, |digest, byte| {
        (digest ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    LINK | ((digest ^ (digest >> 24)) & !TAG)
}

/// Refuses a database that may not be opened together with what is beside it.
/// Changes nothing. Must come before SQLite opens the database, and may block.
pub(super) fn check(named: &Path) -> Result<(), WalError> {
    let unreadable = |source| WalError::Unreadable {
        path: named.to_owned(),
        source,
    };
    let path = match fs::canonicalize(named) {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => named.to_owned(),
        // SQLite cannot open it either, and then it is said why.
        Err(_) => return Ok(()),
    };
    let wal = beside(&path, "-wal");
    for _ in 0..READS {
        let read = || -> io::Result<_> { Ok((read_header(&path)?, read_start(&wal)?)) };
        let before = read().map_err(unreadable)?;
        let log = read_log(&wal).map_err(unreadable)?;
        // Another process may have begun the log again meanwhile.
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

/// Refuses a database that another process has open without the files at the paths.
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

/// Whether a log continues a database with this header.
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
