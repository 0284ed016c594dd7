//! The programs of PostgreSQL, and the user who runs them.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;

/// The folder in which Debian keeps the programs of each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The user `nobody`. PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;

/// The programs of one version.
#[derive(Debug)]
pub(crate) struct Programs {
    folder: PathBuf,
    is_root: bool,
}

impl Programs {
    /// Finds the newest version.
    pub(crate) fn find() -> Option<Self> {
        let folder = of_debian().or_else(of_path)?;
        let is_root = geteuid().is_root();
        Some(Self { folder, is_root })
    }

    pub(crate) fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    /// Gives a folder to the user who runs the programs.
    pub(crate) fn give(&self, folder: &Path) -> std::io::Result<()> {
        if self.is_root {
            chown(folder, Some(NOBODY), Some(NOBODY))?;
        }
        Ok(())
    }

    /// Makes that user run a command.
    pub(crate) fn as_user<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if self.is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        // The folder of the tests may be closed to that user.
        command.current_dir("/")
    }
}

fn of_debian() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).ok()?.flatten();
    let programs = versions.filter_map(|version| {
        let number: u32 = version.file_name().to_str()?.parse().ok()?;
        let folder = version.path().join("bin");
        folder.join("initdb").is_file().then_some((number, folder))
    });
    programs.max().map(|(_, folder)| folder)
}

fn of_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|folder| folder.join("initdb").is_file())
}
