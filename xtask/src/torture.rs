//! `cargo xtask torture`: exposes ironstar to the faults of the real world, and checks that
//! nothing is lost, doubled, skipped or reordered.
//!
//! The faults, the checks and the application that they serve are in `crates/ironstar-torture`.
//! This task builds and runs them.

use std::process::Command;

use anyhow::{Context, bail};
use clap::Args;

use crate::programs::Programs;

/// The checks to run, and their time.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Only checks whose name contains one of these texts
    names: Vec<String>,

    /// Seed of the random choices. The timing of threads is not repeatable
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Number of minutes for the checks. The deliberate bugs take additional time
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
        .arg(programs.path("ironstar-notes")?)
        .status()
        .context("cannot run the torture")?;
    if !tortured.success() {
        bail!("the torture failed; see its output above");
    }
    Ok(())
}
