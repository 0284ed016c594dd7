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
//! - [`mod@races`]: concurrent commands on few aggregates, whose history must be equal to a
//!   sequential one.

mod appends;
mod bug;
pub mod bus;
mod checkpoints;
pub mod consumers;
mod disk;
mod early;
pub mod files;
mod history;
pub mod kill;
pub mod power;
mod processes;
pub mod races;
mod read_model;
mod serve;
mod server;
mod todos;
mod vfs;

use std::time::Duration;

pub use bug::{Bug, ParseBugError};
pub use serve::serve;

/// The settings of one run of a check.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The seed of the faults, as far as the scheduling of threads allows.
    pub seed: u64,
    /// The duration of the run.
    pub time: Duration,
    /// The deliberate bug, if there is one.
    pub bug: Option<Bug>,
}

/// The work and the findings of a check.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The counts of the work, by name.
    pub work: Vec<(&'static str, u64)>,
    /// The violations that were found. The list must be empty.
    pub violations: Vec<String>,
}

impl Findings {
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

    /// Returns true if there is a violation, so that the check may stop.
    fn is_enough(&self) -> bool {
        !self.violations.is_empty()
    }
}
