//! The progress of long work, on standard error.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// The interval between lines of progress, where a line cannot be overwritten.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// The progress that the operator sees.
#[derive(Debug)]
pub(crate) struct Shown {
    from: u64,
    since: Instant,
    line_at: Option<Instant>,
}

impl Shown {
    /// Progress of work of which this much was done before.
    pub(crate) fn from(done: u64) -> Self {
        Self {
            from: done,
            since: Instant::now(),
            line_at: None,
        }
    }

    /// Shows how much is done. The time left is estimated, if it is not given, at the average speed
    /// so far.
    pub(crate) fn show(&mut self, text: &str, done: u64, all: u64, left: Option<Duration>) {
        let is_terminal = stderr().is_terminal();
        let is_due = self.line_at.is_none_or(|at| at.elapsed() >= LINE_EVERY);
        if !is_terminal && !is_due {
            return;
        }
        self.line_at = Some(Instant::now());
        let left = left.or_else(|| self.left(done, all));
        let left = left.map_or(String::new(), |left| {
            format!(", {} s left", left.as_secs_f64().ceil())
        });
        let line = format!("{text} ({} %){left}", share(done, all));
        let (before, after) = if is_terminal {
            ("\r\x1b[K", "")
        } else {
            ("", "\n")
        };
        // An error in showing progress is no reason to stop.
        let _ = write!(stderr(), "{before}{line}{after}");
    }

    fn left(&self, done: u64, all: u64) -> Option<Duration> {
        let todo = all.saturating_sub(done);
        let done = done.saturating_sub(self.from);
        (done > 0).then(|| self.since.elapsed().mul_f64(todo as f64 / done as f64))
    }

    /// Ends the line.
    pub(crate) fn end(&self) {
        if self.line_at.is_some() && stderr().is_terminal() {
            let _ = writeln!(stderr());
        }
    }
}

/// Returns the part that is done, in per cent.
pub(crate) fn share(done: u64, all: u64) -> u64 {
    let all = u128::from(all.max(done));
    let share = (u128::from(done) * 100).checked_div(all).unwrap_or(100);
    u64::try_from(share).unwrap_or(100)
}
