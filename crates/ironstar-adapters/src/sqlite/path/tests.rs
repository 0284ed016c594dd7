//! Tests that resolve names on real files.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{DatabaseFile, no_way};
use crate::sqlite::{OpenError, SqliteUrl};
use rustix::io::Errno;

/// Creates a folder with files of all kinds.
fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().canonicalize().expect("its path");
    fs::create_dir(path.join("inner")).expect("a folder");
    fs::write(path.join("file.db"), "").expect("a file");
    symlink("inner/new.db", path.join("dangling")).expect("a link");
    symlink("dangling", path.join("twice")).expect("a link");
    symlink(path.join("file.db"), path.join("absolute")).expect("a link");
    symlink("inner", path.join("folder-link")).expect("a link");
    symlink("nowhere/new.db", path.join("to-no-folder")).expect("a link");
    symlink("inner/", path.join("to-a-folder")).expect("a link");
    symlink("loop", path.join("loop")).expect("a link");
    (folder, path)
}

fn find(path: impl Into<PathBuf>) -> Result<DatabaseFile, OpenError> {
    DatabaseFile::find(&path.into().into())
}

#[test]
fn name_resolves_to_an_absolute_path_without_links() {
    let (_folder, folder) = folder();
    for (name, path) in [
        ("file.db", "file.db"),
        ("new.db", "new.db"),
        ("./file.db", "file.db"),
        ("inner/../file.db", "file.db"),
        ("folder-link/../file.db", "file.db"),
        ("folder-link/new.db", "inner/new.db"),
        ("dangling", "inner/new.db"),
        ("twice", "inner/new.db"),
        ("absolute", "file.db"),
        ("file:m.db", "file:m.db"),
        (":memory:", ":memory:"),
        ("-x?y#z%20.db", "-x?y#z%20.db"),
    ] {
        let found = find(folder.join(name));
        assert_eq!(found.expect(name).path(), folder.join(path), "{name}");
    }
    // Tests run in the folder of their package.
    let relative = find("Cargo.toml").expect("a file");
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    assert_eq!(relative.path(), expected.canonicalize().expect("there"));
}

#[test]
fn name_that_leads_to_no_file_is_refused() {
    let (_folder, folder) = folder();
    let _socket = UnixListener::bind(folder.join("socket")).expect("a socket");
    let made = Command::new("mkfifo").arg(folder.join("pipe")).status();
    assert!(made.expect("mkfifo runs").success());
    let refusal = |name: &str| find(format!("{}/{name}", folder.display())).expect_err(name);
    for name in [
        "inner",
        "inner/",
        "file.db/",
        "new.db/",
        "file.db/.",
        "inner/..",
        "to-a-folder",
        "folder-link",
    ] {
        let error = refusal(name);
        assert!(
            matches!(error, OpenError::Folder { .. }),
            "{name}: {error:?}"
        );
    }
    for name in ["nowhere/new.db", "to-no-folder", "file.db/new.db"] {
        let error = refusal(name);
        let is_right = matches!(error, OpenError::NoFolder { .. });
        assert!(is_right, "{name}: {error:?}");
    }
    for (name, expected) in [("socket", "a socket"), ("pipe", "a pipe")] {
        let error = refusal(name);
        let is_right = matches!(error, OpenError::NotAFile { kind, .. } if kind == expected);
        assert!(is_right, "{name}: {error:?}");
    }
    let device = find("/dev/null").expect_err("a device");
    assert!(device.to_string().contains("that is a device"), "{device}");
    let error = refusal("loop");
    assert!(matches!(error, OpenError::Links { .. }), "{error:?}");
    let long = "x".repeat(248);
    let error = refusal(&long);
    assert!(matches!(error, OpenError::TooLong { .. }), "{error:?}");
    find(folder.join(&long[1..])).expect("SQLite has room for the files beside");
    find("").expect_err("no name");
    find("a\0b").expect_err("no name that the system takes");
    let no_text = std::ffi::OsString::from_vec(b"\xff.db".to_vec());
    let error = find(folder.join(no_text)).expect_err("not UTF-8");
    assert!(matches!(error, OpenError::NotUnicode { .. }), "{error:?}");
    assert!(!folder.join("new.db").exists(), "nothing was made");
}

#[test]
fn old_file_with_an_escape_in_its_name_is_not_ignored() {
    let (_folder, folder) = folder();
    let find = |name: &str| {
        let url = format!("sqlite:{}/{name}", folder.display());
        let url: SqliteUrl = url.parse().expect("a URL");
        DatabaseFile::find(&url)
    };
    assert_eq!(find("a%20b.db").expect("new").path(), folder.join("a b.db"));
    fs::write(folder.join("a%20b.db"), "").expect("a file");
    let error = find("a%20b.db").expect_err("which is meant?");
    assert!(error.to_string().contains("write %25"), "{error}");
    let old = find("a%2520b.db").expect("the old file");
    assert_eq!(old.path(), folder.join("a%20b.db"));
    fs::write(folder.join("a b.db"), "").expect("a file");
    assert_eq!(
        find("a%20b.db").expect("there").path(),
        folder.join("a b.db")
    );
}

#[test]
fn link_to_an_open_but_removed_file_is_refused() {
    use std::os::fd::AsRawFd;
    let (_folder, folder) = folder();
    let gone = fs::File::create(folder.join("gone.db")).expect("a file");
    fs::remove_file(folder.join("gone.db")).expect("removed");
    let link = format!("/proc/self/fd/{}", gone.as_raw_fd());
    if Path::new(&link).exists() {
        let error = find(link).expect_err("not a name");
        assert!(matches!(error, OpenError::NotAFile { .. }), "{error:?}");
    }
}

#[test]
fn new_file_is_created_at_the_end_of_a_link_for_its_owner_only() {
    let (_folder, folder) = folder();
    let file = find(folder.join("twice")).expect("a place");
    assert!(!file.exists());
    let claim = file.claim().expect("made");
    assert!(claim.is_new && file.exists());
    let made = folder.join("inner/new.db").symlink_metadata();
    assert_eq!(made.expect("made").mode() & 0o777, 0o600);
    let again = file.claim().expect("there");
    assert!(!again.is_new);
    file.verify(&claim).expect("the same file");
}

#[test]
fn file_that_replaces_another_is_detected() {
    let (_folder, folder) = folder();
    let path = folder.join("file.db");
    let file = find(&path).expect("a place");
    let claim = file.claim().expect("there");
    fs::rename(&path, folder.join("moved.db")).expect("moved");
    file.verify(&claim).expect_err("gone");
    fs::write(&path, "").expect("another");
    file.verify(&claim).expect_err("another");
    fs::remove_file(&path).expect("removed");
    symlink(folder.join("moved.db"), &path).expect("a link");
    let error = file.verify(&claim).expect_err("a link");
    assert!(matches!(error, OpenError::Swapped { .. }), "{error:?}");
    file.claim().expect_err("a link is not the file");
}

#[test]
fn each_cause_of_an_unusable_path_has_its_own_error() {
    let told = |error: Errno| no_way("/x".into(), error.into());
    assert!(matches!(told(Errno::LOOP), OpenError::Links { .. }));
    assert!(matches!(told(Errno::NOENT), OpenError::NoFolder { .. }));
    assert!(matches!(told(Errno::NOTDIR), OpenError::NoFolder { .. }));
    assert!(matches!(told(Errno::ACCESS), OpenError::Denied { .. }));
    assert!(matches!(
        told(Errno::NAMETOOLONG),
        OpenError::TooLong { .. }
    ));
    assert!(matches!(told(Errno::IO), OpenError::Unreadable { .. }));
}

#[test]
fn file_that_another_process_has_just_created_is_accepted() {
    let (_folder, folder) = folder();
    let found = find(folder.join("new.db")).expect("a path");
    fs::write(folder.join("new.db"), "").expect("written");
    found.create().expect("the file exists");
}
