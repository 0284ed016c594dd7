//! `cargo xtask mutants`: changes the code in one small place at a time, and checks that a
//! test fails.
//!
//! `cargo-mutants` makes the changes. `.cargo/mutants.toml` tells where, and lists the changes
//! that no test can notice, each with the reason. This task knows the packages whose tests
//! judge each package, limits a run to the lines of a change, and limits its time. A run with
//! a time limit reports the number of mutants that it left untested: it is a sample, not a
//! proof.

mod outcomes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use cargo_metadata::MetadataCommand;
use clap::Args;

use self::outcomes::Outcomes;
use crate::{cargo, output};

/// The version of `cargo-mutants` that the configuration is written for.
const VERSION: &str = "27.1.0";

/// Each package with mutants, and the packages whose tests judge it. The rules of a port are
/// tested on its adapters.
const JUDGES: &[(&str, &[&str])] = &[
    ("ironstar-domain", &["ironstar-domain"]),
    ("ironstar-ports", &["ironstar-ports", "ironstar-adapters"]),
    ("ironstar-adapters", &["ironstar-adapters"]),
    ("ironstar-app", &["ironstar-app"]),
    ("ironstar-web", &["ironstar-web"]),
];

/// The interval at which a run with a time limit checks the time.
const GLANCE: Duration = Duration::from_millis(200);

/// The exit codes of `cargo-mutants` when it has judged every mutant: all were noticed, some
/// were missed, or some made a test run for too long (<https://mutants.rs/exit-codes.html>).
/// Any other code means that the run failed.
const JUDGED: &[i32] = &[0, 2, 3];

/// The mutants to test, and the time limit.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Only these packages. By default, each package with mutants
    packages: Vec<String>,

    /// Only lines that differ from this revision, or from the revision in this file
    #[arg(long, value_name = "REVISION|FILE")]
    since: Option<String>,

    /// Stop after this number of minutes, and count the untested mutants
    #[arg(long, value_name = "MINUTES")]
    minutes: Option<f64>,

    /// Change the tree itself instead of a copy, which saves a build
    #[arg(long)]
    in_place: bool,

    /// Install cargo-mutants first, if it is missing
    #[arg(long)]
    install: bool,

    /// Only files that match this glob
    #[arg(long = "file", value_name = "GLOB")]
    files: Vec<String>,
}

/// The folders of a run.
struct Bench {
    root: PathBuf,
    output: PathBuf,
}

/// Runs the task.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.install && !has_cargo_mutants()? {
        install_cargo_mutants()?;
    }
    if !has_cargo_mutants()? {
        bail!("cargo-mutants {VERSION} is missing; run this again with --install");
    }
    let bench = Bench::set_up()?;
    let diff = arguments.since.as_deref();
    let diff = diff.map(|since| bench.diff(since)).transpose()?;
    let packages = chosen(&arguments.packages)?;
    let seconds = arguments.minutes.map(|minutes| minutes * 60.0);
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds));
    let mut total = Outcomes::default();
    for (index, (package, judges)) in packages.iter().enumerate() {
        let left = u32::try_from(packages.len() - index).unwrap_or(u32::MAX);
        let bound = end.map(|end| end.saturating_duration_since(Instant::now()) / left);
        let mut command = bench.command(package, judges);
        // In random order, runs with a time limit reach other mutants each time.
        command.arg(if bound.is_some() {
            "--shuffle"
        } else {
            "--no-shuffle"
        });
        if arguments.in_place {
            command.arg("--in-place");
        } else {
            // The copy is in a new folder each time. Its build artifacts stay here.
            command.env("CARGO_TARGET_DIR", bench.output.join("build"));
        }
        if let Some(diff) = &diff {
            command.arg("--in-diff").arg(diff);
        }
        for file in &arguments.files {
            command.args(["--file", file]);
        }
        total.add(bench.judge(package, &mut command, bound)?);
    }
    report(&total)?;
    if total.mutants > 0 && total.tested() == 0 {
        bail!("no mutant was tested within the time limit; raise --minutes");
    }
    if total.missed.is_empty() {
        return Ok(());
    }
    bail!(
        "no test notices the changes above; write one, remove the code, or list them in \
         .cargo/mutants.toml with the reason"
    )
}

impl Bench {
    fn set_up() -> anyhow::Result<Self> {
        let metadata = MetadataCommand::new().no_deps().exec()?;
        let output: PathBuf = metadata.target_directory.join("mutants").into();
        fs::create_dir_all(&output)
            .with_context(|| format!("cannot make the folder {}", output.display()))?;
        Ok(Self {
            root: metadata.workspace_root.into(),
            output,
        })
    }

    /// Writes the changes since a revision to a file.
    fn diff(&self, since: &str) -> anyhow::Result<PathBuf> {
        let named = fs::read_to_string(self.root.join(since));
        let revision = named.as_deref().unwrap_or(since).trim();
        let output = Command::new("git")
            .args(["diff", revision, "--", "*.rs"])
            .current_dir(&self.root)
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run git")?;
        if !output.status.success() {
            bail!("git cannot compare the tree with {revision}; name another revision");
        }
        let path = self.output.join("change.diff");
        fs::write(&path, output.stdout)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Returns the command that tests the mutants of one package.
    fn command(&self, package: &str, judges: &[&str]) -> Command {
        let mut command = cargo::command();
        command
            .args(["mutants", "--colors", "never"])
            .args(["--package", package])
            // An interrupted run reports that it was interrupted. A stack trace would add
            // nothing.
            .env("RUST_BACKTRACE", "0")
            // A failing example of a property is enough. The search for the smallest one takes
            // long.
            .env("PROPTEST_MAX_SHRINK_ITERS", "0")
            .arg("--output")
            .arg(self.output.join(package))
            .current_dir(&self.root);
        for judge in judges {
            command.args(["--test-package", judge]);
        }
        command
    }

    /// Runs `cargo-mutants` to its end, or to the time limit.
    fn judge(
        &self,
        package: &str,
        command: &mut Command,
        bound: Option<Duration>,
    ) -> anyhow::Result<Outcomes> {
        let folder = self.output.join(package);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        forget(&folder)?;
        let mut running = command.spawn().context("cannot run cargo-mutants")?;
        let is_bounded = bound.is_some_and(|bound| interrupted(&mut running, bound));
        let status = running.wait().context("cannot wait for cargo-mutants")?;
        let is_judged = status.code().is_some_and(|code| JUDGED.contains(&code));
        if !is_judged && !is_bounded {
            bail!("cargo-mutants failed on {package}: {status}");
        }
        Outcomes::read(&folder.join("mutants.out"))
    }
}

/// Removes the outcomes of the previous run.
fn forget(folder: &Path) -> anyhow::Result<()> {
    let outcomes = folder.join("mutants.out");
    if !outcomes.exists() {
        return Ok(());
    }
    fs::remove_dir_all(&outcomes).with_context(|| format!("cannot remove {}", outcomes.display()))
}

/// Waits for the end of a run, and interrupts it at the time limit. Returns true if it was
/// interrupted. An interrupted run removes its copy of the tree.
fn interrupted(running: &mut Child, bound: Duration) -> bool {
    let end = Instant::now() + bound;
    while Instant::now() < end {
        // The same error appears again when the caller waits for the run.
        if !matches!(running.try_wait(), Ok(None)) {
            return false;
        }
        thread::sleep(GLANCE);
    }
    let pid = running.id().to_string();
    let signal = Command::new("kill").args(["-INT", &pid]).status();
    signal.is_ok_and(|status| status.success())
}

fn has_cargo_mutants() -> anyhow::Result<bool> {
    let version = cargo::command()
        .args(["mutants", "--version"])
        .stderr(Stdio::null())
        .output()
        .context("cannot run cargo")?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    Ok(version.trim().ends_with(VERSION))
}

fn install_cargo_mutants() -> anyhow::Result<()> {
    let status = cargo::command()
        // It spends most of its time waiting for builds and tests. An unoptimized build is
        // ready sooner.
        .args(["install", "--quiet", "--debug", "--locked", "cargo-mutants"])
        .args(["--version", VERSION])
        .status()
        .context("cannot run cargo")?;
    if status.success() {
        return Ok(());
    }
    bail!("cargo-mutants {VERSION} cannot be installed: {status}")
}

/// Returns the named packages, or all packages.
fn chosen(names: &[String]) -> anyhow::Result<Vec<(&'static str, &'static [&'static str])>> {
    let known = || JUDGES.iter().map(|(package, _)| *package);
    if let Some(unknown) = names.iter().find(|name| !known().any(|it| it == **name)) {
        let known: Vec<&str> = known().collect();
        bail!(
            "{unknown} is not a package with mutants; the packages are: {}",
            known.join(", ")
        );
    }
    let is_chosen = |package: &str| names.is_empty() || names.iter().any(|name| name == package);
    Ok(JUDGES
        .iter()
        .copied()
        .filter(|(package, _)| is_chosen(package))
        .collect())
}

fn report(total: &Outcomes) -> anyhow::Result<()> {
    for missed in &total.missed {
        output::say(format_args!("missed: {missed}"))?;
    }
    output::say(total)?;
    Ok(())
}
