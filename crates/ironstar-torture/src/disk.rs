//! A simulated disk that can fail, and lose its power.
//!
//! SQLite's files are in their normal places, so SQLite reads what it wrote. In addition, the
//! disk remembers what a power cut would leave: all synced data, and any part of the later
//! writes. A failing sync loses the data that it should have saved. Linux behaves like that,
//! because the pages count as written afterwards (<https://lwn.net/Articles/752063/>).

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The unit that a disk writes completely or not at all, in bytes.
const SECTOR: usize = 512;

/// A simulated disk.
#[derive(Debug)]
pub(crate) struct Disk {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: fastrand::Rng,
    faults: Faults,
    counts: Counts,
    files: BTreeMap<PathBuf, Stored>,
}

/// The faults of a disk.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Faults {
    /// One in this many writes fails, completely or half-way. 0 means none.
    pub(crate) writes: u32,
    /// One in this many syncs fails. 0 means none.
    pub(crate) syncs: u32,
    /// Locks do not work, as on some network file systems.
    pub(crate) has_no_locks: bool,
    /// The disk has no space.
    pub(crate) is_full: bool,
    /// Syncs do nothing and report success. This simulates a program that never syncs.
    pub(crate) ignores_syncs: bool,
}

/// The counts of a disk.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    /// The number of failed writes and syncs.
    pub(crate) failures: u64,
    /// The number of successful syncs.
    pub(crate) syncs: u64,
}

/// Errors of a disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    /// `EIO`
    Broken,
    /// `ENOSPC`
    Full,
}

/// The files that a power cut leaves: the name and the content of each.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    files: Vec<(PathBuf, Vec<u8>)>,
}

/// A file in the state of the disk.
#[derive(Debug, Default)]
struct Stored {
    synced: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

impl Disk {
    /// Creates a disk without faults. The seed determines its random choices.
    #[must_use]
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: Mutex::new(State {
                random: fastrand::Rng::with_seed(seed),
                faults: Faults::default(),
                counts: Counts::default(),
                files: BTreeMap::new(),
            }),
        }
    }

    /// Sets the faults for all later operations.
    pub(crate) fn fail(&self, faults: Faults) {
        self.state.lock().faults = faults;
    }

    /// The counts so far.
    #[must_use]
    pub(crate) fn counts(&self) -> Counts {
        self.state.lock().counts
    }

    /// Returns the files that a power cut would leave now. The disk itself continues to work.
    #[must_use]
    pub(crate) fn cut(&self) -> Image {
        let mut state = self.state.lock();
        let State { random, files, .. } = &mut *state;
        let files = files
            .iter()
            .map(|(path, file)| (path.clone(), file.after_a_cut(random)))
            .collect();
        Image { files }
    }

    /// Opens a file. Its present content counts as synced.
    pub(crate) fn open(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        if !state.files.contains_key(path) {
            let file = Stored {
                synced: fs::read(path)?,
                unsynced: Vec::new(),
            };
            state.files.insert(path.to_owned(), file);
        }
        Ok(())
    }

    /// Writes to a file. `pass_on` is called with the part that succeeds, and returns true if
    /// it could write that part.
    pub(crate) fn write(
        &self,
        path: &Path,
        offset: usize,
        bytes: &[u8],
        pass_on: impl FnOnce(&[u8]) -> bool,
    ) -> Result<(), Failure> {
        let mut state = self.state.lock();
        let failure = state.write_fails();
        let length = match failure {
            None => bytes.len(),
            Some(_) => state.random.usize(0..bytes.len().max(1)),
        };
        let bytes = &bytes[..length];
        if !bytes.is_empty() {
            if !pass_on(bytes) {
                return Err(Failure::Broken);
            }
            state.change(
                path,
                Change::Write {
                    offset,
                    bytes: bytes.to_vec(),
                },
            );
        }
        failure.map_or(Ok(()), Err)
    }

    /// Returns true if files can be locked.
    pub(crate) fn locks(&self) -> bool {
        !self.state.lock().faults.has_no_locks
    }

    pub(crate) fn truncate(&self, path: &Path, length: usize) {
        self.state.lock().change(path, Change::Truncate(length));
    }

    pub(crate) fn delete(&self, path: &Path) {
        self.state.lock().files.remove(path);
    }

    pub(crate) fn sync(&self, path: &Path) -> Result<(), Failure> {
        let mut state = self.state.lock();
        let State {
            random,
            faults,
            counts,
            files,
        } = &mut *state;
        let Some(file) = files.get_mut(path) else {
            return Ok(());
        };
        if faults.ignores_syncs {
            return Ok(());
        }
        if happens(random, faults.syncs) {
            counts.failures += 1;
            file.synced = file.after_a_cut(random);
            file.unsynced.clear();
            return Err(Failure::Broken);
        }
        counts.syncs += 1;
        for change in file.unsynced.drain(..) {
            change.apply(&mut file.synced);
        }
        Ok(())
    }
}

impl State {
    fn write_fails(&mut self) -> Option<Failure> {
        let failure = if self.faults.is_full {
            Failure::Full
        } else if happens(&mut self.random, self.faults.writes) {
            *self
                .random
                .choice(&[Failure::Full, Failure::Broken])
                .unwrap_or(&Failure::Broken)
        } else {
            return None;
        };
        self.counts.failures += 1;
        Some(failure)
    }

    fn change(&mut self, path: &Path, change: Change) {
        if let Some(file) = self.files.get_mut(path) {
            file.unsynced.push(change);
        }
    }
}

/// Returns true once in this many times at random. 0 means never.
fn happens(random: &mut fastrand::Rng, one_in: u32) -> bool {
    one_in > 0 && random.u32(0..one_in) == 0
}

impl Stored {
    /// Returns the synced content, with all, nothing, or some sectors of each later change.
    fn after_a_cut(&self, random: &mut fastrand::Rng) -> Vec<u8> {
        let mut content = self.synced.clone();
        for change in &self.unsynced {
            match (change, random.u8(0..3)) {
                (_, 0) => {}
                (change @ Change::Truncate(_), _) | (change, 1) => {
                    change.clone().apply(&mut content);
                }
                (Change::Write { offset, bytes }, _) => {
                    let mut at = *offset;
                    for sector in bytes.chunks(SECTOR) {
                        if random.bool() {
                            write(&mut content, at, sector);
                        }
                        at += sector.len();
                    }
                }
            }
        }
        content
    }
}

impl Change {
    fn apply(self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => write(content, offset, &bytes),
            Self::Truncate(length) => content.truncate(length),
        }
    }
}

fn write(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

impl Image {
    /// Writes the files to another folder.
    ///
    /// # Errors
    ///
    /// The files cannot be written there.
    pub(crate) fn restore(&self, folder: &Path) -> io::Result<()> {
        for (path, content) in &self.files {
            let name = path.file_name().unwrap_or_default();
            fs::write(folder.join(name), content)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
