//! Runs the checks, and then proves that they find deliberate bugs.

mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use ironstar_torture::{
    Bug, Findings, NotesSite, Plan, bus, consumers, files, kill, leases, nodes, power, races,
};

/// Injects faults into ironstar, and checks that no event is lost.
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
        /// Folder of the database
        folder: PathBuf,
        /// Name of the bug
        bug: Bug,
        #[command(flatten)]
        site: NotesSite,
    },
}

#[derive(Args, Clone, Debug)]
struct Run {
    /// Run only checks whose names contain one of these words
    names: Vec<String>,

    /// Seed of the faults, as far as threads allow
    #[arg(long)]
    seed: u64,

    /// Duration of all checks together, in minutes
    #[arg(long)]
    minutes: f64,

    /// Path of the server program
    #[arg(long)]
    server: PathBuf,
}

/// A check, its share of the time, and the bugs that it is tried on.
struct Check {
    name: &'static str,
    share: f64,
    run: for<'a> fn(&'a Plan, &'a Run) -> LocalBoxFuture<'a, anyhow::Result<Findings>>,
    bugs: &'static [(Bug, Expectation)],
}

/// The expected result of a check on a bug.
#[derive(Clone, Copy, Debug)]
enum Expectation {
    /// The check finds the bug, and a message contains one of these texts.
    Caught(&'static [&'static str]),
    /// The check cannot see the bug, for this reason.
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
                Expectation::Missed(
                    "unsynced data survives the end of the process; power cuts find this bug",
                ),
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
        name: "nodes",
        share: 0.2,
        run: |plan, _| nodes::check(plan).boxed_local(),
        bugs: &[
            (
                Bug::NumbersBySequence,
                Expectation::Caught(&["instead of event", "gap"]),
            ),
            (
                Bug::AcknowledgesBeforeCommit,
                Expectation::Caught(&["is gone"]),
            ),
            (
                Bug::IgnoresExpectedSequence,
                Expectation::Caught(&["in spite of"]),
            ),
            (Bug::ForgetsKeys, Expectation::Caught(&["is stored twice"])),
            (Bug::SkipsEvents, Expectation::Caught(&["instead of event"])),
            (
                Bug::ReadsInTwoStatements,
                Expectation::Caught(&["instead of event"]),
            ),
        ],
    },
    Check {
        name: "leases",
        share: 0.2,
        run: |plan, _| leases::check(plan).boxed_local(),
        bugs: &[
            (
                Bug::ForgetsEpochs,
                Expectation::Caught(&["after another node had done so"]),
            ),
            (
                Bug::WaitsForSilentNodes,
                Expectation::Caught(&["after the last fault"]),
            ),
        ],
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

/// The longest time that a check runs with a bug.
const BUG_TIME: Duration = Duration::from_secs(30);

/// The time that a check runs with a bug that it cannot see.
const MISSED_TIME: Duration = Duration::from_secs(4);

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().what {
        What::Run(run) => torture(&run).await,
        What::Serve { folder, bug, site } => {
            let served = ironstar_torture::serve(&folder, bug, &site).await;
            served.map(|()| true)
        }
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

/// Returns true if no check found a violation, and every bug had the expected result.
async fn torture(run: &Run) -> anyhow::Result<bool> {
    let is_named = |check: &&Check| {
        let mut names = run.names.iter().map(|name| name.to_lowercase());
        run.names.is_empty() || names.any(|name| check.name.contains(&name))
    };
    let checks: Vec<&Check> = CHECKS.iter().filter(is_named).collect();
    if checks.is_empty() {
        let names: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
        anyhow::bail!(
            "no check has such a name; choose from: {}",
            names.join(", ")
        );
    }
    anyhow::ensure!(run.minutes > 0.0, "--minutes must be greater than 0");
    let shares: f64 = checks.iter().map(|check| check.share).sum();
    report::start(run.seed, run.minutes);
    let mut violations = 0;
    for check in &checks {
        let plan = Plan {
            seed: run.seed,
            time: Duration::from_secs_f64(run.minutes * 60.0 * check.share / shares),
            bug: None,
            symptoms: &[],
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
            let (time, symptoms) = match expectation {
                Expectation::Caught(symptoms) => (BUG_TIME, symptoms),
                Expectation::Missed(_) => (MISSED_TIME, &[][..]),
            };
            let plan = Plan {
                seed: run.seed,
                time,
                bug: Some(bug),
                symptoms,
            };
            let findings = (check.run)(&plan, run).await?;
            surprises += usize::from(!report::bug(check.name, bug, expectation, &findings));
        }
    }
    report::end(violations, surprises);
    Ok(violations == 0 && surprises == 0)
}
