//! A clock that a test controls.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use time::OffsetDateTime;

use crate::Clock;

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock(Mutex<Reading>);

#[derive(Debug)]
struct Reading {
    now: OffsetDateTime,
    uptime: Duration,
}

impl ManualClock {
    /// A clock that shows `now`, in a process that has just started.
    #[must_use]
    pub fn at(now: OffsetDateTime) -> Arc<Self> {
        let uptime = Duration::ZERO;
        Arc::new(Self(Mutex::new(Reading { now, uptime })))
    }

    /// Sets the time, as an operator corrects a wrong clock. The uptime stays the same.
    pub fn set(&self, now: OffsetDateTime) {
        self.lock().now = now;
    }

    /// Adds to the time and to the uptime.
    pub fn pass(&self, time: Duration) {
        let mut reading = self.lock();
        reading.now += time;
        reading.uptime += time;
    }

    fn lock(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().expect("the lock is not poisoned")
    }
}

impl Clock for ManualClock {
    fn now(&self) -> OffsetDateTime {
        self.lock().now
    }

    fn uptime(&self) -> Duration {
        self.lock().uptime
    }
}
