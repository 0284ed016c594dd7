use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{FakeRelativeClock, MonotonicClock};

use super::{Charge, CommandRate, weight};
use crate::edge::client::Client;

fn client(number: u8) -> Client {
    Client::at([192, 0, 2, number].into())
}

/// How many commands are let through until one is refused.
fn burst(rate: &CommandRate<FakeRelativeClock>, client: Client) -> usize {
    let count = || rate.count(client, weight("/todos")).ok();
    std::iter::from_fn(count).take(10_000).count()
}

#[test]
fn a_client_may_send_a_burst_and_then_as_many_as_come_back() {
    let clock = FakeRelativeClock::default();
    let rate = CommandRate::new(20, clock.clone());
    assert_eq!(burst(&rate, client(1)), 100);
    let wait = rate
        .count(client(1), weight("/todos"))
        .expect_err("too many");
    assert_eq!(wait, Duration::from_millis(50));
    assert_eq!(burst(&rate, client(2)), 100, "others are not concerned");
    clock.advance(Duration::from_secs(1));
    assert_eq!(burst(&rate, client(1)), 20);
    clock.advance(Duration::from_secs(60));
    assert_eq!(burst(&rate, client(1)), 100);
}

#[test]
fn what_changes_a_whole_list_counts_for_many() {
    let paths = [
        "/todos/complete-all",
        "/todos/complete%2Dall",
        "/todos/reopen-all",
        "/todos/clear-completed",
        "/api/commands/todos",
    ];
    for path in paths {
        let rate = CommandRate::new(20, FakeRelativeClock::default());
        let count = || rate.count(client(1), weight(path)).ok();
        assert_eq!(std::iter::from_fn(count).take(1_000).count(), 10, "{path}");
        let rate = CommandRate::new(1, FakeRelativeClock::default());
        let count = || rate.count(client(1), weight(path)).ok();
        let let_through = std::iter::from_fn(count).take(1_000).count();
        assert_eq!(let_through, 1, "as many as there may be, and not none");
    }
}

#[test]
fn no_rate_is_no_limit() {
    let rate = CommandRate::new(0, FakeRelativeClock::default());
    assert_eq!(burst(&rate, client(1)), 10_000);
}

#[test]
fn the_highest_rate_is_one() {
    let rate = CommandRate::new(1_000_000, FakeRelativeClock::default());
    assert_eq!(burst(&rate, client(1)), 10_000);
}

#[test]
fn of_more_clients_than_are_remembered_the_most_silent_is_forgotten() {
    let two = NonZeroUsize::new(2).expect("not zero");
    let rate = CommandRate::remembering(two, 1, FakeRelativeClock::default());
    assert_eq!(burst(&rate, client(1)), 5);
    assert_eq!(burst(&rate, client(2)), 5);
    assert_eq!(burst(&rate, client(1)), 0, "is refused, and not silent");
    assert_eq!(burst(&rate, client(3)), 5);
    assert_eq!(burst(&rate, client(1)), 0);
    assert_eq!(burst(&rate, client(2)), 5, "was forgotten");
}

#[test]
fn going_through_the_log_counts_for_as_much_as_there_is_of_it() {
    // So slow that nothing comes back within the test.
    for (events, expected) in [(499, 100), (500, 5), (1_000, 2), (2_500, 1), (u64::MAX, 1)] {
        let charge = Charge {
            rate: Arc::new(CommandRate::new(1, MonotonicClock)),
            client: client(1),
        };
        let let_through = (0..100).take_while(|_| charge.catch_up(events).is_ok());
        assert_eq!(let_through.count(), expected, "{events}");
    }
}
