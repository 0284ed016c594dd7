//! A clock that lets nothing expire too early because the machine's clock was wrong.
//!
//! A machine may start in 1970 and learn the time later, or show next year for a minute. A
//! server that trusted every reading would lose sessions and command keys for good. So this
//! clock compares each reading with the time that has passed on a monotonic clock, which no
//! program can set. If the machine's clock jumps, forwards or backwards, the jump is not part
//! of the [steady time](Clock::steady).
//!
//! After a restart, the server cannot know how long it was off. If the clock shows more than
//! an hour after (or before) the last stored reading, the difference is left out, too. So
//! nothing ages while no server runs. Data that was stored before a correction keeps its
//! remaining time, and there is no moment at which a lot of data expires at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ironstar_ports::Clock;
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The largest accepted difference between a reading and its expected value. It is larger
/// than the drift or the slewing of a clock between two readings.
const TOLERANCE: Duration = Duration::from_secs(60);

/// The largest difference between the last reading of one server and the first reading of the
/// next that counts as passed time.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// The shortest time between two stored states, if the clock has not jumped.
const STORED_EVERY: Duration = Duration::from_secs(60);

/// The number of jumps that are remembered one by one. Older jumps are only summed up.
const MOST_JUMPS: usize = 64;

/// A clock whose [steady time](Clock::steady) never jumps.
#[derive(Debug)]
pub struct SteadyClock {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// The readings of a clock as they are stored, in milliseconds since 1970.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Course {
    /// The last reading.
    seen: Option<i64>,
    /// The sum of the jumps that are no longer in `jumps`.
    older: i64,
    /// The jumps, oldest first.
    jumps: VecDeque<Jump>,
}

/// A jump: the expected reading, and the actual reading.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
struct Jump(i64, i64);

#[derive(Debug, Default)]
struct State {
    course: Course,
    /// The uptime at the last reading, by the monotonic clock. `None` if another server took
    /// the last reading.
    seen_at: Option<Duration>,
    stored_at: Option<Duration>,
}

impl SteadyClock {
    /// Creates a clock without a stored state.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let state = Mutex::default();
        Self { clock, state }
    }

    /// Creates a clock that continues from a [stored](Self::to_store) state. A state that
    /// cannot be read is ignored.
    #[must_use]
    pub fn resume(clock: Arc<dyn Clock>, stored: &str) -> Self {
        let steady = Self::new(clock);
        match serde_json::from_str(stored) {
            Ok(course) => steady.state.lock().course = course,
            Err(error) => tracing::warn!(
                %error,
                "the stored state of the clock cannot be read, so all time since the last run \
                 counts as passed"
            ),
        }
        steady
    }

    /// Creates a clock without a stored state. The caller knows that `moment` has passed, so
    /// an earlier reading is wrong.
    #[must_use]
    pub fn after(clock: Arc<dyn Clock>, moment: OffsetDateTime) -> Self {
        let steady = Self::new(clock);
        if steady.clock.now() < moment {
            steady.state.lock().course.seen = Some(millis(moment));
        }
        steady
    }

    /// Returns the state to store, or `None` if it is not due yet.
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

    /// Reads the clock, and returns the state with the reading.
    fn read(&self, uptime: Duration) -> (MutexGuard<'_, State>, OffsetDateTime) {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.see(millis(now), uptime);
        (state, now)
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
    /// Records a reading.
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
            "the clock of this machine does not show the expected time; the \
             difference does not count when sessions and keys expire. If the server was off \
             meanwhile, this is normal; otherwise check the clock"
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

    /// The difference between the machine's clock and the steady time, in milliseconds.
    fn left_out(&self) -> i64 {
        self.older + self.jumps.iter().map(Jump::by).sum::<i64>()
    }

    /// Returns the steady time at which the clock showed `then`, given that the clock now
    /// shows `now`. If the clock showed `then` several times, the last time counts. If the
    /// clock jumped over `then`, the time of the jump counts.
    fn steady(&self, then: i64, now: i64) -> i64 {
        let to_come = then - self.left_out();
        // A clock may go back a little without a jump.
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
