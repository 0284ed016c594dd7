//! `cargo xtask upgrade`: servers of an older version are replaced by servers of this one, and the
//! other way round, while they serve visitors.
//!
//! It builds the older version in `upgrade` in the target folder, which may be deleted at any
//! time. `.ci/run` has no time for that: there, this version replaces itself, on a database that
//! has more than it knows.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use cargo_metadata::MetadataCommand;
use clap::Args;

use crate::{cargo, output};

/// The older version.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The revision of the older version [default: the last tag before this version]
    revision: Option<String>,
}

/// Runs the task.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let metadata = MetadataCommand::new().no_deps().exec();
    let metadata = metadata.context("cannot read the workspace's metadata")?;
    let root = metadata.workspace_root.as_std_path();
    let folder = metadata
        .target_directory
        .join("upgrade")
        .into_std_path_buf();
    let revision = match &arguments.revision {
        Some(revision) => revision.clone(),
        None => git(root, &["describe", "--tags", "--abbrev=0", "HEAD^"])
            .context("there is no tag before this version; name a revision")?,
    };
    let tree = folder.join("tree");
    let commit = git(
        root,
        &["rev-parse", "--verify", &format!("{revision}^{{commit}}")],
    )?;
    if !tree.join(".git").exists() {
        let clone = ["clone", "--quiet", "--shared", "--no-checkout", "."];
        git(root, &[&clone[..], &[path(&tree)?]].concat())?;
    }
    git(&tree, &["fetch", "--quiet", "origin", &commit])?;
    git(&tree, &["checkout", "--quiet", "--force", &commit])?;
    output::say(format_args!("building {revision}"))?;
    let built = folder.join("target");
    let example = [
        "build",
        "--locked",
        "--package",
        "ironstar-server",
        "--example",
        "notes",
    ];
    succeed(
        cargo_in(&tree)
            .args(example)
            .env("CARGO_TARGET_DIR", &built),
    )?;
    let test = [
        "test",
        "--locked",
        "--package",
        "ironstar-server",
        "--test",
        "it",
    ];
    succeed(
        cargo_in(root)
            .args(test)
            .arg("upgrade::")
            .env("OLDER_SERVER", built.join("debug/examples/notes")),
    )
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str()
        .with_context(|| format!("the path {} is not UTF-8", path.display()))
}

/// Cargo of the toolchain that a version names, and not of the one that built this program.
fn cargo_in(folder: &Path) -> Command {
    let mut command = cargo::command();
    command.current_dir(folder).env_remove("RUSTUP_TOOLCHAIN");
    command
}

fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().context("cannot run cargo")?;
    if !status.success() {
        bail!("cargo failed: {status}");
    }
    Ok(())
}

/// Runs git, and returns what it prints.
fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .output()
        .context("cannot run git")?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        bail!("git {} failed: {}", arguments[0], reason.trim());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
