//! Time and randomness as ports, so that tests can choose both.

use std::fmt::Debug;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use uuid::Uuid;

/// A source of the current time.
pub trait Clock: Debug + Send + Sync {
    /// The current time, in UTC.
    fn now(&self) -> OffsetDateTime;

    /// The approximate uptime of this process, measured by a monotonic clock.
    fn uptime(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }

    /// The time that decides about expiry. An implementation may let it advance evenly even while
    /// the system clock is set, so that a wrong clock destroys nothing. Such a time stands still
    /// while no server runs, so it may be behind [`now`](Self::now).
    fn steady(&self) -> OffsetDateTime {
        self.now()
    }

    /// The [`steady`](Self::steady) time since [`now`](Self::now) was `then`. It is negative if
    /// `then` is in the future.
    fn age(&self, then: OffsetDateTime) -> time::Duration {
        self.now() - then
    }
}

/// A source of ids and secrets.
pub trait IdSource: Debug + Send + Sync {
    /// A new, globally unique id: a UUID of version 7 (RFC 9562, section 5.7).
    fn next_id(&self) -> Uuid;

    /// A new secret that cannot be guessed: 192 bits of the operating system's randomness.
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
