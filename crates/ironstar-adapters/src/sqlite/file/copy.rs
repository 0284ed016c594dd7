//! Files that appear in their place completely or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::beside;
use super::held::Held;

/// The number of bytes to copy at once.
pub(super) const CHUNK: usize = 1024 * 1024;

/// A synced file that is not in its place yet. Its drop removes it.
#[derive(Debug)]
pub(super) struct Prepared {
    path: PathBuf,
}

impl Prepared {
    /// Writes bytes to a file beside a place.
    pub(super) fn of_bytes(place: &Path, mode: u32, bytes: &[u8]) -> io::Result<Self> {
        Self::write(place, mode, |file| file.write_all(bytes))
    }

    /// Copies an open file to a file beside a place.
    pub(super) fn of_file(place: &Path, mode: u32, source: &Held) -> io::Result<Self> {
        Self::write(place, mode, |file| {
            let mut chunk = vec![0; CHUNK];
            let mut offset = 0;
            loop {
                let read = source.read_at(&mut chunk, offset)?;
                if read == 0 {
                    return Ok(());
                }
                file.write_all(&chunk[..read])?;
                offset += read as u64;
            }
        })
    }

    fn write(
        place: &Path,
        mode: u32,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<Self> {
        let path = vacant(place, "unfinished")?;
        let mut new = OpenOptions::new();
        let mut file = new.write(true).create_new(true).mode(mode).open(&path)?;
        // From here on, the drop removes the file if it is not put in its place.
        let prepared = Self { path };
        write(&mut file)?;
        file.sync_all()?;
        Ok(prepared)
    }

    /// Puts the file in its place. Fails if another file is there.
    pub(super) fn put(self, place: &Path) -> io::Result<()> {
        fs::hard_link(&self.path, place)?;
        sync_folder(place)
    }

    /// Puts the file in its place, and replaces another file there.
    pub(super) fn replace(self, place: &Path) -> io::Result<()> {
        fs::rename(&self.path, place)?;
        sync_folder(place)
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // After `put` the file keeps its second name; after `replace` this name no longer
        // exists.
        let _ = fs::remove_file(&self.path);
    }
}

/// Returns the first unused name beside a file: `NAME.KIND-1`, `NAME.KIND-2` and so on.
pub(super) fn vacant(path: &Path, kind: &str) -> io::Result<PathBuf> {
    let mut number = 1;
    loop {
        let candidate = beside(path, &format!(".{kind}-{number}"));
        match fs::symlink_metadata(&candidate) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(candidate),
            Err(error) => return Err(error),
            Ok(_) => number += 1,
        }
    }
}

/// Makes a change of names durable, by a sync of the folder.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vacant_name_is_the_first_that_no_file_has() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("x.db");
        for number in 1..=3 {
            let name = vacant(&path, "rescued").expect("a name");
            assert_eq!(name, folder.path().join(format!("x.db.rescued-{number}")));
            fs::write(name, "").expect("written");
        }
        fs::remove_file(folder.path().join("x.db.rescued-2")).expect("removed");
        let name = vacant(&path, "rescued").expect("a name");
        assert_eq!(name, folder.path().join("x.db.rescued-2"));
    }
}
