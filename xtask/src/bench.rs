//! `cargo xtask bench`: what ironstar does in a second, beside peers and beside
//! the ceiling, in one run and on one file system.
//!
//! Machines are shared and noisy, so every figure is taken several times in
//! turn with what it is compared to, and the medians are compared. Nothing here
//! is a test: see `docs/BENCHMARKS.md` for what the figures mean.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use cargo_metadata::MetadataCommand;
use clap::Args;
use serde_json::{Value, json};

/// What to measure, and where to put the figures.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Only measurements whose name contains one of these
    names: Vec<String>,

    /// Write the figures to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Leave out what takes long
    #[arg(long)]
    quick: bool,

    /// How often each figure is taken
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// One figure, and what it is compared to.
struct Measurement {
    name: &'static str,
    unit: &'static str,
    /// The program of `bench/`, and its arguments.
    run: Run,
    against: &'static str,
    against_run: Run,
    /// The ratio to reach.
    goal: f64,
    takes_long: bool,
}

type Run = (Program, &'static [&'static str]);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Program {
    Ironstar,
    CqrsEs,
    Tephra,
}

const CLIENTS_1: Run = (Program::Ironstar, &["commands", "--clients", "1"]);
const CLIENTS_8: Run = (Program::Ironstar, &["commands", "--clients", "8"]);
const CLIENTS_64: Run = (Program::Ironstar, &["commands", "--clients", "64"]);
const CLIENTS_256: Run = (Program::Ironstar, &["commands", "--clients", "256"]);

const MEASUREMENTS: &[Measurement] = &[
    commands(
        "commands, 1 client",
        CLIENTS_1,
        "rusqlite, 1 a transaction",
        (Program::Ironstar, &["ceiling", "--batch", "1"]),
        0.7,
    ),
    commands(
        "commands, 8 clients",
        CLIENTS_8,
        "tephra",
        (Program::Tephra, &["--clients", "8"]),
        0.5,
    ),
    commands(
        "commands, 64 clients",
        CLIENTS_64,
        "cqrs-es, FULL",
        (Program::CqrsEs, &["--clients", "64", "--full"]),
        15.0,
    ),
    commands(
        "commands, 64 clients",
        CLIENTS_64,
        "cqrs-es, NORMAL",
        (Program::CqrsEs, &["--clients", "64"]),
        8.0,
    ),
    commands(
        "commands, 64 clients",
        CLIENTS_64,
        "tephra",
        (Program::Tephra, &["--clients", "64"]),
        0.5,
    ),
    commands(
        "commands, 64 clients",
        CLIENTS_64,
        "rusqlite, 64 a transaction",
        (Program::Ironstar, &["ceiling", "--batch", "64"]),
        0.8,
    ),
    commands(
        "commands, 256 clients",
        CLIENTS_256,
        "rusqlite, 256 a transaction",
        (Program::Ironstar, &["ceiling", "--batch", "256"]),
        0.8,
    ),
    commands(
        "commands, 256 clients",
        CLIENTS_256,
        "tephra",
        (Program::Tephra, &["--clients", "256"]),
        0.5,
    ),
    Measurement {
        name: "replay",
        unit: "events/s",
        run: (Program::Ironstar, &["replay", "--events", "200000"]),
        against: "plain scan",
        against_run: (Program::Ironstar, &["scan", "--events", "200000"]),
        goal: 0.5,
        takes_long: false,
    },
    Measurement {
        name: "commands on a stream of 10,000",
        unit: "commands/s",
        run: (Program::Ironstar, &["stream", "--length", "10000"]),
        against: "on a stream of 10",
        against_run: (Program::Ironstar, &["stream", "--length", "10"]),
        // At most 1.5 times as long.
        goal: 1.0 / 1.5,
        takes_long: true,
    },
];

const fn commands(
    name: &'static str,
    run: Run,
    against: &'static str,
    against_run: Run,
    goal: f64,
) -> Measurement {
    Measurement {
        name,
        unit: "commands/s",
        run,
        against,
        against_run,
        goal,
        takes_long: false,
    }
}

/// A measurement's outcome.
struct Figure {
    measurement: &'static Measurement,
    value: f64,
    against: f64,
}

/// Runs the task.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let chosen: Vec<&Measurement> = MEASUREMENTS
        .iter()
        .filter(|measurement| arguments.wants(measurement))
        .collect();
    if chosen.is_empty() {
        bail!("no measurement has such a name");
    }
    let root: PathBuf = MetadataCommand::new()
        .no_deps()
        .exec()?
        .workspace_root
        .into();
    for program in [Program::Ironstar, Program::CqrsEs, Program::Tephra] {
        if chosen.iter().any(|measurement| measurement.uses(program)) {
            program.build(&root)?;
        }
    }
    let folder = root.join("bench/target/data");
    fs::create_dir_all(&folder)?;
    let mut figures = Vec::new();
    for measurement in chosen {
        let figure = measurement.take(&root, &folder, arguments.rounds)?;
        print(&figure);
        figures.push(figure);
    }
    if let Some(file) = &arguments.json {
        fs::write(file, json(&figures))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

impl Arguments {
    fn wants(&self, measurement: &Measurement) -> bool {
        let is_named = self.names.is_empty()
            || self
                .names
                .iter()
                .any(|name| measurement.name.contains(name) || measurement.against.contains(name));
        is_named && !(self.quick && measurement.takes_long)
    }
}

impl Measurement {
    fn uses(&self, program: Program) -> bool {
        self.run.0 == program || self.against_run.0 == program
    }

    /// Takes both figures in turn, and returns their medians.
    fn take(&'static self, root: &Path, folder: &Path, rounds: usize) -> anyhow::Result<Figure> {
        let mut values = Vec::new();
        let mut against = Vec::new();
        for _ in 0..rounds.max(1) {
            values.push(measure(root, folder, self.run)?);
            against.push(measure(root, folder, self.against_run)?);
        }
        Ok(Figure {
            measurement: self,
            value: median(values),
            against: median(against),
        })
    }
}

impl Program {
    /// The workspace that the program is in, and its name.
    fn place(self, root: &Path) -> (PathBuf, &'static str) {
        match self {
            Self::Ironstar => (root.join("bench"), "ironstar-bench"),
            Self::CqrsEs => (root.join("bench/peers/cqrs-es"), "bench-cqrs-es"),
            Self::Tephra => (root.join("bench/peers/tephra"), "bench-tephra"),
        }
    }

    fn build(self, root: &Path) -> anyhow::Result<()> {
        let (workspace, name) = self.place(root);
        let status = Command::new(env!("CARGO"))
            .args(["build", "--release", "--locked", "--bin", name])
            .current_dir(workspace)
            .status()
            .context("cannot run cargo")?;
        if !status.success() {
            bail!("{name} does not build");
        }
        Ok(())
    }
}

/// Runs a program, and reads its figure off its last line.
fn measure(root: &Path, folder: &Path, (program, arguments): Run) -> anyhow::Result<f64> {
    let (workspace, name) = program.place(root);
    let output = Command::new(workspace.join("target/release").join(name))
        .arg("--folder")
        .arg(folder)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        bail!("{name} {arguments:?} failed: {}", output.status);
    }
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last().unwrap_or_default();
    last.parse()
        .with_context(|| format!("{name} printed no figure, but {last:?}"))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[expect(clippy::print_stdout, reason = "this is what was asked for")]
fn print(figure: &Figure) {
    let measurement = figure.measurement;
    let ratio = figure.value / figure.against;
    let verdict = if ratio >= measurement.goal {
        "reached"
    } else {
        "missed"
    };
    println!(
        "{:<32} {:>10.0} {:<11} {:>7.2}x {:<28} {:>10.0}   goal {:>5.2}x {verdict}",
        measurement.name,
        figure.value,
        measurement.unit,
        ratio,
        measurement.against,
        figure.against,
        measurement.goal,
    );
}

/// The figures as JSON.
fn json(figures: &[Figure]) -> String {
    let measurements: Vec<Value> = figures
        .iter()
        .map(|figure| {
            let measurement = figure.measurement;
            json!({
                "name": measurement.name,
                "value": figure.value,
                "unit": measurement.unit,
                "against": measurement.against,
                "ratio": figure.value / figure.against,
                "goal": measurement.goal,
                "better": "higher",
            })
        })
        .collect();
    format!("{:#}\n", json!({ "measurements": measurements }))
}
