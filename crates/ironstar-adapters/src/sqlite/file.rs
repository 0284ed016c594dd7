//! Whether the file at a path is still the one that is open.
//!
//! A file that is removed or replaced stays open, and what is written to it is
//! gone with the process: so nothing is, once the path leads elsewhere.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::open_error::OpenError;
use super::path::DatabaseFile;

/// An open file, and where it was found.
#[derive(Clone, Debug)]
pub(super) struct OpenFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// The path does not lead to the open file any more.
#[derive(Debug, thiserror::Error)]
#[error("the database {} was removed or replaced while it was open", path.display())]
pub(super) struct Displaced {
    path: PathBuf,
    source: Option<io::Error>,
}

impl OpenFile {
    /// The file that has just been opened.
    pub(super) fn at(url: &DatabaseFile) -> Result<Self, OpenError> {
        let path = url.path().to_owned();
        match identity(&path) {
            Ok(identity) => Ok(Self { path, identity }),
            Err(error) => Err(OpenError::unusable(url, error.into())),
        }
    }

    /// Makes sure that the path still leads here. One system call.
    pub(super) fn check(&self) -> Result<(), Displaced> {
        let source = match identity(&self.path) {
            Ok(identity) if identity == self.identity => return Ok(()),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        Err(Displaced {
            path: self.path.clone(),
            source,
        })
    }
}

/// What tells a file from all others: its device and its inode.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
