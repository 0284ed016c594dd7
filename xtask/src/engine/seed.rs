//! Dependencies that are built already.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use cargo_metadata::Metadata;

/// Puts what cargo has built of other packages into a folder for built files, so that it need not
/// be built again. A folder that exists stays as it is.
pub(super) fn with_dependencies(metadata: &Metadata, to: &Path) -> io::Result<()> {
    if to.exists() {
        return Ok(());
    }
    let from = metadata.target_directory.join("debug").into_std_path_buf();
    let own = names_of(metadata);
    // The folder gets its name when it is whole.
    let new = to.with_extension("new");
    if new.exists() {
        fs::remove_dir_all(&new)?;
    }
    for folder in [".fingerprint", "build", "deps"] {
        take(&from.join(folder), &new.join(folder), &|name| {
            !is_of(&own, name)
        })?;
    }
    fs::rename(&new, to)
}

/// The names of the workspace's packages, and of all that is built of them.
fn names_of(metadata: &Metadata) -> HashSet<String> {
    let packages = metadata.workspace_packages().into_iter();
    let names = packages.flat_map(|package| {
        let targets = package.targets.iter().map(|target| target.name.clone());
        targets
            .chain([package.name.to_string()])
            .collect::<Vec<_>>()
    });
    names
        .flat_map(|name| [name.replace('-', "_"), name])
        .collect()
}

/// Returns true if the name of a built file, such as `libserde-0123456789abcdef.rlib`, begins with
/// one of these names.
fn is_of(own: &HashSet<String>, file: &str) -> bool {
    let (name, _) = file.rsplit_once('-').unwrap_or((file, ""));
    let stripped = name.strip_prefix("lib").unwrap_or(name);
    own.contains(name) || own.contains(stripped)
}

/// Takes over all files of a folder, also in its folders, if this accepts the names of its entries.
fn take(from: &Path, to: &Path, accepts: &dyn Fn(&str) -> bool) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if !accepts(name.to_str().unwrap_or_default()) {
            continue;
        }
        let (from, to) = (entry.path(), to.join(&name));
        if entry.file_type()?.is_dir() {
            take(&from, &to, &|_| true)?;
        } else if !(is_library(&from) && fs::hard_link(&from, &to).is_ok()) {
            copy(&from, &to)?;
        }
    }
    Ok(())
}

/// Returns true for files that a compiler replaces, but never changes, so that two folders can
/// share them. Cargo and build scripts change the other ones.
fn is_library(file: &Path) -> bool {
    let extension = file.extension().unwrap_or_default();
    ["rlib", "rmeta", "so", "dylib", "dll"]
        .iter()
        .any(|library| extension == *library)
}

/// Copies a file with its time, by which cargo tells what is new.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    let modified = fs::metadata(from)?.modified()?;
    File::options()
        .append(true)
        .open(to)?
        .set_modified(modified)
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn built_file_begins_with_the_name_of_its_package_or_crate() {
        let own = ["ironstar-web", "ironstar_web", "library", "it"];
        let own = own.map(ToOwned::to_owned).into();
        for (file, expected) in [
            ("libironstar_web-0123456789abcdef.rlib", true),
            ("ironstar_web-0123456789abcdef.d", true),
            ("ironstar-web-0123456789abcdef", true),
            ("library-0123456789abcdef", true),
            ("liblibrary-0123456789abcdef.rmeta", true),
            ("it-0123456789abcdef", true),
            ("libserde_json-0123456789abcdef.rlib", false),
            ("git-version-0123456789abcdef", false),
        ] {
            assert_eq!(is_of(&own, file), expected, "{file}");
        }
    }
}
