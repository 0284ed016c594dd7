//! `cargo xtask engine`: checks that the engine needs no feature of the todo application.
//!
//! In a copy of the workspace, it deletes each folder of features with the lines that register
//! it, and the program that serves them. Clippy must accept the rest, and the unit and integration
//! tests of the packages that had features, or build on those, must pass. The copy is in `engine`
//! in the target folder. That folder may be deleted at any time.

mod copy;
mod seed;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use cargo_metadata::{Message, MetadataCommand};
use clap::Args;

use crate::{cargo, output};

/// The packages whose features are deleted, and those that build on them, each with a target that
/// must have tests.
const TESTED: &[(&str, &str)] = &[
    ("ironstar-domain", "ironstar_domain"),
    ("ironstar-app", "it"),
    ("ironstar-web", "it"),
    ("ironstar-server", "it"),
    ("ironstar-torture", "it"),
];

/// The task has no options.
#[derive(Args, Debug)]
pub(crate) struct Arguments {}

/// The program of a test, and the folder of its package.
struct Test {
    name: String,
    program: PathBuf,
    folder: PathBuf,
}

/// Runs the task.
pub(crate) fn run(_: &Arguments) -> anyhow::Result<()> {
    let metadata = MetadataCommand::new().exec();
    let metadata = metadata.context("cannot read the workspace's metadata")?;
    let folder = metadata.target_directory.join("engine").into_std_path_buf();
    let (tree, built) = (folder.join("tree"), folder.join("target"));
    let root = metadata.workspace_root.as_std_path();
    let target = metadata.target_directory.as_std_path();
    let deleted = copy::without_features(root, target, &tree)?;
    if deleted == 0 {
        return Ok(output::say("the workspace has no features to delete")?);
    }
    output::say(format_args!("deleted {deleted} files of features"))?;
    if let Err(error) = seed::with_dependencies(&metadata, &built.join("debug")) {
        // Cargo builds them again.
        output::complain(format_args!("no dependencies are taken over: {error}"));
    }
    let status = cargo_in(&tree, &built)
        .args(["clippy", "--locked", "--workspace", "--all-targets"])
        .args(["--all-features", "--", "-D", "warnings"])
        .status();
    if !status.context("cannot run cargo")?.success() {
        bail!("the engine does not compile without the features; see clippy's output above");
    }
    let failed: Vec<String> = build(&tree, &built)?
        .into_iter()
        .filter_map(|test| match test.passes() {
            Ok(true) => None,
            Ok(false) => Some(test.name),
            Err(error) => Some(format!("{} ({error:#})", test.name)),
        })
        .collect();
    if !failed.is_empty() {
        bail!("tests fail without the features: {}", failed.join(", "));
    }
    Ok(())
}

/// Cargo in the copy, with a folder of its own for what it builds. In a shared folder, it would
/// confuse the crates of the two workspaces.
fn cargo_in(tree: &Path, built: &Path) -> Command {
    let mut command = cargo::command();
    command.current_dir(tree);
    command.env("CARGO_TARGET_DIR", built);
    command.env("CARGO_BUILD_BUILD_DIR", built);
    command
}

/// Builds all tests, so that dependencies have the same features as in the workspace, and returns
/// those to run.
fn build(tree: &Path, built: &Path) -> anyhow::Result<Vec<Test>> {
    let output = cargo_in(tree, built)
        .args(["test", "--locked", "--workspace", "--no-run"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("the tests do not build without the features");
    }
    let mut tests = Vec::new();
    for message in Message::parse_stream(&output.stdout[..]) {
        let Message::CompilerArtifact(artifact) = message.context("cannot read from cargo")? else {
            continue;
        };
        let folder = artifact.manifest_path.parent().context("a folder")?;
        let package = folder.file_name().unwrap_or_default();
        let (true, Some(program)) = (artifact.profile.test, artifact.executable) else {
            continue;
        };
        if TESTED.iter().any(|(tested, _)| *tested == package) {
            tests.push(Test {
                name: format!("{package} ({})", artifact.target.name),
                program: program.into(),
                folder: folder.into(),
            });
        }
    }
    for (package, target) in TESTED {
        let name = format!("{package} ({target})");
        if !tests.iter().any(|test| test.name == name) {
            bail!("the tests {name} are not there");
        }
    }
    Ok(tests)
}

impl Test {
    fn passes(&self) -> anyhow::Result<bool> {
        output::say(format_args!("\n{}", self.name))?;
        let mut test = Command::new(&self.program);
        let status = test.current_dir(&self.folder).arg("--quiet").status();
        Ok(status.context("cannot run the test")?.success())
    }
}
