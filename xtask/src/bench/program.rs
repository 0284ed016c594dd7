//! The programs of `bench/`: how they are built and run, and how their output is read.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::cargo;

/// A program and its arguments.
pub(super) type Run = (Program, &'static [&'static str]);

/// The figures that a run has printed, by name.
pub(super) type Figures = HashMap<String, f64>;

/// A program to run.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Program {
    /// ironstar's code, without a server.
    Ironstar,
    /// ironstar's server, in a process of its own.
    Server,
    /// A server that only answers, in a process of its own.
    BareServer,
    /// Both of them, one after the other.
    BothServers,
    CqrsEs,
    Tephra,
}

/// The folders of the programs and of the files that they write.
#[derive(Debug)]
pub(super) struct Programs {
    root: PathBuf,
    folder: PathBuf,
}

/// A binary to build, with its workspace first.
type Binary = (&'static str, &'static str);

const BENCH: Binary = ("bench", "ironstar-bench");
const SERVER: Binary = ("", "ironstar-server");
const BARE_SERVER: Binary = ("bench", "bare-server");
const CQRS_ES: Binary = ("bench/peers/cqrs-es", "bench-cqrs-es");
const TEPHRA: Binary = ("bench/peers/tephra", "bench-tephra");

impl Program {
    /// The binary that measures, followed by the binaries that it needs.
    fn binaries(self) -> &'static [Binary] {
        match self {
            Self::Ironstar => &[BENCH],
            Self::Server => &[BENCH, SERVER],
            Self::BareServer => &[BENCH, BARE_SERVER],
            Self::BothServers => &[BENCH, SERVER, BARE_SERVER],
            Self::CqrsEs => &[CQRS_ES],
            Self::Tephra => &[TEPHRA],
        }
    }
}

impl Programs {
    pub(super) fn new(root: PathBuf) -> anyhow::Result<Self> {
        let folder = root.join("bench/target/data");
        fs::create_dir_all(&folder)?;
        Ok(Self { root, folder })
    }

    /// Builds the binaries that these runs need.
    pub(super) fn build(&self, runs: impl Iterator<Item = Run>) -> anyhow::Result<()> {
        let mut built = Vec::new();
        for binary in runs.flat_map(|(program, _)| program.binaries()) {
            if built.contains(&binary) {
                continue;
            }
            built.push(binary);
            let (workspace, name) = binary;
            let status = cargo::command()
                .args(["build", "--release", "--locked", "--bin", name])
                .current_dir(self.root.join(workspace))
                .status()
                .context("cannot run cargo")?;
            if !status.success() {
                bail!("{name} does not build");
            }
        }
        Ok(())
    }

    /// Runs a program and reads the figures that it prints.
    pub(super) fn measure(&self, (program, arguments): Run) -> anyhow::Result<Figures> {
        let [binary, needed @ ..] = program.binaries() else {
            bail!("{program:?} has no binary to run");
        };
        let mut command = Command::new(self.path(*binary));
        command.arg("--folder").arg(&self.folder);
        if let [server, ..] = needed {
            command.arg("--server").arg(self.path(*server));
        }
        let output = command
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot run {}", binary.1))?;
        if !output.status.success() {
            bail!("{} {arguments:?} failed: {}", binary.1, output.status);
        }
        parse(&String::from_utf8(output.stdout)?)
            .with_context(|| format!("{} {arguments:?} printed no figures", binary.1))
    }

    fn path(&self, (workspace, name): Binary) -> PathBuf {
        let release = Path::new("target/release");
        self.root.join(workspace).join(release).join(name)
    }
}

/// Parses the figures of a run: one a line, a name and a plain number.
fn parse(text: &str) -> anyhow::Result<Figures> {
    text.lines()
        .map(|line| {
            let (name, figure) = line
                .split_once(' ')
                .with_context(|| format!("not a figure: {line:?}"))?;
            let figure = figure
                .parse()
                .with_context(|| format!("not a number: {line:?}"))?;
            Ok((name.to_owned(), figure))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn figures_have_names() {
        let figures = parse("rate 5120.4\np99.9_ms 0.25\n").expect("two figures");
        assert_eq!(figures.len(), 2);
        assert_eq!(figures.get("p99.9_ms"), Some(&0.25));
        for text in ["5120.4", "rate", "rate fast"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
