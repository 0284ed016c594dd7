//! The file that the operator names is the file that the server opens, guards and announces.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Server, program, run_to_end, undisturbed};

/// Returns a folder that contains links, under a path without links.
fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().canonicalize().expect("its path");
    fs::create_dir(path.join("inner")).expect("a folder");
    symlink("inner/target.db", path.join("dangling.db")).expect("a link");
    symlink("inner", path.join("link")).expect("a link");
    (folder, path)
}

/// Returns the command for a server in a folder, with a mask for the modes of new files.
fn server_in(folder: &Path, mask: &str, url: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("umask {mask}; exec \"$0\" \"$@\"")]);
    command.arg(program());
    command.args(["--database-url", url]).current_dir(folder);
    undisturbed(&mut command);
    command
}

/// Returns every file under a folder.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let found = path.symlink_metadata().expect("there");
        if found.is_dir() {
            files.extend(self::files(&path));
        } else if found.is_file() {
            files.insert(path);
        }
    }
    files
}

#[test]
fn every_spelling_opens_guards_and_announces_the_same_file() {
    for (index, (url, path)) in [
        ("sqlite:a.db", "a.db"),
        ("sqlite://a.db?mode=rwc", "a.db"),
        ("sqlite://{folder}/a.db", "a.db"),
        ("sqlite:{folder}//a.db", "a.db"),
        ("sqlite:inner/../a.db", "a.db"),
        ("sqlite:link/a.db", "inner/a.db"),
        ("sqlite:dangling.db", "inner/target.db"),
        ("sqlite:./file:a.db", "file:a.db"),
        ("sqlite:./:memory:", ":memory:"),
        ("sqlite:-a%20b%3Fmode=ro#c.db", "-a b?mode=ro#c.db"),
    ]
    .into_iter()
    .enumerate()
    {
        let (_folder, folder) = folder();
        let url = url.replace("{folder}", &folder.display().to_string());
        let mask = ["000", "022", "777"][index % 3];
        let server = Server::start_with(&mut server_in(&folder, mask, &url));
        let expected = folder.join(path);
        let announced = format!("(events in {})\n", expected.display());
        assert!(
            server.ready.ends_with(&announced),
            "{url}: {}",
            server.ready
        );
        let beside = ["", "-shm", "-wal"].map(|end| {
            let mut name = expected.clone().into_os_string();
            name.push(end);
            PathBuf::from(name)
        });
        let found = files(&folder);
        assert_eq!(found, BTreeSet::from(beside), "{url}");
        for file in found {
            let mode = file.metadata().expect("there").mode() & 0o777;
            assert_eq!(mode, 0o600, "{url}: {} is {mode:o}", file.display());
        }
    }
}

#[test]
fn ambiguous_spelling_is_refused_and_creates_no_file() {
    let (_folder, folder) = folder();
    for (url, code, advice) in [
        ("sqlite:file:m.db", 2, "write sqlite:m.db"),
        ("file:m.db", 2, "looks like sqlite:ironstar.db"),
        ("sqlite:m.db?mode=ro", 2, "write sqlite:m.db"),
        ("sqlite:", 2, "looks like sqlite:ironstar.db"),
        ("sqlite:%zz.db", 2, "write %25"),
        ("sqlite:x.db/", 1, "that is a folder; name a file in it"),
        ("sqlite:link", 1, "that is a folder; name a file in it"),
        ("sqlite:/dev/null", 1, "that is a device; name a file"),
        ("sqlite:none/x.db", 1, "its folder does not exist"),
    ] {
        let output = run_to_end(server_in(&folder, "022", url).args(["--listen", "127.0.0.1:0"]));
        let message = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(code), "{url}: {message}");
        assert!(message.contains(advice), "{url}: {message}");
        assert_eq!(files(&folder), BTreeSet::new(), "{url}");
    }
}
