//! A copy of the workspace without features.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// The program that serves the features, and that is deleted with them.
const PROGRAM: &str = "crates/ironstar-server/src/main.rs";

/// Makes a folder equal to the workspace without the features, and returns the number of files
/// that were left out. Files that do not change keep their times, so that nothing is built twice.
/// Files in `target` are not of the workspace.
pub(super) fn without_features(root: &Path, target: &Path, tree: &Path) -> anyhow::Result<usize> {
    let files = files(root)?.into_iter();
    let files = files.filter(|file| !root.join(file).starts_with(target));
    let (features, kept): (Vec<_>, Vec<_>) = files.partition(|file| is_feature(file));
    let kept: HashSet<PathBuf> = kept.into_iter().collect();
    remove_others(tree, tree, &kept)?;
    for file in &kept {
        let (from, to) = (root.join(file), tree.join(file));
        let content = fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
        let content = unregistered(file, content)?;
        if fs::read(&to).is_ok_and(|present| present == content) {
            continue;
        }
        let folder = to.parent().context("a file has a folder")?;
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&to, content))
            .with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(features.len())
}

/// The files that Git knows, or would add.
fn files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let listed = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .args(["--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot run git")?;
    if !listed.status.success() {
        let why = String::from_utf8_lossy(&listed.stderr);
        bail!("git does not list the files of the workspace: {why}");
    }
    let names = String::from_utf8(listed.stdout).context("the name of a file is not UTF-8")?;
    let files = names.split_terminator('\0').map(PathBuf::from);
    // A file that was deleted but not committed is still listed.
    Ok(files.filter(|file| root.join(file).is_file()).collect())
}

/// Returns true for the files of features, of their tests, and of the program that serves them.
fn is_feature(file: &Path) -> bool {
    let is_in_features = file.starts_with("crates")
        && file.components().any(|part| {
            ["features", "features.rs"]
                .map(AsRef::as_ref)
                .contains(&part.as_os_str())
        });
    is_in_features || file == Path::new(PROGRAM)
}

/// Removes the lines that declare or export modules of features.
fn unregistered(file: &Path, content: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let has_modules = ["lib.rs", "main.rs"].map(AsRef::as_ref);
    if !file.starts_with("crates") || !file.file_name().is_some_and(|it| has_modules.contains(&it))
    {
        return Ok(content);
    }
    let text = String::from_utf8(content).with_context(|| file.display().to_string())?;
    let mut kept = String::new();
    for line in text.split_inclusive('\n') {
        let declared = line.strip_prefix("pub ").unwrap_or(line);
        if !(declared.starts_with("mod features;") || declared.starts_with("use features::")) {
            kept.push_str(line);
        } else if !line.trim_end().ends_with(';') {
            let file = file.display();
            bail!("{file}: the export of features takes more than one line: {line}");
        }
    }
    Ok(kept.into_bytes())
}

/// Removes all files in a folder of the tree, except these, and the folders that are empty then.
fn remove_others(tree: &Path, folder: &Path, kept: &HashSet<PathBuf>) -> anyhow::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            remove_others(tree, &path, kept)?;
            if fs::read_dir(&path)?.next().is_none() {
                fs::remove_dir(&path)?;
            }
        } else if !kept.contains(path.strip_prefix(tree)?) {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}
