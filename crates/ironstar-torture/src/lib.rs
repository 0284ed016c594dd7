//! Injects faults into ironstar, and checks that no acknowledged event is lost, doubled,
//! skipped or reordered.
//!
//! Each check injects faults for a while, determined by a seed. It returns its work and its
//! findings. To prove that a check can find a fault, each check also runs with [`Bug`]s that
//! are put into a store on purpose. It must find them.
//!
//! - [`mod@power`]: power cuts, and disks that fail or are full, below SQLite.
//! - [`mod@kill`]: `kill -9` of the real server.
//! - [`mod@files`]: files that are removed, replaced, overwritten or truncated under the
//!   server.
//! - [`mod@bus`]: hints that are lost, doubled, delayed and reordered.
//! - [`mod@consumers`]: streams that no client reads, and streams that are cut off.
//! - [`mod@nodes`]: several nodes on one PostgreSQL database, whose sessions are cut off.
//! - [`mod@leases`]: nodes that end, stand still, and are replaced, while one of them folds.
//! - [`mod@races`]: concurrent commands on few aggregates, whose history must be equal to a
//!   sequential one.

mod appends;
mod bug;
pub mod bus;
mod checkpoints;
pub mod consumers;
mod disk;
mod early;
mod examined;
pub mod files;
mod history;
pub mod kill;
pub mod leases;
pub mod nodes;
pub mod power;
mod processes;
pub mod races;
mod read_model;
mod remarks;
mod serve;
mod server;
mod site;
mod vfs;
#[cfg(test)]
mod written;

use std::time::Duration;

pub use bug::{Bug, ParseBugError};
pub use serve::serve;
pub use site::NotesSite;

/// The settings of one run of a check.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The seed of the faults, as far as the scheduling of threads allows.
    pub seed: u64,
    /// The duration of the run.
    pub time: Duration,
    /// The deliberate bug, if there is one.
    pub bug: Option<Bug>,
    /// Texts of the violations that show the bug. Only these end the run early: a bug may have
    /// side effects, which one comes first is a matter of time.
    /// Without texts, each violation does.
    pub symptoms: &'static [&'static str],
}

/// The work and the findings of a check.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The counts of the work, by name.
    pub work: Vec<(&'static str, u64)>,
    /// The violations that were found. The list must be empty.
    pub violations: Vec<String>,
    symptoms: &'static [&'static str],
}

impl Findings {
    fn new(plan: &Plan) -> Self {
        Self {
            work: Vec::new(),
            violations: Vec::new(),
            symptoms: plan.symptoms,
        }
    }

    /// Returns the first violation with one of the symptoms of the plan.
    #[must_use]
    pub fn symptom(&self) -> Option<&String> {
        let is_one =
            |violation: &&String| self.symptoms.iter().any(|text| violation.contains(text));
        self.violations.iter().find(is_one)
    }

    fn found(&mut self, violation: impl Into<String>) {
        self.violations.push(violation.into());
    }

    /// Counts work. The report lists the names in the order of their first calls.
    fn did(&mut self, name: &'static str, times: u64) {
        match self.work.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += times,
            None => self.work.push((name, times)),
        }
    }

    /// Returns true if a violation was found that the run looks for, so that it may stop.
    fn is_enough(&self) -> bool {
        if self.symptoms.is_empty() {
            !self.violations.is_empty()
        } else {
            self.symptom().is_some()
        }
    }
}
