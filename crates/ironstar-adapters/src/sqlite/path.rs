//! Resolves a database URL to the path of one file.
//!
//! SQLite, sqlx and the kernel read some names differently: as URIs, as folders, or through
//! links. So this module resolves a name once, to an absolute path without links. All code
//! that opens, protects or reports the database uses that path. SQLite takes an absolute path
//! literally.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::open_error::OpenError;
use super::refusal::{Refusal, cause_of_io};
use super::url::SqliteUrl;

/// The mode of a new database: only its owner may read and write it. SQLite gives the same
/// mode to the files beside it.
const OWNER_ONLY: u32 = 0o600;

/// The largest number of links to follow, as in Linux.
const MOST_LINKS: u32 = 40;

/// The limits of SQLite for a path (512 bytes) and of file systems for a name (255 bytes).
/// Both leave room for the suffixes of the files beside the database (`-journal`).
const LONGEST_PATH: usize = 512 - 8;
const LONGEST_NAME: usize = 255 - 8;

/// The file of a database: an absolute path without symbolic links. At the path is a regular
/// file, or no file yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DatabaseFile {
    path: PathBuf,
}

/// The file at a path before SQLite opened it.
#[derive(Debug)]
pub(super) struct Claim {
    /// True if the file was created by this claim.
    pub(super) is_new: bool,
    identity: (u64, u64),
}

impl DatabaseFile {
    /// Finds the file that a URL names, relative to the working directory.
    ///
    /// # Errors
    ///
    /// The name leads to something that is not a file, or to no usable path.
    pub fn find(url: &SqliteUrl) -> Result<Self, OpenError> {
        let named = url.path();
        let path = std::path::absolute(named).map_err(|source| OpenError::Unreadable {
            path: named.to_owned(),
            source,
        })?;
        // An absolute path drops the slash at the end, which marks a folder.
        let path = if ends_as_folder(named) {
            path.join("")
        } else {
            path
        };
        let path = resolve(path)?;
        let is_too_long = path.as_os_str().len() > LONGEST_PATH
            || path
                .file_name()
                .is_some_and(|name| name.len() > LONGEST_NAME);
        if is_too_long {
            return Err(OpenError::TooLong { path });
        }
        if path.to_str().is_none() {
            return Err(OpenError::NotUnicode { path });
        }
        match url.literal() {
            Some(literal) if literal.exists() && !path.exists() => {
                Err(OpenError::Escaped(literal.to_owned()))
            }
            Some(_) | None => Ok(Self { path }),
        }
    }

    /// The absolute path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns true if the file exists now.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.path.symlink_metadata().is_ok()
    }

    /// Creates the file if there is none. Only its owner may use the new file, whatever the
    /// umask is.
    pub(super) fn claim(&self) -> Result<Claim, OpenError> {
        match self.path.symlink_metadata() {
            Ok(file) => Claim::of(&file, false).ok_or_else(|| self.swapped()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.create(),
            Err(error) => Err(self.not_made(error)),
        }
    }

    /// Makes sure that SQLite has opened the claimed file, and not a file that has since
    /// replaced it.
    pub(super) fn verify(&self, claim: &Claim) -> Result<(), OpenError> {
        let found = self.path.symlink_metadata().ok();
        let found = found.and_then(|file| Claim::of(&file, false));
        if found.is_some_and(|found| found.identity == claim.identity) {
            return Ok(());
        }
        Err(self.swapped())
    }

    /// Warns the operator if other users of the machine can read the file. The operator may
    /// want that, so the mode stays as it is.
    pub(super) fn warn_if_open(&self) {
        let path = self.path.display();
        let mode = self.path.symlink_metadata().map(|file| file.mode());
        if mode.is_ok_and(|mode| mode & 0o077 != 0) {
            tracing::warn!(
                "other users of this machine can read {path}, which contains all lists and the \
                 secret of all links; restrict access with `chmod 600 {path}`"
            );
        }
    }

    fn create(&self) -> Result<Claim, OpenError> {
        let mut new = OpenOptions::new();
        let made = new
            .write(true)
            .create_new(true)
            .mode(OWNER_ONLY)
            .open(&self.path);
        match made.and_then(|file| owners_alone(&file)) {
            Ok(file) => Claim::of(&file, true).ok_or_else(|| self.swapped()),
            // Another process has just created the file.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let there = self.path.symlink_metadata().ok();
                let there = there.and_then(|file| Claim::of(&file, false));
                there.ok_or_else(|| self.swapped())
            }
            Err(error) => Err(self.not_made(error)),
        }
    }

    fn not_made(&self, source: io::Error) -> OpenError {
        let path = self.path.clone();
        if source.kind() == io::ErrorKind::PermissionDenied {
            return OpenError::Denied { path, source };
        }
        match cause_of_io(&path, &source) {
            Some(cause) => Refusal::new(&path, cause, source).into(),
            None => OpenError::Unreadable { path, source },
        }
    }

    fn swapped(&self) -> OpenError {
        OpenError::Swapped {
            path: self.path.clone(),
        }
    }
}

impl Claim {
    /// Creates a claim, or returns `None` if this is not a regular file.
    fn of(file: &Metadata, is_new: bool) -> Option<Self> {
        file.is_file().then(|| Self {
            is_new,
            identity: (file.dev(), file.ino()),
        })
    }
}

/// The path of a file that SQLite keeps beside a database.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The folder of a database.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn owners_alone(file: &File) -> io::Result<Metadata> {
    file.set_permissions(Permissions::from_mode(OWNER_ONLY))?;
    file.metadata()
}

/// Resolves all links, including a link to a file that does not exist yet.
fn resolve(named: PathBuf) -> Result<PathBuf, OpenError> {
    let mut path = named;
    for _ in 0..=MOST_LINKS {
        if ends_as_folder(&path) {
            return Err(OpenError::Folder { path });
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(OpenError::Folder { path });
        };
        let folder = match fs::canonicalize(folder) {
            Ok(folder) => folder,
            Err(error) => return Err(no_way(path, error)),
        };
        let place = folder.join(name);
        let file = match place.symlink_metadata() {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(place),
            Err(error) => return Err(no_way(place, error)),
        };
        if !file.is_symlink() {
            return file_at(place, &file);
        }
        let target = fs::read_link(&place).map_err(|error| no_way(place.clone(), error))?;
        let target = folder.join(target);
        // Links in /proc lead to open files, which may no longer be at the path in the link's
        // text.
        if place.exists() && target.symlink_metadata().is_err() {
            return Err(OpenError::NotAFile {
                path: place,
                kind: "a link to an open file",
            });
        }
        path = target;
    }
    Err(OpenError::Links { path })
}

fn file_at(path: PathBuf, file: &Metadata) -> Result<PathBuf, OpenError> {
    let kind = file.file_type();
    let kind = if kind.is_file() {
        return Ok(path);
    } else if kind.is_dir() {
        return Err(OpenError::Folder { path });
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(OpenError::NotAFile { path, kind })
}

/// Converts an error of following a path.
fn no_way(path: PathBuf, source: io::Error) -> OpenError {
    if Errno::from_io_error(&source) == Some(Errno::LOOP) {
        return OpenError::Links { path };
    }
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the standard library may add kinds"
    )]
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => OpenError::NoFolder { path },
        io::ErrorKind::PermissionDenied => OpenError::Denied { path, source },
        io::ErrorKind::InvalidFilename => OpenError::TooLong { path },
        _ => OpenError::Unreadable { path, source },
    }
}

/// Returns true if the kernel would take the path for a folder, whatever is there.
fn ends_as_folder(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    let last = bytes.rsplit(|byte| *byte == b'/').next();
    matches!(last, Some(b"" | b"." | b".."))
}

#[cfg(test)]
mod tests;
