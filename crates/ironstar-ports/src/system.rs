//! Time and randomness, as ports: so that tests decide what they are.

use std::fmt::Debug;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use uuid::Uuid;

/// Tells the time.
pub trait Clock: Debug + Send + Sync {
    /// The present, in UTC.
    fn now(&self) -> OffsetDateTime;

    /// How long this process has run, roughly, by a clock that nothing sets.
    fn uptime(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }

    /// The time by which things expire. Where it matters that a wrong clock destroys
    /// nothing, this time goes on evenly when the clock is set, and stands still while
    /// no server runs, so it may be behind [`now`](Self::now).
    fn steady(&self) -> OffsetDateTime {
        self.now()
    }

    /// How much of the [`steady`](Self::steady) time has passed since the clock has
    /// shown a moment. Negative, if that is still to come.
    fn age(&self, then: OffsetDateTime) -> time::Duration {
        self.now() - then
    }
}

/// Makes ids.
pub trait IdSource: Debug + Send + Sync {
    /// An id that nobody else has: a UUID of version 7 (RFC 9562, section 5.7).
    fn next_id(&self) -> Uuid;

    /// What nobody can guess: 192 bits of the operating system's randomness.
    fn next_secret(&self) -> [u8; 24];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Stopped(OffsetDateTime);

    impl Clock for Stopped {
        fn now(&self) -> OffsetDateTime {
            self.0
        }
    }

    #[test]
    fn age_is_the_time_since_a_moment() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let clock = Stopped(now);
        assert_eq!(clock.steady(), now);
        assert_eq!(
            clock.age(now - Duration::from_secs(5)),
            time::Duration::seconds(5)
        );
        assert_eq!(
            clock.age(now + Duration::from_secs(5)),
            time::Duration::seconds(-5)
        );
    }

    #[test]
    fn uptime_goes_on_while_the_clock_stands_still() {
        let clock = Stopped(OffsetDateTime::UNIX_EPOCH);
        let first = clock.uptime();
        let begun = Instant::now();
        while clock.uptime() == first {
            assert!(begun.elapsed() < Duration::from_secs(10), "it stands still");
            std::hint::spin_loop();
        }
    }
}
