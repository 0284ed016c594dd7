//! A clock by which nothing expires because the machine's clock was wrong.
//!
//! A machine may start in 1970 and learn the time later, or show next year for a minute.
//! A server that believed each reading would forget sessions and keys of commands for
//! good. This clock compares each reading with the time that has passed meanwhile, by a
//! clock that nothing sets. What the machine's clock has jumped is left out of the
//! [steady time](Clock::steady), forwards and backwards.
//!
//! Across restarts nothing tells how long a server was off. If the clock shows more than
//! an hour after (or before) what the last server has seen, that is left out too: things
//! do not age while no server runs. So whatever was stored before a correction has the
//! rest of its time after it, and there is no moment at which much expires at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ironstar_ports::Clock;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// How far a reading may be from what it should be: more than a clock drifts between two
/// readings, or is slewed by.
const TOLERANCE: Duration = Duration::from_secs(60);

/// How much may lie between what the last server has seen and the first reading of the
/// next. More is not counted.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// How often it is worth storing what was seen, if nothing has jumped.
const STORED_EVERY: Duration = Duration::from_secs(60);

/// How many jumps are remembered each by itself. Older ones are added up.
const MOST_JUMPS: usize = 64;

/// A clock whose [steady time](Clock::steady) goes on evenly.
#[derive(Debug)]
pub struct SteadyClock {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// What a clock has shown, in milliseconds since 1970; as it is stored.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Course {
    /// What was seen last.
    seen: Option<i64>,
    /// What older jumps come to.
    older: i64,
    /// The jumps, the latest last.
    jumps: VecDeque<Jump>,
}

/// From what the clock should have shown, to what it has shown.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
struct Jump(i64, i64);

#[derive(Debug, Default)]
struct State {
    course: Course,
    /// When it was seen, by the clock that nothing sets; unknown of what another server
    /// has seen.
    seen_at: Option<Duration>,
    stored_at: Option<Duration>,
}

impl SteadyClock {
    /// A clock of which nothing is stored yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let state = Mutex::default();
        Self { clock, state }
    }

    /// A clock that goes on from what was [stored](Self::to_store). What cannot be read
    /// counts as not stored.
    #[must_use]
    pub fn resume(clock: Arc<dyn Clock>, stored: &str) -> Self {
        let steady = Self::new(clock);
        match serde_json::from_str(stored) {
            Ok(course) => steady.state().course = course,
            Err(error) => tracing::warn!(
                %error,
                "what the clock has shown before cannot be read, so nothing is left out of \
                 the time that has passed"
            ),
        }
        steady
    }

    /// A clock of which nothing is stored, if it is known that a moment has been. A clock
    /// that shows less is wrong.
    #[must_use]
    pub fn after(clock: Arc<dyn Clock>, moment: OffsetDateTime) -> Self {
        let steady = Self::new(clock);
        if steady.clock.now() < moment {
            steady.state().course.seen = Some(millis(moment));
        }
        steady
    }

    /// What is to be stored, if it is worth that by now.
    pub fn to_store(&self) -> Option<String> {
        let uptime = self.clock.uptime();
        let mut state = self.read(uptime).0;
        let is_due = |stored: Duration| uptime.saturating_sub(stored) >= STORED_EVERY;
        if !state.stored_at.is_none_or(is_due) {
            return None;
        }
        state.stored_at = Some(uptime);
        serde_json::to_string(&state.course).ok()
    }

    /// Looks at the clock, and what it shows.
    fn read(&self, uptime: Duration) -> (MutexGuard<'_, State>, OffsetDateTime) {
        let now = self.clock.now();
        let mut state = self.state();
        state.see(millis(now), uptime);
        (state, now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two calls.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> OffsetDateTime {
        self.read(self.clock.uptime()).1
    }

    fn uptime(&self) -> Duration {
        self.clock.uptime()
    }

    fn steady(&self) -> OffsetDateTime {
        let (state, now) = self.read(self.clock.uptime());
        shifted(now, -state.course.left_out())
    }

    fn age(&self, then: OffsetDateTime) -> time::Duration {
        let (state, now) = self.read(self.clock.uptime());
        let now = millis(now);
        let then = state.course.steady(millis(then), now);
        time::Duration::milliseconds(now - state.course.left_out() - then)
    }
}

impl State {
    /// Takes note of a reading.
    fn see(&mut self, now: i64, uptime: Duration) {
        let Some(seen) = self.course.seen.replace(now) else {
            self.seen_at = Some(uptime);
            return;
        };
        let (expected, limit) = match self.seen_at.replace(uptime) {
            Some(at) => (seen + whole(uptime.saturating_sub(at)), TOLERANCE),
            None => (seen, LONGEST_PAUSE),
        };
        if now.abs_diff(expected) <= whole(limit).unsigned_abs() {
            return;
        }
        self.course.jump(Jump(expected, now));
        self.stored_at = None;
        tracing::warn!(
            expected = %shifted(OffsetDateTime::UNIX_EPOCH, expected),
            shown = %shifted(OffsetDateTime::UNIX_EPOCH, now),
            "the clock of this machine shows another time than the one that was expected; the \
             difference is left out when it is decided what has expired. If no server has run \
             meanwhile, all is well; otherwise see that the clock is right"
        );
    }
}

impl Course {
    fn jump(&mut self, jump: Jump) {
        self.jumps.push_back(jump);
        if self.jumps.len() > MOST_JUMPS
            && let Some(oldest) = self.jumps.pop_front()
        {
            self.older += oldest.by();
        }
    }

    /// By how much the steady time is behind the clock.
    fn left_out(&self) -> i64 {
        self.older + self.jumps.iter().map(Jump::by).sum::<i64>()
    }

    /// The steady time at which the clock has shown `then`, if it shows `now`. Where it
    /// has shown that more than once, the last time counts; where it has jumped over it,
    /// that jump.
    fn steady(&self, then: i64, now: i64) -> i64 {
        let to_come = then - self.left_out();
        // A clock goes back a little without a jump.
        if (now + 1..=now + whole(LONGEST_PAUSE)).contains(&then) {
            return to_come;
        }
        let (mut left_out, mut until) = (self.left_out(), now);
        let mut skipped = None;
        for jump in self.jumps.iter().rev() {
            let Jump(from, to) = *jump;
            if (to..=until).contains(&then) {
                return then - left_out;
            }
            let before = left_out - jump.by();
            if (from..to).contains(&then) {
                skipped = skipped.or(Some(from - before));
            }
            (left_out, until) = (before, from);
        }
        if then <= until {
            return then - left_out;
        }
        skipped.filter(|_| then <= now).unwrap_or(to_come)
    }
}

impl Jump {
    fn by(&self) -> i64 {
        self.1 - self.0
    }
}

fn millis(time: OffsetDateTime) -> i64 {
    let millis = time.unix_timestamp_nanos() / 1_000_000;
    i64::try_from(millis).unwrap_or(i64::MAX)
}

fn whole(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn shifted(time: OffsetDateTime, millis: i64) -> OffsetDateTime {
    time.saturating_add(time::Duration::milliseconds(millis))
}

#[cfg(test)]
mod tests;
