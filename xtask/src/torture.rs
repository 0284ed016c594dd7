//! `cargo xtask torture`: does to ironstar what the world will do to it, and
//! checks that nothing is lost, doubled, skipped or reordered.
//!
//! What is done is in `crates/ironstar-torture`; this builds it and the server,
//! and brings them together.

use std::process::Command;

use anyhow::{Context, bail};
use clap::Args;

use crate::programs::Programs;

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
    let profile = if arguments.release { "release" } else { "dev" };
    let programs = Programs::build(profile)?;
    let tortured = Command::new(programs.path("ironstar-torture")?)
        .arg("run")
        .args(&arguments.names)
        .args(["--seed", &arguments.seed.to_string()])
        .args(["--minutes", &arguments.minutes.to_string()])
        .arg("--server")
        .arg(programs.path("ironstar-server")?)
        .status()
        .context("cannot run the torture")?;
    if !tortured.success() {
        bail!("the torture failed; what it printed says why");
    }
    Ok(())
}
