use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt};
use ironstar_adapters::memory::MemoryEventBus;
use ironstar_app::{EventFeed, FeedError, FeedOptions};
use ironstar_ports::{Envelope, EventBus, Key, Position, StreamId};
use tokio::time::{Instant, sleep};

use crate::support::{SilentBus, TestStore, append, memory_bus, memory_store};

/// Within a test, only a hint wakes such a feed.
pub(crate) const HINTS_ONLY: FeedOptions = FeedOptions {
    tail: 8,
    page: 4,
    poll: Duration::from_secs(3_600),
    quick_poll: Duration::from_secs(3_600),
};

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) async fn hint(bus: &dyn EventBus, position: Position) {
    let key = Key::of_stream(&StreamId::new("Test", "1"));
    bus.publish(&key, position.to_string().as_bytes())
        .await
        .expect("published");
}

/// Expects events at these positions, in this order.
pub(crate) async fn expect(
    events: &mut (impl Stream<Item = Result<Arc<Envelope>, FeedError>> + Unpin),
    positions: impl IntoIterator<Item = u64>,
) {
    for position in positions {
        let event = tokio::time::timeout(DEADLINE, events.next())
            .await
            .unwrap_or_else(|_| panic!("position {position} never came"))
            .expect("the stream goes on")
            .expect("an event");
        assert_eq!(event.position, Position::new(position));
    }
}

#[tokio::test]
async fn feed_catches_up_and_continues_live() {
    let (store, bus) = (memory_store(), memory_bus());
    append(&*store, 10).await;
    let feed = EventFeed::start(store.clone(), &*bus, HINTS_ONLY)
        .await
        .expect("started");
    let mut all = feed.subscribe(Position::START);
    let mut some = feed.subscribe(Position::new(7));
    let mut live = feed.subscribe(feed.head());
    expect(&mut all, 1..=9).await;
    let appended = append(&*store, 3).await;
    hint(&*bus, appended).await;
    expect(&mut all, 10..=13).await;
    expect(&mut some, 8..=13).await;
    expect(&mut live, 11..=13).await;
    assert!(live.next().now_or_never().is_none(), "there is no more");
}

#[tokio::test]
async fn waiting_for_a_position_ends_when_the_feed_has_seen_it() {
    let (store, bus) = (memory_store(), memory_bus());
    append(&*store, 1).await;
    let feed = EventFeed::start(store.clone(), &*bus, HINTS_ONLY)
        .await
        .expect("started");
    feed.reached(Position::new(1)).await;
    let appended = append(&*store, 1).await;
    let mut waiting = std::pin::pin!(feed.reached(appended));
    assert!(waiting.as_mut().now_or_never().is_none());
    hint(&*bus, appended).await;
    tokio::time::timeout(DEADLINE, waiting).await.expect("seen");
    feed.stop();
    let never = feed.reached(Position::new(9));
    tokio::time::timeout(DEADLINE, never).await.expect("ended");
}

#[tokio::test]
async fn consumer_far_behind_reads_from_the_store() {
    let (store, bus) = (memory_store(), memory_bus());
    let feed = EventFeed::start(store.clone(), &*bus, HINTS_ONLY)
        .await
        .expect("started");
    let mut slow = feed.subscribe(Position::START);
    let mut quick = feed.subscribe(Position::START);
    for _ in 0..50 {
        let appended = append(&*store, 1).await;
        hint(&*bus, appended).await;
        expect(&mut quick, [appended.get()]).await;
    }
    // The tail has 8 events by now; this consumer has read none of the 50.
    expect(&mut slow, 1..=50).await;
}

#[tokio::test]
async fn feed_finds_events_by_polling_when_hints_are_lost() {
    let (store, bus) = (memory_store(), SilentBus(MemoryEventBus::new()));
    let options = FeedOptions {
        poll: Duration::from_millis(20),
        ..HINTS_ONLY
    };
    let feed = EventFeed::start(store.clone(), &bus, options)
        .await
        .expect("started");
    let mut events = feed.subscribe(Position::START);
    append(&*store, 5).await;
    hint(&bus, Position::new(5)).await;
    expect(&mut events, 1..=5).await;
}

/// The first event is found by a slow poll, and the next ones soon.
#[tokio::test(start_paused = true)]
async fn feed_polls_quickly_while_hints_are_lost() {
    let (store, bus) = (memory_store(), SilentBus(MemoryEventBus::new()));
    let options = FeedOptions {
        poll: Duration::from_secs(1),
        quick_poll: Duration::from_millis(20),
        ..HINTS_ONLY
    };
    let feed = EventFeed::start(store.clone(), &bus, options)
        .await
        .expect("started");
    let mut events = feed.subscribe(Position::START);
    let mut times = Vec::new();
    for position in 1..=3 {
        sleep(Duration::from_millis(130)).await;
        let start = Instant::now();
        append(&*store, 1).await;
        expect(&mut events, position..=position).await;
        times.push(start.elapsed());
    }
    let [first, rest @ ..] = &times[..] else {
        panic!("no events");
    };
    assert!(*first > Duration::from_millis(500), "{times:?}");
    assert!(
        rest.iter().all(|it| *it < Duration::from_millis(50)),
        "{times:?}"
    );
}

/// The poll finds the event a moment before the hint arrives.
#[tokio::test(start_paused = true)]
async fn late_hint_does_not_make_polls_quick() {
    let store = Arc::new(TestStore::counting(memory_store()));
    let bus = memory_bus();
    let options = FeedOptions {
        poll: Duration::from_secs(1),
        quick_poll: Duration::from_millis(20),
        ..HINTS_ONLY
    };
    let feed = EventFeed::start(store.clone(), &*bus, options)
        .await
        .expect("started");
    let mut events = feed.subscribe(Position::START);
    let appended = append(&*store, 1).await;
    expect(&mut events, 1..=1).await;
    hint(&*bus, appended).await;
    let before = store.reads();
    sleep(Duration::from_secs(5)).await;
    let reads = store.reads() - before;
    assert!((4..20).contains(&reads), "{reads} reads in five seconds");
}

#[tokio::test]
async fn feed_outlives_its_bus() {
    let (store, bus) = (memory_store(), memory_bus());
    let options = FeedOptions {
        poll: Duration::from_millis(20),
        ..HINTS_ONLY
    };
    let feed = EventFeed::start(store.clone(), &*bus, options)
        .await
        .expect("started");
    let mut events = feed.subscribe(Position::START);
    // The last hints and the end of the bus arrive together.
    for _ in 0..3 {
        let appended = append(&*store, 1).await;
        hint(&*bus, appended).await;
    }
    drop(bus);
    expect(&mut events, 1..=3).await;
    append(&*store, 2).await;
    expect(&mut events, 4..=5).await;
}

#[tokio::test]
async fn doubled_stale_and_foreign_hints_change_nothing() {
    let (store, bus) = (memory_store(), memory_bus());
    let feed = EventFeed::start(store.clone(), &*bus, HINTS_ONLY)
        .await
        .expect("started");
    let mut events = feed.subscribe(Position::START);
    let first = append(&*store, 1).await;
    let second = append(&*store, 1).await;
    for position in [second, first, second, Position::new(u64::MAX)] {
        hint(&*bus, position).await;
    }
    let key = Key::of_stream(&StreamId::new("Test", "1"));
    bus.publish(&key, b"\xff no hint").await.expect("published");
    expect(&mut events, 1..=2).await;
    let third = append(&*store, 1).await;
    hint(&*bus, third).await;
    expect(&mut events, [3]).await;
    assert!(events.next().now_or_never().is_none(), "there is no more");
}

/// The pages behind a failed page were read ahead, and must not replace it.
#[tokio::test]
async fn feed_loses_no_event_when_reads_fail() {
    const EVENTS: u64 = 200;

    for one_in in 2..8 {
        let store = Arc::new(TestStore::failing(memory_store(), one_in));
        append(&*store, EVENTS as usize).await;
        let bus = memory_bus();
        let feed = loop {
            if let Ok(feed) = EventFeed::start(store.clone(), &*bus, HINTS_ONLY).await {
                break feed;
            }
        };
        let mut events = feed.subscribe(Position::START);
        let (mut last, mut failures) = (0, 0);
        while last < EVENTS {
            match events.next().await.expect("the stream goes on") {
                Ok(event) => {
                    assert_eq!(event.position, Position::new(last + 1), "one in {one_in}");
                    last += 1;
                }
                Err(error) => {
                    assert!(!error.is_permanent(), "one in {one_in}: {error}");
                    failures += 1;
                }
            }
        }
        assert!(failures > 0, "one in {one_in}");
    }
}

#[tokio::test]
async fn stopping_ends_every_stream() {
    let (store, bus) = (memory_store(), memory_bus());
    append(&*store, 2).await;
    let feed = EventFeed::start(store, &*bus, HINTS_ONLY)
        .await
        .expect("started");
    let mut events = feed.subscribe(Position::START);
    feed.stop();
    expect(&mut events, 1..=2).await;
    let end = tokio::time::timeout(DEADLINE, events.next())
        .await
        .expect("it ends");
    assert!(end.is_none());
    assert!(events.next().await.is_none(), "the stream stays at its end");
}

#[tokio::test]
async fn event_before_a_stop_is_delivered_without_its_hint() {
    let (store, bus) = (memory_store(), memory_bus());
    let feed = EventFeed::start(store.clone(), &*bus, HINTS_ONLY)
        .await
        .expect("started");
    let mut events = feed.subscribe(Position::START);
    append(&*store, 2).await;
    feed.stop();
    expect(&mut events, 1..=2).await;
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn gap_is_an_error_and_is_never_skipped() {
    let (store, bus) = (
        Arc::new(TestStore::with_a_gap(memory_store())),
        memory_bus(),
    );
    append(&*store, 3).await;
    let feed = EventFeed::start(store.clone(), &*bus, HINTS_ONLY)
        .await
        .expect("started");
    let mut events = feed.subscribe(Position::START);
    for _ in 0..2 {
        let error = events.next().await.expect("an item").expect_err("a gap");
        assert!(
            matches!(error, FeedError::Gap { expected, found }
                if expected == Position::new(1) && found == Position::new(2)),
            "{error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn feed_keeps_events_up_to_the_limit() {
    const KEPT: u64 = 4_096;
    let store = Arc::new(TestStore::counting(memory_store()));
    let bus = memory_bus();
    let feed = EventFeed::start(store.clone(), &*bus, FeedOptions::default());
    let feed = feed.await.expect("started");
    let head = append(&*store, 5_000).await;
    let mut events = feed.subscribe(Position::START);
    for _ in 0..head.get() {
        events.next().await.expect("an event").expect("it is read");
    }
    for (after, is_read) in [(head.get() - KEPT, false), (head.get() - KEPT - 1, true)] {
        let reads = store.reads();
        let mut events = feed.subscribe(Position::new(after));
        events.next().await.expect("an event").expect("it is read");
        assert_eq!(store.reads() > reads, is_read, "after {after}");
    }
}
