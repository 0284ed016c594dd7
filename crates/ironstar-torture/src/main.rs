//! Runs the checks, and then sees them find bugs that are put in on purpose.

mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use ironstar_torture::{Bug, Findings, Plan, bus, consumers, files, kill, power, races};

/// Does to ironstar what the world will do to it.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Run the checks
    Run(Run),
    /// Serve a database with a bug, until killed
    Serve {
        /// The folder of the database
        folder: PathBuf,
        /// What is broken
        bug: Bug,
    },
}

#[derive(Args, Clone, Debug)]
struct Run {
    /// Only checks whose name contains one of these
    names: Vec<String>,

    /// Decides what happens, as far as threads let it
    #[arg(long)]
    seed: u64,

    /// For how long
    #[arg(long)]
    minutes: f64,

    /// The server to torture
    #[arg(long)]
    server: PathBuf,
}

/// A check, the share of the time that it gets, and the bugs that it is shown.
struct Check {
    name: &'static str,
    share: f64,
    run: for<'a> fn(&'a Plan, &'a Run) -> LocalBoxFuture<'a, anyhow::Result<Findings>>,
    bugs: &'static [(Bug, Expectation)],
}

/// What a check makes of a bug.
#[derive(Clone, Copy, Debug)]
enum Expectation {
    /// It finds it, and says one of these.
    Caught(&'static [&'static str]),
    /// It cannot see it, and why.
    Missed(&'static str),
}

const CHECKS: &[Check] = &[
    Check {
        name: "power cuts and failing disks",
        share: 0.3,
        run: |plan, _| power::check(plan).boxed_local(),
        bugs: &[
            (
                Bug::AcknowledgesBeforeSync,
                Expectation::Caught(&["is gone"]),
            ),
            (
                Bug::AcknowledgesBeforeCommit,
                Expectation::Caught(&["is gone"]),
            ),
            (Bug::SplitsAppends, Expectation::Caught(&["is there with"])),
            (Bug::ForgetsKeys, Expectation::Caught(&["is forgotten"])),
        ],
    },
    Check {
        name: "kills",
        share: 0.2,
        run: |plan, run| kill::check(plan, &run.server).boxed_local(),
        bugs: &[
            (
                Bug::AcknowledgesBeforeCommit,
                Expectation::Caught(&["is gone"]),
            ),
            (
                Bug::ForgetsKeys,
                Expectation::Caught(&["and later", "is answered 409"]),
            ),
            (
                Bug::AcknowledgesBeforeSync,
                Expectation::Missed("what is not synced survives the process; power cuts find it"),
            ),
        ],
    },
    Check {
        name: "files that go away",
        share: 0.2,
        run: |plan, run| files::check(plan, &run.server).boxed_local(),
        bugs: &[(Bug::LooksElsewhere, Expectation::Caught(&["is gone"]))],
    },
    Check {
        name: "bus faults",
        share: 0.1,
        run: |plan, _| bus::check(plan).boxed_local(),
        bugs: &[
            (Bug::TrustsHints, Expectation::Caught(&["does not come"])),
            (Bug::SkipsEvents, Expectation::Caught(&["instead of event"])),
        ],
    },
    Check {
        name: "consumers",
        share: 0.2,
        run: |plan, run| consumers::check(plan, &run.server).boxed_local(),
        bugs: &[(
            Bug::RemembersEverything,
            Expectation::Caught(&["memory grew"]),
        )],
    },
    Check {
        name: "linearizability",
        share: 0.2,
        run: |plan, _| races::check(plan).boxed_local(),
        bugs: &[
            (
                Bug::IgnoresExpectedSequence,
                Expectation::Caught(&["is wrong"]),
            ),
            (
                Bug::ReadsStaleStreams,
                Expectation::Caught(&["there was no moment"]),
            ),
        ],
    },
];

/// The longest that a check is shown a bug.
const BUG_TIME: Duration = Duration::from_secs(30);

/// How long a check looks at a bug that it cannot see.
const MISSED_TIME: Duration = Duration::from_secs(4);

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().what {
        What::Run(run) => torture(&run).await,
        What::Serve { folder, bug } => ironstar_torture::serve(&folder, bug).await.map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report::broken(&error);
            ExitCode::FAILURE
        }
    }
}

/// Whether everything is as it should be.
async fn torture(run: &Run) -> anyhow::Result<bool> {
    let is_named = |check: &&Check| {
        let mut names = run.names.iter().map(|name| name.to_lowercase());
        run.names.is_empty() || names.any(|name| check.name.contains(&name))
    };
    let checks: Vec<&Check> = CHECKS.iter().filter(is_named).collect();
    if checks.is_empty() {
        let names: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
        anyhow::bail!("no check has such a name; there are: {}", names.join(", "));
    }
    anyhow::ensure!(run.minutes > 0.0, "the minutes must be more than none");
    let shares: f64 = checks.iter().map(|check| check.share).sum();
    report::start(run.seed, run.minutes);
    let mut violations = 0;
    for check in &checks {
        let plan = Plan {
            seed: run.seed,
            time: Duration::from_secs_f64(run.minutes * 60.0 * check.share / shares),
            bug: None,
        };
        report::beginning(check.name, plan.time);
        let mut findings = (check.run)(&plan, run).await?;
        let idle = findings.work.iter().find(|(_, count)| *count == 0);
        if let Some((work, _)) = idle {
            let idle = format!("nothing was checked: no {work}");
            findings.violations.push(idle);
        }
        report::findings(check.name, &findings);
        violations += findings.violations.len();
    }
    let mut surprises = 0;
    report::bugs();
    for check in &checks {
        for &(bug, expectation) in check.bugs {
            let time = match expectation {
                Expectation::Caught(_) => BUG_TIME,
                Expectation::Missed(_) => MISSED_TIME,
            };
            let plan = Plan {
                seed: run.seed,
                time,
                bug: Some(bug),
            };
            let findings = (check.run)(&plan, run).await?;
            let found = &findings.violations;
            surprises += usize::from(!report::bug(check.name, bug, expectation, found));
        }
    }
    report::end(violations, surprises);
    Ok(violations == 0 && surprises == 0)
}
