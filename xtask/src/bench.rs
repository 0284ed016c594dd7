//! `cargo xtask bench`: the throughput and latency of ironstar, beside its peers and beside
//! the ceiling, in one run and on one file system.
//!
//! Machines are shared and noisy. So each figure and its comparison are taken in turn, several
//! times, and the medians are compared. This is not a test: `docs/BENCHMARKS.md` explains the
//! figures. A new measurement is a row in `measurements.rs` or its submodules, and a program
//! of `bench/` that prints its figures.

mod measurements;
mod program;
mod report;

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, bail};
use cargo_metadata::MetadataCommand;
use clap::Args;

use self::measurements::{Effort, Measurement, Source};
use self::program::{Figures, Programs, Run};
use self::report::Outcome;

/// The measurements to take, and the file for the figures.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Only measurements whose name contains one of these texts
    names: Vec<String>,

    /// Also write the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Skip measurements that take long
    #[arg(long)]
    quick: bool,

    /// Number of times that each figure is taken
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Runs the task.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let chosen: Vec<&Measurement> = measurements::all()
        .filter(|measurement| arguments.wants(measurement))
        .collect();
    if chosen.is_empty() {
        let mut names: Vec<&str> = measurements::all().map(|one| one.name).collect();
        names.dedup();
        bail!(
            "no measurement has such a name; the measurements are: {}",
            names.join("; ")
        );
    }
    let root: PathBuf = MetadataCommand::new()
        .no_deps()
        .exec()?
        .workspace_root
        .into();
    let programs = Programs::new(root)?;
    programs.build(chosen.iter().flat_map(|measurement| measurement.runs()))?;
    let mut outcomes = Vec::new();
    // Measurements that share a run stand side by side.
    for group in chosen.chunk_by(|one, next| one.shares_a_run_with(next)) {
        for outcome in take(&programs, group, arguments.rounds)? {
            report::print(&outcome)?;
            outcomes.push(outcome);
        }
    }
    if let Some(file) = &arguments.json {
        fs::write(file, report::json(&outcomes))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

impl Arguments {
    fn wants(&self, measurement: &Measurement) -> bool {
        let full_name = format!("{} {}", measurement.name, measurement.against).to_lowercase();
        let is_named = self.names.is_empty()
            || self
                .names
                .iter()
                .any(|name| full_name.contains(&name.to_lowercase()));
        is_named && !(self.quick && measurement.effort != Effort::Short)
    }
}

/// Takes the figures of a group of measurements, each run once a round, and compares the
/// medians.
fn take(
    programs: &Programs,
    group: &[&'static Measurement],
    rounds: usize,
) -> anyhow::Result<Vec<Outcome>> {
    let mut runs: Vec<Run> = Vec::new();
    for run in group.iter().flat_map(|measurement| measurement.runs()) {
        if !runs.contains(&run) {
            runs.push(run);
        }
    }
    let is_once = group.iter().any(|one| one.effort == Effort::Once);
    let rounds = if is_once { 1 } else { rounds.max(1) };
    let mut taken: HashMap<Run, Vec<Figures>> = HashMap::new();
    for _ in 0..rounds {
        for run in &runs {
            taken.entry(*run).or_default().push(programs.measure(*run)?);
        }
    }
    group
        .iter()
        .map(|measurement| {
            Ok(Outcome {
                measurement,
                value: median(&taken, measurement.value)?,
                against: median(&taken, measurement.against_value)?,
            })
        })
        .collect()
}

fn median(taken: &HashMap<Run, Vec<Figures>>, (run, name): Source) -> anyhow::Result<f64> {
    let mut figures = taken
        .get(&run)
        .into_iter()
        .flatten()
        .map(|figures| figures.get(name).copied())
        .collect::<Option<Vec<f64>>>()
        .with_context(|| format!("{run:?} printed no figure {name:?}"))?;
    figures.sort_by(f64::total_cmp);
    figures
        .get(figures.len() / 2)
        .copied()
        .with_context(|| format!("{run:?} was not run"))
}
