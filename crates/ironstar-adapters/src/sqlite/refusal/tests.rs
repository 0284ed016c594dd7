use std::fs;
use std::io;
use std::path::Path;

use rustix::io::Errno;
use tempfile::TempDir;

use super::{Cause, Refusal, cause_of, cause_of_io};
use crate::sqlite::code;

#[test]
fn system_error_is_mapped_to_its_cause() {
    let path = Path::new("/proc/self/x.db");
    for (error, expected) in [
        (Errno::ROFS, Some(Cause::ReadOnlyVolume)),
        (Errno::NOSPC, Some(Cause::NoSpace)),
        (Errno::DQUOT, Some(Cause::Quota)),
        (
            Errno::ACCESS,
            Some(Cause::ReadOnlyFolder("/proc/self".into())),
        ),
        (Errno::IO, None),
        (Errno::NOENT, None),
    ] {
        assert_eq!(cause_of_io(path, &error.into()), expected, "{error:?}");
    }
}

#[test]
fn writable_storage_is_not_named_as_the_cause() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("x.db");
    fs::write(&path, "").expect("a file");
    for code in [code::READONLY, 778, code::CANTOPEN, code::BUSY] {
        assert_eq!(cause_of(&path, code), None, "{code}");
    }
    // SQLite needed more space than there was. Some is free again since then.
    assert_eq!(cause_of(&path, code::FULL), Some(Cause::NoSpace));
    let left = fs::read_dir(folder.path()).expect("read").count();
    assert_eq!(left, 1, "the probe leaves nothing behind");
}

#[test]
fn refusal_names_the_database_and_the_remedy() {
    let source = io::Error::from(Errno::IO);
    let refusal = Refusal::new(Path::new("/a/b.db"), Cause::Quota, source);
    assert_eq!(refusal.cause(), &Cause::Quota);
    assert_eq!(
        refusal.to_string(),
        "cannot write to the database /a/b.db, because the disk quota of this user is used up; \
         delete other files, or raise the quota"
    );
}
