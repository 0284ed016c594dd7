//! Does to ironstar what the world will do to it, and checks that nothing is
//! lost, doubled, skipped or reordered.
//!
//! Each check does its worst for a while, by a seed, and returns what it did and
//! what it found. That a check can find something is shown too: each has
//! [`Bug`]s that are put into a store on purpose, and must be found.
//!
//! - [`mod@power`]: power cuts, and disks that fail or are full, below SQLite.
//! - [`mod@kill`]: `kill -9` of the real server.
//! - [`mod@files`]: files removed, replaced, overwritten or cut off under the server.
//! - [`mod@bus`]: hints that are lost, doubled, held back and reordered.
//! - [`mod@consumers`]: streams that nobody reads, and that are cut off.
//! - [`mod@races`]: commands on few aggregates at once, and whether their history
//!   is one that could have happened one after the other.

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

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Decides what happens, as far as threads let it.
    pub seed: u64,
    /// For how long.
    pub time: Duration,
    /// What to break on purpose.
    pub bug: Option<Bug>,
}

/// What was done, and what was found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// How often what was done.
    pub work: Vec<(&'static str, u64)>,
    /// What was wrong. Must be empty.
    pub violations: Vec<String>,
}

impl Findings {
    fn found(&mut self, violation: impl Into<String>) {
        self.violations.push(violation.into());
    }

    /// Counts work; the names are those of the first call.
    fn did(&mut self, name: &'static str, times: u64) {
        match self.work.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += times,
            None => self.work.push((name, times)),
        }
    }

    /// Whether there is enough to report.
    fn is_enough(&self) -> bool {
        !self.violations.is_empty()
    }
}
