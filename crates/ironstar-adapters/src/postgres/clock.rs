//! The clock of the database server, which all servers on one database share.
//!
//! A machine whose own clock is wrong would give events the wrong time, and let the sessions of
//! other servers expire. So every new connection asks the database for its time. Between two
//! connections, a monotonic clock goes on from there.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ironstar_ports::Clock;
use time::{Duration, OffsetDateTime};

/// The largest difference between this machine's clock and the database's that causes no warning.
const TOLERANCE: Duration = Duration::seconds(10);

/// A clock that shows the time of the database server.
#[derive(Debug)]
pub(super) struct DatabaseClock {
    clock: Arc<dyn Clock>,
    /// The time of the server minus the uptime of this process, in microseconds since 1970.
    offset: AtomicI64,
}

impl DatabaseClock {
    /// Creates a clock that shows this machine's time until the database tells its own.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let clock = Self {
            clock,
            offset: AtomicI64::default(),
        };
        let now = micros(clock.clock.now());
        clock.set(now, clock.uptime_micros());
        clock
    }

    pub(super) fn uptime_micros(&self) -> i64 {
        i64::try_from(self.clock.uptime().as_micros()).unwrap_or(i64::MAX)
    }

    /// Sets the clock to a time that the database has told between `before` and now.
    pub(super) fn set(&self, time: i64, before: i64) {
        let told_at = before.midpoint(self.uptime_micros());
        self.offset.store(time - told_at, Ordering::Relaxed);
    }

    /// Warns if the clock of this machine shows another time than the database.
    pub(super) fn compare(&self) {
        let (here, there) = (self.clock.now(), self.now());
        if (here - there).abs() > TOLERANCE {
            let [here, there] = [here, there].map(|time| time.truncate_to_second());
            tracing::warn!(
                "the clock of this machine shows {here}, but the clock of the database server shows \
                 {there}. Events get the time of the database server. Correct the wrong clock, for \
                 example with NTP"
            );
        }
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> OffsetDateTime {
        let micros = self.offset.load(Ordering::Relaxed) + self.uptime_micros();
        OffsetDateTime::UNIX_EPOCH + Duration::microseconds(micros)
    }

    fn uptime(&self) -> std::time::Duration {
        self.clock.uptime()
    }
}

fn micros(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> OffsetDateTime {
            OffsetDateTime::UNIX_EPOCH + Duration::days(20_000)
        }

        fn uptime(&self) -> std::time::Duration {
            std::time::Duration::from_secs(30)
        }
    }

    #[test]
    fn clock_shows_the_time_that_the_database_has_told() {
        let clock = DatabaseClock::new(Arc::new(Stopped));
        assert_eq!(clock.now(), Stopped.now());
        let there = Stopped.now() + Duration::hours(1);
        // The question was sent 10 s ago, so the answer is about 5 s old.
        clock.set(micros(there), 20_000_000);
        assert_eq!(clock.now(), there + Duration::seconds(5));
        assert_eq!(clock.steady(), clock.now());
        assert_eq!(clock.age(there), Duration::seconds(5));
    }
}
