use std::sync::{Arc, Mutex};
use std::time::Duration;

use ironstar_ports::Clock;
use time::OffsetDateTime;
use time::macros::datetime;

use super::{MOST_JUMPS, SteadyClock};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
const RIGHT: OffsetDateTime = datetime!(2026-11-29 12:00 UTC);

/// A clock that is set by hand, and what nothing sets.
#[derive(Debug)]
struct HandClock(Mutex<(OffsetDateTime, Duration)>);

impl HandClock {
    fn at(time: OffsetDateTime) -> Arc<Self> {
        Arc::new(Self(Mutex::new((time, Duration::ZERO))))
    }

    fn set(&self, time: OffsetDateTime) {
        self.0.lock().expect("no test panics").0 = time;
    }

    fn pass(&self, time: Duration) {
        let mut clock = self.0.lock().expect("no test panics");
        clock.0 += time;
        clock.1 += time;
    }
}

impl Clock for HandClock {
    fn now(&self) -> OffsetDateTime {
        self.0.lock().expect("no test panics").0
    }

    fn uptime(&self) -> Duration {
        self.0.lock().expect("no test panics").1
    }
}

/// Another server, which goes on from what this one has stored.
fn restart(steady: &SteadyClock, clock: &Arc<HandClock>) -> SteadyClock {
    clock.pass(HOUR / 2);
    let stored = steady.to_store().expect("it is worth storing");
    SteadyClock::resume(clock.clone(), &stored)
}

#[test]
fn steady_time_is_that_of_a_clock_that_is_right() {
    let clock = HandClock::at(RIGHT);
    let steady = SteadyClock::new(clock.clone());
    assert_eq!(steady.steady(), RIGHT);
    clock.pass(YEAR);
    assert_eq!(steady.steady(), RIGHT + YEAR);
    assert_eq!(steady.age(RIGHT + YEAR - DAY), DAY);
    clock.set(RIGHT + YEAR + Duration::from_secs(59));
    assert_eq!(steady.steady(), steady.now(), "clocks drift");
}

#[test]
fn steady_time_goes_on_when_a_clock_is_corrected() {
    let clock = HandClock::at(OffsetDateTime::UNIX_EPOCH);
    let steady = SteadyClock::new(clock.clone());
    let began = steady.steady();
    clock.pass(HOUR);
    steady.now();
    clock.set(RIGHT);
    assert_eq!(steady.now(), RIGHT);
    assert_eq!(steady.steady(), began + HOUR);
    clock.pass(DAY);
    assert_eq!(steady.steady(), began + HOUR + DAY);
    assert_eq!(steady.age(OffsetDateTime::UNIX_EPOCH), HOUR + DAY);
    assert_eq!(steady.age(RIGHT), DAY);
}

#[test]
fn wrong_reading_leaves_no_trace_once_it_is_corrected() {
    let clock = HandClock::at(RIGHT);
    let steady = SteadyClock::new(clock.clone());
    steady.now();
    clock.set(RIGHT + YEAR);
    assert_eq!(steady.steady(), RIGHT);
    assert_eq!(steady.age(RIGHT), Duration::ZERO);
    clock.set(RIGHT);
    clock.pass(DAY);
    assert_eq!(steady.steady(), RIGHT + DAY);
    assert_eq!(steady.age(RIGHT), DAY);
    clock.set(OffsetDateTime::UNIX_EPOCH);
    assert_eq!(steady.steady(), RIGHT + DAY);
    clock.set(RIGHT + DAY);
    assert_eq!(steady.steady(), RIGHT + DAY);
}

#[test]
fn server_that_was_started_in_1970_is_restarted_with_the_right_time() {
    let clock = HandClock::at(OffsetDateTime::UNIX_EPOCH);
    let steady = SteadyClock::new(clock.clone());
    let began = steady.steady();
    clock.pass(HOUR / 2);
    let stored = steady.to_store().expect("it is worth storing");
    clock.set(RIGHT);
    let steady = SteadyClock::resume(clock.clone(), &stored);
    assert_eq!(steady.steady(), began + HOUR / 2);
    let steady = restart(&steady, &clock);
    assert_eq!(steady.steady(), began + HOUR);
}

#[test]
fn short_pause_between_servers_counts_and_a_long_one_does_not() {
    let clock = HandClock::at(RIGHT);
    let steady = SteadyClock::new(clock.clone());
    let steady = restart(&steady, &clock);
    clock.set(RIGHT + HOUR);
    assert_eq!(steady.steady(), RIGHT + HOUR);
    clock.pass(HOUR);
    let stored = steady.to_store().expect("it is worth storing");
    clock.set(RIGHT + YEAR);
    let steady = SteadyClock::resume(clock, &stored);
    assert_eq!(steady.steady(), RIGHT + HOUR * 2);
}

#[test]
fn clock_that_is_behind_what_has_been_goes_on_from_there() {
    let clock = HandClock::at(OffsetDateTime::UNIX_EPOCH);
    let steady = SteadyClock::after(clock.clone(), RIGHT);
    assert_eq!(steady.steady(), RIGHT);
    clock.set(RIGHT + DAY);
    assert_eq!(steady.steady(), RIGHT);
    let ahead = SteadyClock::after(clock.clone(), RIGHT);
    assert_eq!(ahead.steady(), RIGHT + DAY);
}

#[test]
fn jump_is_stored_at_once() {
    let clock = HandClock::at(RIGHT);
    let steady = SteadyClock::new(clock.clone());
    assert!(steady.to_store().is_some());
    assert!(steady.to_store().is_none());
    clock.set(RIGHT + YEAR);
    assert!(steady.to_store().is_some());
    clock.pass(Duration::from_secs(60));
    assert!(steady.to_store().is_some());
}

#[test]
fn jumps_beyond_those_remembered_still_count() {
    let clock = HandClock::at(RIGHT);
    let steady = SteadyClock::new(clock.clone());
    for _ in 0..MOST_JUMPS * 2 {
        steady.now();
        clock.set(clock.now() + YEAR);
        assert_eq!(steady.steady(), RIGHT);
    }
    assert_eq!(steady.state().course.jumps.len(), MOST_JUMPS);
}

#[test]
fn what_cannot_be_read_counts_as_not_stored() {
    let steady = SteadyClock::resume(HandClock::at(RIGHT), "{}[]");
    assert_eq!(steady.steady(), RIGHT);
}

#[test]
fn moment_that_was_shown_before_the_clock_was_set_back_is_past() {
    let clock = HandClock::at(RIGHT + YEAR);
    let steady = SteadyClock::new(clock.clone());
    steady.now();
    clock.pass(HOUR);
    steady.now();
    clock.set(RIGHT);
    for ago in [HOUR, HOUR / 2, Duration::ZERO] {
        assert_eq!(steady.age(RIGHT + YEAR + HOUR - ago), ago);
    }
    clock.pass(DAY);
    assert_eq!(steady.age(RIGHT + YEAR), DAY + HOUR);
    assert_eq!(steady.age(RIGHT), DAY);
    // What it has never shown is still to come.
    let later = RIGHT + YEAR + 2 * HOUR;
    assert_eq!(steady.age(later), (RIGHT + DAY) - later);
}

#[test]
fn moment_that_the_clock_has_skipped_is_that_of_the_jump() {
    let clock = HandClock::at(RIGHT);
    let steady = SteadyClock::new(clock.clone());
    steady.now();
    for jumps in 1..=3 {
        let jumped = clock.now();
        clock.set(jumped + YEAR);
        steady.now();
        for skipped in [Duration::ZERO, DAY, YEAR - DAY, YEAR] {
            assert_eq!(steady.age(jumped + skipped), Duration::ZERO, "{jumps}");
        }
        clock.pass(HOUR);
        assert_eq!(steady.age(jumped + DAY), HOUR, "{jumps}");
        assert_eq!(steady.age(RIGHT - DAY), DAY + jumps * HOUR);
    }
}

#[test]
fn steady_clock_runs_as_long_as_the_one_that_it_reads() {
    let clock = HandClock::at(RIGHT);
    let steady = SteadyClock::new(clock.clone());
    clock.pass(HOUR);
    assert_eq!(steady.uptime(), HOUR);
}

#[test]
fn moment_just_ahead_of_a_clock_that_went_back_a_little_is_still_to_come() {
    let clock = HandClock::at(RIGHT + YEAR);
    let steady = SteadyClock::new(clock.clone());
    steady.now();
    clock.set(RIGHT);
    steady.now();
    clock.pass(2 * HOUR);
    let stored = steady.to_store().expect("it is worth storing");
    clock.set(RIGHT + HOUR + HOUR / 2);
    let steady = SteadyClock::resume(clock.clone(), &stored);
    assert_eq!(steady.age(RIGHT + 2 * HOUR), -time::Duration::minutes(30));
    clock.set(RIGHT + HOUR);
    assert_eq!(steady.age(RIGHT + 2 * HOUR), -time::Duration::HOUR);
}

#[test]
fn moment_that_was_shown_is_not_hidden_by_a_later_jump_over_it() {
    let clock = HandClock::at(RIGHT);
    let steady = SteadyClock::new(clock.clone());
    steady.now();
    clock.set(OffsetDateTime::UNIX_EPOCH);
    steady.now();
    clock.pass(HOUR);
    steady.now();
    clock.set(RIGHT + HOUR);
    steady.now();
    clock.pass(DAY);
    assert_eq!(steady.age(RIGHT - DAY), DAY + HOUR + DAY);
    // This was never shown.
    assert_eq!(steady.age(RIGHT + HOUR / 2), DAY);
}

#[test]
fn moment_to_come_that_a_wrong_reading_has_skipped_is_still_to_come() {
    let clock = HandClock::at(RIGHT);
    let steady = SteadyClock::new(clock.clone());
    steady.now();
    clock.set(RIGHT + YEAR);
    steady.now();
    clock.set(RIGHT);
    assert_eq!(steady.age(RIGHT + DAY), -time::Duration::DAY);
    assert_eq!(steady.age(RIGHT + YEAR), Duration::ZERO, "it was shown");
}
