//! Looks at files without changing their metadata.
//!
//! A read changes the time of the last access. A request for a file's times makes the kernel
//! store exact times at the next change (Linux 6.13, multigrain timestamps). In both cases
//! the next sync has to write the metadata, too, which is a second write to the disk for each
//! commit.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use super::held::Identity;

/// A file that was found at a path.
pub(super) struct Found {
    pub(super) identity: Identity,
    /// The length, in bytes.
    pub(super) size: u64,
}

/// Opens a file so that reads do not change its access time. Only the file's owner may do so;
/// for others, this is a normal open.
#[cfg(target_os = "linux")]
pub(super) fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    const NO_ACCESS_TIME: i32 = rustix::fs::OFlags::NOATIME.bits().cast_signed();

    match options.clone().custom_flags(NO_ACCESS_TIME).open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => options.open(path),
        opened => opened,
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    options.open(path)
}

/// Finds the file at a path, without asking for its times.
#[cfg(target_os = "linux")]
pub(super) fn find(path: &Path) -> io::Result<Found> {
    use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};
    use rustix::io::Errno;

    match statx(
        CWD,
        path,
        AtFlags::empty(),
        StatxFlags::INO | StatxFlags::SIZE,
    ) {
        Ok(found) => Ok(Found {
            identity: Identity {
                device: makedev(found.stx_dev_major, found.stx_dev_minor),
                inode: found.stx_ino,
            },
            size: found.stx_size,
        }),
        // A sandbox may not allow this system call.
        Err(Errno::NOSYS | Errno::PERM) => find_with_times(path),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn find(path: &Path) -> io::Result<Found> {
    find_with_times(path)
}

fn find_with_times(path: &Path) -> io::Result<Found> {
    let metadata = std::fs::metadata(path)?;
    Ok(Found {
        identity: Identity::of(&metadata),
        size: metadata.len(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::{find, find_with_times};

    #[test]
    fn quiet_and_plain_lookups_find_the_same_file() {
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("file");
        fs::write(&path, "text").expect("written");
        let (quiet, plain) = (find(&path), find_with_times(&path));
        let (quiet, plain) = (quiet.expect("found"), plain.expect("found"));
        assert_eq!(quiet.identity, plain.identity);
        assert_eq!((quiet.size, plain.size), (4, 4));
        fs::remove_file(&path).expect("removed");
        let missing = find(&path).err().map(|error| error.kind());
        assert_eq!(missing, Some(std::io::ErrorKind::NotFound));
    }

    /// This can only fail on a file system that stores the time of the last access.
    #[cfg(target_os = "linux")]
    #[test]
    fn read_does_not_change_the_access_time() {
        use std::fs::OpenOptions;
        use std::io::Read;
        use std::time::{Duration, SystemTime};

        use super::open;

        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("file");
        fs::write(&path, "text").expect("written");
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        let times = fs::FileTimes::new().set_accessed(long_ago);
        let file = fs::File::options().write(true).open(&path);
        file.and_then(|file| file.set_times(times)).expect("set");
        let mut opened = open(&path, OpenOptions::new().read(true)).expect("opened");
        opened.read_to_end(&mut Vec::new()).expect("read");
        let metadata = fs::metadata(&path).expect("metadata");
        assert_eq!(metadata.accessed().expect("a time"), long_ago);
    }
}
