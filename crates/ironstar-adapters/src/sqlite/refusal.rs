//! Finds out why the storage refuses SQLite's writes.
//!
//! SQLite's result codes do not distinguish the causes, and sqlx does not pass on the error
//! of the operating system. So after a failure this module asks the system again: it checks
//! the permissions of SQLite's files, and writes a small file beside them.
//!
//! It never opens the database itself: a process loses its locks on a file when it closes any
//! descriptor of that file.

use std::error::Error;
use std::fmt::{self, Display};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ironstar_ports::{CommitError, StoreError, UpdateError};
use rustix::fs::{Access, AtFlags, CWD, accessat, statvfs};

use super::code;
use super::path::{beside, folder_of};

/// The content of the probe: as much as SQLite writes for one page of the log, with its
/// header.
const PROBE: [u8; 8_192] = [0; 8_192];

/// An error: the storage refuses SQLite's writes for a known cause.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to the database {}, because {cause}", path.display())]
pub struct Refusal {
    path: PathBuf,
    cause: Cause,
    source: Box<dyn Error + Send + Sync>,
}

/// Causes that the operator can remove.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cause {
    /// Another process holds the write lock for longer than a caller waits.
    Locked,
    /// The volume is read-only.
    ReadOnlyVolume,
    /// The user has no permission to write this file.
    ReadOnlyFile(PathBuf),
    /// The user has no permission to create files in this folder.
    ReadOnlyFolder(PathBuf),
    /// The volume has no space.
    NoSpace,
    /// The volume has space, but cannot hold another file.
    NoInodes,
    /// The user's quota on the volume is used up.
    Quota,
}

impl Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => f.write_str(
                "another process keeps it locked; stop that process, or wait until it is done",
            ),
            Self::ReadOnlyVolume => f.write_str(
                "its volume is read-only; mount the volume for writing, or name another file \
                 (if the volume turned read-only by itself, the system's log says why)",
            ),
            Self::ReadOnlyFile(file) => write!(
                f,
                "this user may not write {}; let this user write that file (chmod, chown)",
                file.display()
            ),
            Self::ReadOnlyFolder(folder) => write!(
                f,
                "this user may not make files in {}; let this user write that folder",
                folder.display()
            ),
            Self::NoSpace => f.write_str(
                "its volume has no space left; delete other files there, or enlarge the volume",
            ),
            Self::NoInodes => f.write_str(
                "its volume has no room for another file (df -i); delete other files there",
            ),
            Self::Quota => f.write_str(
                "the disk quota of this user is used up; delete other files, or raise the quota",
            ),
        }
    }
}

impl Refusal {
    pub(super) fn new(
        path: &Path,
        cause: Cause,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            cause,
            source: source.into(),
        }
    }

    /// The cause of the refusal.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.cause
    }
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        Self::unavailable(refusal)
    }
}

impl From<Refusal> for UpdateError {
    fn from(refusal: Refusal) -> Self {
        Self::Store(refusal.into())
    }
}

impl From<Refusal> for CommitError {
    fn from(refusal: Refusal) -> Self {
        Self::Store(refusal.into())
    }
}

/// Returns the cause of a failure of SQLite with this result code, if the storage caused it.
/// Waits for the disk.
pub(super) fn cause_of(path: &Path, result_code: i32) -> Option<Cause> {
    match code::primary(result_code) {
        code::FULL => Some(refused(path).unwrap_or(Cause::NoSpace)),
        code::READONLY | code::IOERR | code::CANTOPEN => refused(path),
        _ => None,
    }
}

/// Returns the cause of a failed operation beside a database, if the storage caused it.
pub(super) fn cause_of_io(path: &Path, error: &io::Error) -> Option<Cause> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the standard library may add kinds"
    )]
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => Some(Cause::ReadOnlyVolume),
        io::ErrorKind::QuotaExceeded => Some(Cause::Quota),
        io::ErrorKind::StorageFull if has_no_inodes(path) => Some(Cause::NoInodes),
        io::ErrorKind::StorageFull => Some(Cause::NoSpace),
        io::ErrorKind::PermissionDenied => Some(Cause::ReadOnlyFolder(folder_of(path).to_owned())),
        _ => None,
    }
}

/// Returns the cause for which the system refuses writes now.
fn refused(path: &Path) -> Option<Cause> {
    for file in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
        match accessat(CWD, &file, Access::WRITE_OK, AtFlags::EACCESS).map_err(io::Error::from) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Some(Cause::ReadOnlyFile(file));
            }
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                return Some(Cause::ReadOnlyVolume);
            }
            // If the file does not exist, it can be created, or the probe fails as well.
            Err(_) | Ok(()) => {}
        }
    }
    cause_of_io(path, &probe(path).err()?)
}

/// Creates a small file beside the database, writes to it, and removes it.
fn probe(path: &Path) -> io::Result<()> {
    // A random name avoids the probes of other tasks, and of a process that was killed.
    let random = getrandom::u64().map_err(io::Error::other)?;
    let place = beside(path, &format!("-probe-{random:016x}"));
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&place)?;
    let written = file.write_all(&PROBE).and_then(|()| file.sync_data());
    drop(file);
    // The result of the probe matters more to the operator than a failed removal.
    let _ = fs::remove_file(&place);
    written
}

/// Returns true if the volume counts its inodes and has none left.
fn has_no_inodes(path: &Path) -> bool {
    statvfs(folder_of(path)).is_ok_and(|volume| volume.f_files > 0 && volume.f_favail == 0)
}

#[cfg(test)]
mod tests;
