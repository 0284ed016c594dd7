use std::sync::Arc;
use std::time::Duration;

use ironstar_ports::Clock;
use ironstar_ports::contract::doubles::ManualClock;
use time::OffsetDateTime;
use time::macros::datetime;

use super::{MOST_JUMPS, SteadyClock};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
const RIGHT: OffsetDateTime = datetime!(2026-11-29 12:00 UTC);

/// Starts another server, which continues from the stored state of this one.
fn restart(steady: &SteadyClock, clock: &Arc<ManualClock>) -> SteadyClock {
    clock.pass(HOUR / 2);
    let stored = steady.to_store().expect("a state to store");
    SteadyClock::resume(clock.clone(), &stored)
}

#[test]
fn steady_time_follows_a_correct_clock() {
    let clock = ManualClock::at(RIGHT);
    let steady = SteadyClock::new(clock.clone());
    assert_eq!(steady.steady(), RIGHT);
    clock.pass(YEAR);
    assert_eq!(steady.steady(), RIGHT + YEAR);
    assert_eq!(steady.age(RIGHT + YEAR - DAY), DAY);
    clock.set(RIGHT + YEAR + Duration::from_secs(59));
    assert_eq!(steady.steady(), steady.now(), "clocks drift");
}

#[test]
fn steady_time_continues_evenly_when_the_clock_is_corrected() {
    let clock = ManualClock::at(OffsetDateTime::UNIX_EPOCH);
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
    let clock = ManualClock::at(RIGHT);
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
fn server_started_in_1970_restarts_with_the_right_time() {
    let clock = ManualClock::at(OffsetDateTime::UNIX_EPOCH);
    let steady = SteadyClock::new(clock.clone());
    let began = steady.steady();
    clock.pass(HOUR / 2);
    let stored = steady.to_store().expect("a state to store");
    clock.set(RIGHT);
    let steady = SteadyClock::resume(clock.clone(), &stored);
    assert_eq!(steady.steady(), began + HOUR / 2);
    let steady = restart(&steady, &clock);
    assert_eq!(steady.steady(), began + HOUR);
}

#[test]
fn short_pause_between_servers_counts_and_long_pause_does_not() {
    let clock = ManualClock::at(RIGHT);
    let steady = SteadyClock::new(clock.clone());
    let steady = restart(&steady, &clock);
    clock.set(RIGHT + HOUR);
    assert_eq!(steady.steady(), RIGHT + HOUR);
    clock.pass(HOUR);
    let stored = steady.to_store().expect("a state to store");
    clock.set(RIGHT + YEAR);
    let steady = SteadyClock::resume(clock, &stored);
    assert_eq!(steady.steady(), RIGHT + HOUR * 2);
}

#[test]
fn clock_behind_a_known_moment_continues_from_that_moment() {
    let clock = ManualClock::at(OffsetDateTime::UNIX_EPOCH);
    let steady = SteadyClock::after(clock.clone(), RIGHT);
    assert_eq!(steady.steady(), RIGHT);
    clock.set(RIGHT + DAY);
    assert_eq!(steady.steady(), RIGHT);
    let ahead = SteadyClock::after(clock.clone(), RIGHT);
    assert_eq!(ahead.steady(), RIGHT + DAY);
}

#[test]
fn jump_is_stored_at_once() {
    let clock = ManualClock::at(RIGHT);
    let steady = SteadyClock::new(clock.clone());
    assert!(steady.to_store().is_some());
    assert!(steady.to_store().is_none());
    clock.set(RIGHT + YEAR);
    assert!(steady.to_store().is_some());
    clock.pass(Duration::from_secs(60));
    assert!(steady.to_store().is_some());
}

#[test]
fn jumps_count_after_they_are_summed_up() {
    let clock = ManualClock::at(RIGHT);
    let steady = SteadyClock::new(clock.clone());
    for _ in 0..MOST_JUMPS * 2 {
        steady.now();
        clock.set(clock.now() + YEAR);
        assert_eq!(steady.steady(), RIGHT);
    }
    assert_eq!(steady.state.lock().course.jumps.len(), MOST_JUMPS);
}

#[test]
fn unreadable_stored_state_is_ignored() {
    let steady = SteadyClock::resume(ManualClock::at(RIGHT), "{}[]");
    assert_eq!(steady.steady(), RIGHT);
}

#[test]
fn moment_shown_before_the_clock_was_set_back_is_past() {
    let clock = ManualClock::at(RIGHT + YEAR);
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
    // A time that the clock never showed is still in the future.
    let later = RIGHT + YEAR + 2 * HOUR;
    assert_eq!(steady.age(later), (RIGHT + DAY) - later);
}

#[test]
fn moment_that_the_clock_skipped_counts_as_the_moment_of_the_jump() {
    let clock = ManualClock::at(RIGHT);
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
fn steady_clock_has_the_uptime_of_the_clock_that_it_reads() {
    let clock = ManualClock::at(RIGHT);
    let steady = SteadyClock::new(clock.clone());
    clock.pass(HOUR);
    assert_eq!(steady.uptime(), HOUR);
}

#[test]
fn moment_just_ahead_of_a_clock_that_went_back_a_little_is_in_the_future() {
    let clock = ManualClock::at(RIGHT + YEAR);
    let steady = SteadyClock::new(clock.clone());
    steady.now();
    clock.set(RIGHT);
    steady.now();
    clock.pass(2 * HOUR);
    let stored = steady.to_store().expect("a state to store");
    clock.set(RIGHT + HOUR + HOUR / 2);
    let steady = SteadyClock::resume(clock.clone(), &stored);
    assert_eq!(steady.age(RIGHT + 2 * HOUR), -time::Duration::minutes(30));
    clock.set(RIGHT + HOUR);
    assert_eq!(steady.age(RIGHT + 2 * HOUR), -time::Duration::HOUR);
}

#[test]
fn later_jump_over_a_shown_moment_does_not_hide_it() {
    let clock = ManualClock::at(RIGHT);
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
    // The clock never showed this time.
    assert_eq!(steady.age(RIGHT + HOUR / 2), DAY);
}

#[test]
fn future_moment_stays_in_the_future_after_a_wrong_reading_skipped_it() {
    let clock = ManualClock::at(RIGHT);
    let steady = SteadyClock::new(clock.clone());
    steady.now();
    clock.set(RIGHT + YEAR);
    steady.now();
    clock.set(RIGHT);
    assert_eq!(steady.age(RIGHT + DAY), -time::Duration::DAY);
    assert_eq!(
        steady.age(RIGHT + YEAR),
        Duration::ZERO,
        "the clock showed it"
    );
}
