//! `cargo xtask torture`: does to ironstar what the world will do to it, and
//! checks that nothing is lost, doubled, skipped or reordered.
//!
//! What is done is in `crates/ironstar-torture`; this builds it and the server,
//! and brings them together.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};
use cargo_metadata::MetadataCommand;
use clap::Args;

/// What to do, and for how long.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Only checks whose name contains one of these
    names: Vec<String>,

    /// Decides what happens, as far as threads let it
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// For how long; the bugs that are put in on purpose come on top
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,

    /// Torture a release build
    #[arg(long)]
    release: bool,
}

/// Runs the task.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let target: PathBuf = MetadataCommand::new()
        .no_deps()
        .exec()?
        .target_directory
        .into();
    let (profile, folder) = if arguments.release {
        ("release", "release")
    } else {
        ("dev", "debug")
    };
    let packages = [
        "--package",
        "ironstar-server",
        "--package",
        "ironstar-torture",
    ];
    let built = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--profile", profile])
        .args(packages)
        .status()
        .context("cannot run cargo")?;
    if !built.success() {
        bail!("the server does not build");
    }
    let folder = target.join(folder);
    let tortured = Command::new(folder.join("ironstar-torture"))
        .arg("run")
        .args(&arguments.names)
        .args(["--seed", &arguments.seed.to_string()])
        .args(["--minutes", &arguments.minutes.to_string()])
        .arg("--server")
        .arg(folder.join("ironstar-server"))
        .status()
        .context("cannot run the torture")?;
    if !tortured.success() {
        bail!("the torture failed; what it printed says why");
    }
    Ok(())
}
