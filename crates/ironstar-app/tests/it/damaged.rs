//! Damaged events, which stop only the consumers that reach them.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use ironstar_app::projection::Projection;
use ironstar_app::{EventFeed, FeedError};
use ironstar_ports::{
    BuildUpdate, Envelope, EventBus, Failure, Position, ProjectionStore, StoreError,
};

use crate::feed::{DEADLINE, HINTS_ONLY, expect, hint};
use crate::support::{TallyProjection, TestStore, World, append, count, memory_bus, memory_store};

type Events = BoxStream<'static, Result<Arc<Envelope>, FeedError>>;

/// Sets of damaged events, at each kind of place in a page and in the log.
const DAMAGED: &[&[u64]] = &[
    &[1],
    &[1, 2],
    &[2],
    &[4],
    &[4, 5],
    &[5],
    &[3, 6, 9],
    &[6, 7, 8, 9, 10, 11],
    &[20],
    &[19, 20],
    &[1, 20],
    &[16, 17],
];

/// The number of events in each log.
const LAST: u64 = 20;

struct Feed {
    store: Arc<TestStore>,
    bus: Arc<dyn EventBus>,
    feed: EventFeed,
    damaged: &'static [u64],
}

impl Feed {
    /// A feed on a log in which these events are damaged. Some of the events already exist.
    async fn start(damaged: &'static [u64], events: usize) -> Self {
        let store = Arc::new(TestStore::counting(memory_store()));
        store.damage(damaged.iter().copied().map(Position::new));
        if events > 0 {
            append(&*store, events).await;
        }
        let bus = memory_bus();
        let feed = EventFeed::start(store.clone(), &*bus, HINTS_ONLY).await;
        Self {
            store,
            bus,
            feed: feed.expect("started"),
            damaged,
        }
    }

    /// Appends events, and publishes a hint of the last one.
    async fn append(&self, count: usize) {
        let last = append(&*self.store, count).await;
        hint(&*self.bus, last).await;
    }

    /// Reads from one event to another like a consumer that skips damaged events, and expects
    /// every other event.
    async fn walk(&self, mut events: Events, from: u64, to: u64) -> Events {
        for position in from..=to {
            if self.damaged.contains(&position) {
                expect_damage(&mut events, position).await;
                events = self.feed.subscribe(Position::new(position));
            } else {
                expect(&mut events, [position]).await;
            }
        }
        events
    }
}

/// Expects that this event is damaged, at each of several reads.
async fn expect_damage(events: &mut Events, position: u64) {
    for _ in 0..3 {
        let next = tokio::time::timeout(DEADLINE, events.next()).await;
        let next = next.unwrap_or_else(|_| panic!("position {position} is not reported"));
        let error = next.expect("the stream goes on").expect_err("damaged");
        assert!(
            matches!(&error, FeedError::Store(StoreError::Damaged { position: at, .. })
                if *at == Position::new(position)),
            "instead of position {position}: {error}"
        );
        assert!(error.is_permanent());
    }
}

#[tokio::test]
async fn damaged_event_stops_consumers_in_front_of_it_only() {
    let feed = Feed::start(&[4], 0).await;
    let mut all = feed.feed.subscribe(Position::START);
    let mut other = feed.feed.subscribe(Position::START);
    feed.append(3).await;
    expect(&mut all, 1..=3).await;
    feed.append(3).await;
    expect_damage(&mut all, 4).await;
    let mut behind = feed.feed.subscribe(Position::new(4));
    expect(&mut behind, 5..=6).await;
    let mut late = feed.feed.subscribe(feed.feed.head());
    let mut early = feed.feed.subscribe(Position::new(6));
    assert!(late.next().now_or_never().is_none(), "there is no more");
    feed.append(2).await;
    for live in [&mut behind, &mut late, &mut early] {
        expect(live, 7..=8).await;
    }
    expect_damage(&mut all, 4).await;
    expect(&mut other, 1..=3).await;
    expect_damage(&mut other, 4).await;
    // After a repair, the consumers continue where they were.
    feed.store.damage([]);
    expect(&mut all, 4..=8).await;
    expect(&mut other, 4..=8).await;
}

#[tokio::test]
async fn live_consumer_gets_all_other_events_wherever_events_are_damaged() {
    for damaged in DAMAGED {
        for together in [1, 3, 20] {
            let feed = Feed::start(damaged, 0).await;
            let mut all = feed.feed.subscribe(Position::START);
            let mut appended = 0;
            while appended < LAST {
                let count = together.min(LAST - appended);
                feed.append(count as usize).await;
                all = feed.walk(all, appended + 1, appended + count).await;
                appended += count;
            }
            let from_the_start = feed.feed.subscribe(Position::START);
            let mut other = feed.walk(from_the_start, 1, LAST).await;
            assert!(all.next().now_or_never().is_none(), "there is no more");
            feed.append(2).await;
            expect(&mut all, LAST + 1..=LAST + 2).await;
            expect(&mut other, LAST + 1..=LAST + 2).await;
        }
    }
}

#[tokio::test]
async fn late_consumer_gets_all_other_events_wherever_events_are_damaged() {
    for damaged in DAMAGED {
        let feed = Feed::start(damaged, LAST as usize).await;
        let mut live = feed.feed.subscribe(feed.feed.head());
        let all = feed.feed.subscribe(Position::START);
        let mut all = feed.walk(all, 1, LAST).await;
        feed.append(3).await;
        expect(&mut live, LAST + 1..=LAST + 3).await;
        expect(&mut all, LAST + 1..=LAST + 3).await;
    }
}

#[tokio::test]
async fn consumer_far_behind_gets_the_damage_too() {
    let feed = Feed::start(&[2, 30], 0).await;
    let slow = feed.feed.subscribe(Position::START);
    let mut quick = feed.feed.subscribe(Position::START);
    for position in 1..=50 {
        feed.append(1).await;
        quick = feed.walk(quick, position, position).await;
    }
    // The tail has 8 events by now; this consumer has read none of the 50.
    let mut slow = feed.walk(slow, 1, 50).await;
    assert!(slow.next().now_or_never().is_none(), "there is no more");
}

/// The damage is an error only of the next event; otherwise there is a gap.
#[tokio::test]
async fn gap_in_front_of_a_damaged_event_is_a_gap() {
    let store = Arc::new(TestStore::with_a_gap(memory_store()));
    store.damage([Position::new(2)]);
    append(&*store, 2).await;
    let feed = EventFeed::start(store, &*memory_bus(), HINTS_ONLY).await;
    let mut events = feed.expect("started").subscribe(Position::START);
    let error = events.next().await.expect("an item").expect_err("a gap");
    assert!(
        matches!(error, FeedError::Gap { expected, found }
            if expected == Position::new(1) && found == Position::new(2)),
        "{error}"
    );
}

type One = TallyProjection<1>;
type Other = TallyProjection<1, true>;

/// The failure of a projection's live build, once there is one at a position.
async fn failure_at<P: Projection>(world: &World, position: Position) -> Failure {
    let failure = |build: &ironstar_ports::Build| build.failure.clone();
    let is_there = |failure: &Failure| failure.position == position;
    let builds = world
        .builds_when::<P>(|builds| failure(&builds[0]).as_ref().is_some_and(is_there))
        .await;
    failure(&builds[0]).expect("the failure exists")
}

/// Skips a damaged event in a projection's live build.
async fn skip<P: Projection>(world: &World, position: Position) {
    let build = world.builds::<P>().await.remove(0).id;
    let skipped = world.store.update(build, BuildUpdate::Skip(position)).await;
    skipped.expect("the build has failed at this position");
}

#[tokio::test(start_paused = true)]
async fn projection_that_skips_a_damaged_event_continues_and_another_is_stuck() {
    let world = World::new().await;
    let one = world.projections.start::<One>();
    let other = world.projections.start::<Other>();
    world.settled(&one).await;
    world.settled(&other).await;
    let before = world.happens("a", "happened").await;
    let (first, second) = (before.next(), before.next().next());
    world.log.damage([first, second]);
    world.happens("a", "happened").await;
    world.happens("a", "happened").await;
    world.happens("a", "happened").await;
    for damaged in [first, second] {
        let failure = failure_at::<One>(&world, damaged).await;
        assert_eq!(
            (&*failure.event_type, &*failure.reason),
            ("unreadable", "it is torn")
        );
        skip::<One>(&world, damaged).await;
    }
    while one.position() <= second {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for events in 2..10 {
        world.settled(&one).await;
        assert_eq!(count(&one, "a").await, events);
        let stuck = failure_at::<Other>(&world, first).await;
        assert_eq!(stuck.reason, "it is torn");
        assert_eq!(world.builds::<Other>().await[0].checkpoint.position, before);
        assert_eq!(count(&other, "a").await, 1, "earlier events are folded");
        world.happens_loudly("a", "happened").await;
    }
    // A repaired event is not skipped by the other projection.
    world.log.damage([]);
    world
        .builds_when::<Other>(|builds| builds[0].failure.is_none())
        .await;
    world.settled(&other).await;
    world.settled(&one).await;
    assert_eq!((count(&one, "a").await, count(&other, "a").await), (10, 12));
}
