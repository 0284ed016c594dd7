use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{FakeRelativeClock, MonotonicClock};

use super::{Charge, CommandRate};
use crate::edge::client::Client;
use crate::edge::cost::HEAVY;

fn client(number: u8) -> Client {
    Client::at([192, 0, 2, number].into())
}

/// The number of commands that are allowed before the first refusal.
fn burst(rate: &CommandRate<FakeRelativeClock>, client: Client) -> usize {
    let count = || rate.count(client, NonZeroU32::MIN).ok();
    std::iter::from_fn(count).take(10_000).count()
}

#[test]
fn client_sends_a_burst_and_then_at_the_rate() {
    let clock = FakeRelativeClock::default();
    let rate = CommandRate::new(20, clock.clone());
    assert_eq!(burst(&rate, client(1)), 100);
    let wait = rate
        .count(client(1), NonZeroU32::MIN)
        .expect_err("too many");
    assert_eq!(wait, Duration::from_millis(50));
    assert_eq!(burst(&rate, client(2)), 100, "other clients are unaffected");
    clock.advance(Duration::from_secs(1));
    assert_eq!(burst(&rate, client(1)), 20);
    clock.advance(Duration::from_secs(60));
    assert_eq!(burst(&rate, client(1)), 100);
}

#[test]
fn heavy_command_counts_as_ten_and_one_is_allowed_at_any_rate() {
    let heavy = NonZeroU32::new(HEAVY).expect("not zero");
    for (per_second, expected) in [(20, 10), (1, 1)] {
        let rate = CommandRate::new(per_second, FakeRelativeClock::default());
        let count = || rate.count(client(1), heavy).ok();
        let let_through = std::iter::from_fn(count).take(1_000).count();
        assert_eq!(let_through, expected, "{per_second} a second");
    }
}

#[test]
fn rate_of_zero_is_no_limit() {
    let rate = CommandRate::new(0, FakeRelativeClock::default());
    assert_eq!(burst(&rate, client(1)), 10_000);
}

#[test]
fn highest_rate_is_a_valid_rate() {
    let rate = CommandRate::new(1_000_000, FakeRelativeClock::default());
    assert_eq!(burst(&rate, client(1)), 10_000);
}

#[test]
fn client_that_is_silent_for_longest_is_forgotten_first() {
    let two = NonZeroUsize::new(2).expect("not zero");
    let rate = CommandRate::remembering(two, 1, FakeRelativeClock::default());
    assert_eq!(burst(&rate, client(1)), 5);
    assert_eq!(burst(&rate, client(2)), 5);
    assert_eq!(burst(&rate, client(1)), 0, "refused, but not silent");
    assert_eq!(burst(&rate, client(3)), 5);
    assert_eq!(burst(&rate, client(1)), 0);
    assert_eq!(burst(&rate, client(2)), 5, "forgotten");
}

#[test]
fn reading_the_log_costs_in_proportion_to_its_events() {
    // The rate is so slow that the client regains nothing within the test.
    for (events, expected) in [(499, 100), (500, 5), (1_000, 2), (2_500, 1), (u64::MAX, 1)] {
        let charge = Charge {
            rate: Arc::new(CommandRate::new(1, MonotonicClock)),
            client: client(1),
        };
        let let_through = (0..100).take_while(|_| charge.catch_up(events).is_ok());
        assert_eq!(let_through.count(), expected, "{events}");
    }
}
