//! Finds the processes that use a file, as far as Linux tells.
//!
//! `/proc/locks` lists the holders of all locks. The open files of other users' processes are
//! not visible to every user. Without `/proc`, this module finds no process.

use std::fs;
use std::path::Path;
use std::process;

use super::beside;
use super::held::{Held, Identity};
use super::index::{HEAD, Index, MARKS};
use super::log::read_start;

/// The byte of the index that readers of the first slot lock. The other slots follow.
const FIRST_MARK: u64 = 123;

/// The id of a process.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::sqlite) struct ProcessId(u32);

impl ProcessId {
    fn own() -> Self {
        Self(process::id())
    }

    /// Describes the process for the operator.
    pub(in crate::sqlite) fn describe(self) -> String {
        if self == Self::own() {
            return "this server itself".to_owned();
        }
        let Self(id) = self;
        match fs::read_to_string(format!("/proc/{id}/comm")) {
            Ok(name) => format!("process {id} ({:?})", name.trim_end()),
            Err(_) => format!("process {id}"),
        }
    }
}

/// A shared lock on a range of bytes.
struct Lock {
    holder: ProcessId,
    first: u64,
    last: u64,
}

/// The processes whose readers keep checkpoints from copying frames to the database.
pub(in crate::sqlite) fn in_the_way(file: Identity, index: &Index) -> Vec<ProcessId> {
    let locks = locks(file)
        .into_iter()
        .filter(|lock| is_in_the_way(lock, index));
    distinct(locks.map(|lock| lock.holder).collect())
}

/// Returns true if the lock belongs to a reader that does not see all frames.
fn is_in_the_way(lock: &Lock, index: &Index) -> bool {
    (0..MARKS).any(|slot| {
        let byte = FIRST_MARK + slot as u64;
        // Readers of the first slot read only the database, without the log.
        let is_behind = slot == 0 || index.marks[slot] < index.frames;
        is_behind && (lock.first..=lock.last).contains(&byte)
    })
}

/// The other processes that hold locks on a file.
pub(super) fn others_with_locks(file: Identity) -> Vec<ProcessId> {
    let holders = locks(file).into_iter().map(|lock| lock.holder);
    distinct(
        holders
            .filter(|holder| *holder != ProcessId::own())
            .collect(),
    )
}

/// Describes, for the operator, a process that uses a database with an index or log that is
/// no longer beside it.
///
/// Each process that reads a database through a log holds a lock on the database, and on the
/// index (<https://sqlite.org/walformat.html#locks>).
pub(in crate::sqlite) fn displaced_holder(path: &Path) -> Option<String> {
    let main = Held::open(path).ok()?;
    let users = others_with_locks(main.identity());
    if users.is_empty() {
        return None;
    }
    let mut versions = [0; 2];
    main.read_exact_at(&mut versions, 18).ok()?;
    if versions != [2, 2] {
        // The database has no log.
        return None;
    }
    let index = Held::open(&beside(path, "-shm")).ok();
    let here = index
        .as_ref()
        .map(|index| others_with_locks(index.identity()));
    let here = here.unwrap_or_default();
    let index = index.and_then(|index| head(&index));
    let is_log_theirs = here.is_empty() || {
        let start = read_start(&beside(path, "-wal")).unwrap_or_default();
        index.is_none_or(|index| fits(&index, &start))
    };
    let displaced = |user: &&ProcessId| !is_log_theirs || !here.contains(user);
    users.iter().find(displaced).map(|user| user.describe())
}

/// Reads the head of an index, if it is valid.
fn head(index: &Held) -> Option<Index> {
    let mut head = [0; HEAD];
    index.read_exact_at(&mut head, 0).ok()?;
    Index::parse(&head)
}

/// Returns true if an index belongs to the log with this start.
fn fits(index: &Index, start: &[u8]) -> bool {
    index.frames == 0 || start.get(16..24) == Some(&index.salts[..])
}

/// The other processes that have a file open.
pub(super) fn others_with_descriptors(file: Identity) -> Vec<ProcessId> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let ids = processes.filter_map(|process| {
        let process = process.ok()?;
        let id = process.file_name().to_str()?.parse().ok()?;
        (ProcessId(id) != ProcessId::own() && has_open(&process.path(), file))
            .then_some(ProcessId(id))
    });
    ids.collect()
}

fn has_open(process: &Path, file: Identity) -> bool {
    let descriptors = fs::read_dir(process.join("fd"));
    let mut descriptors = descriptors.into_iter().flatten().flatten();
    descriptors.any(|descriptor| {
        let metadata = fs::metadata(descriptor.path());
        metadata.is_ok_and(|metadata| Identity::of(&metadata) == file)
    })
}

fn distinct(mut processes: Vec<ProcessId>) -> Vec<ProcessId> {
    processes.sort_unstable();
    processes.dedup();
    processes
}

fn locks(file: Identity) -> Vec<Lock> {
    let all = fs::read_to_string("/proc/locks").unwrap_or_default();
    all.lines().filter_map(|line| lock(line, file)).collect()
}

/// Parses a line like `1: POSIX  ADVISORY  READ 4242 fe:00:1234 123 123`, if it is about the
/// file.
fn lock(line: &str, file: Identity) -> Option<Lock> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let &[_, "POSIX", _, "READ", holder, on, first, last] = words.as_slice() else {
        return None;
    };
    let (device, inode) = on.rsplit_once(':')?;
    if inode != file.inode.to_string() || device != kernel_device(file.device) {
        return None;
    }
    Some(Lock {
        holder: ProcessId(holder.parse().ok()?),
        first: first.parse().ok()?,
        last: last.parse().unwrap_or(u64::MAX),
    })
}

/// Formats a device as `/proc` writes it (`makedev(3)` describes the number).
fn kernel_device(device: u64) -> String {
    let major = ((device >> 8) & 0xfff) | ((device >> 32) & !0xfff);
    let minor = (device & 0xff) | ((device >> 12) & !0xff);
    format!("{major:02x}:{minor:02x}")
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::{Command, Stdio};

    use super::*;

    fn index(frames: u32, marks: [u32; MARKS]) -> Index {
        Index {
            salts: [1, 2, 3, 4, 5, 6, 7, 8],
            changes: 0,
            frames,
            page_size: 4_096,
            checksum: [0; 8],
            backfilled: 0,
            attempted: 0,
            marks,
        }
    }

    #[test]
    fn readers_that_do_not_see_all_frames_are_in_the_way() {
        let index = index(7, [7, 7, 6, u32::MAX, 8]);
        let locked = |first, last| {
            let holder = ProcessId(1);
            is_in_the_way(
                &Lock {
                    holder,
                    first,
                    last,
                },
                &index,
            )
        };
        let slots = [0, 1, 2, 3, 4].map(|slot| locked(FIRST_MARK + slot, FIRST_MARK + slot));
        assert_eq!(slots, [true, false, true, false, false]);
        assert!(locked(FIRST_MARK + 1, FIRST_MARK + 2));
        assert!(!locked(0, FIRST_MARK - 1));
    }

    #[test]
    fn log_with_other_salts_does_not_fit_an_index() {
        let log = |salts: [u8; 8]| [&[0; 16][..], &salts, &[0; 8]].concat();
        let (same, other) = (log([1, 2, 3, 4, 5, 6, 7, 8]), log([8; 8]));
        let full = index(1, [0; MARKS]);
        assert!(fits(&full, &same) && !fits(&full, &other) && !fits(&full, b""));
        // The log has no frames yet.
        let empty = index(0, [0; MARKS]);
        assert!(fits(&empty, &other) && fits(&empty, b""));
    }

    #[test]
    fn processes_that_have_a_file_open_are_found() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, "").expect("a file");
        let identity = Held::open(&path).expect("the path exists").identity();
        let mut other = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::from(File::open(&path).expect("the path exists")))
            .spawn()
            .expect("sleep starts");
        let id = ProcessId(other.id());
        assert!(others_with_descriptors(identity).contains(&id));
        let elsewhere = Held::open(folder.path())
            .expect("the path exists")
            .identity();
        assert!(!others_with_descriptors(elsewhere).contains(&id));
        other.kill().expect("killed");
        other.wait().expect("sleep ends");
        assert!(!others_with_descriptors(identity).contains(&id));
    }

    #[test]
    fn lock_is_read_from_line_of_its_file_only() {
        let file = Identity {
            device: 0xfe00,
            inode: 1_234,
        };
        let line = "7: POSIX  ADVISORY  READ 4242 fe:00:1234 124 EOF";
        let found = lock(line, file).expect("a lock");
        assert_eq!(
            (found.holder, found.first, found.last),
            (ProcessId(4_242), 124, u64::MAX)
        );
        for other in [
            "7: POSIX  ADVISORY  READ 4242 fe:00:1235 124 124",
            "7: POSIX  ADVISORY  READ 4242 fe:01:1234 124 124",
            "7: -> POSIX  ADVISORY  READ 4242 fe:00:1234 124 124",
            "7: FLOCK  ADVISORY  READ 4242 fe:00:1234 0 EOF",
            "7: POSIX  ADVISORY  WRITE 4242 fe:00:1234 124 124",
        ] {
            assert!(lock(other, file).is_none(), "{other}");
        }
    }
}
