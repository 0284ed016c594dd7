//! Files that this process has open beside SQLite, without losing SQLite's locks.
//!
//! When a process closes any descriptor of a file, the kernel drops all locks that the
//! process has on that file (`fcntl(2)`, record locks). SQLite holds such locks on the
//! database and on its `-shm`. So a descriptor of these files is closed only when this
//! process has no other descriptor of the same file.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::quiet;
use parking_lot::Mutex;

/// The identity of a file: its device and its inode.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sqlite) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// Descriptors that are no longer needed, but may not be closed yet.
static RETIRED: Mutex<Vec<(Identity, File)>> = Mutex::new(Vec::new());

/// An open file on which SQLite may have locks.
#[derive(Debug)]
pub(in crate::sqlite) struct Held {
    /// `None` only during the drop.
    file: Option<File>,
    identity: Identity,
}

impl Held {
    /// Opens a file for reading.
    pub(in crate::sqlite) fn open(path: &Path) -> io::Result<Self> {
        Self::open_with(path, OpenOptions::new().read(true))
    }

    /// Opens a file for reading and writing.
    pub(super) fn open_to_write(path: &Path) -> io::Result<Self> {
        Self::open_with(path, OpenOptions::new().read(true).write(true))
    }

    fn open_with(path: &Path, options: &OpenOptions) -> io::Result<Self> {
        let file = quiet::open(path, options)?;
        // If this failed, the return would close a descriptor that SQLite may need. The
        // kernel has no reason to fail on an open file.
        let identity = Identity::of(&file.metadata()?);
        let file = Some(file);
        Ok(Self { file, identity })
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.file().metadata()
    }

    /// The present length of the file, in bytes.
    pub(super) fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    pub(in crate::sqlite) fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.file().read_exact_at(bytes, offset)
    }

    /// Reads up to the length of the buffer, and returns the number of bytes.
    pub(super) fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file().read_at(bytes, offset)
    }

    fn file(&self) -> &File {
        self.file
            .as_ref()
            .expect("the file is present until the drop")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut retired = RETIRED.lock();
        retired.extend(self.file.take().map(|file| (self.identity, file)));
        close_unshared(&mut retired);
    }
}

/// Closes the retired descriptors of files that this process has no other descriptor of.
/// Without `/proc`, it keeps them all.
fn close_unshared(retired: &mut Vec<(Identity, File)>) {
    let Ok(open) = open_files() else {
        return;
    };
    let count = |among: &[Identity], identity| among.iter().filter(|it| **it == identity).count();
    let all: Vec<Identity> = retired.iter().map(|(identity, _)| *identity).collect();
    retired.retain(|(identity, _)| count(&open, *identity) > count(&all, *identity));
}

/// The identities of the files that this process has open, one for each descriptor.
pub(super) fn open_files() -> io::Result<Vec<Identity>> {
    let mut files = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        // The descriptor of this folder is closed by now. It belongs to no file, so that is
        // fine.
        if let Ok(metadata) = fs::metadata(entry?.path()) {
            files.push(Identity::of(&metadata));
        }
    }
    Ok(files)
}
