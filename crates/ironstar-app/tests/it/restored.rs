//! A backup that is restored over the log while the log is read.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use ironstar_adapters::memory::MemoryEventStore;
use ironstar_app::history::{Resolved, head, resolve};
use ironstar_app::{EventFeed, FeedError, FeedOptions};
use ironstar_ports::{
    Append, Build, BuildState, BuildUpdate, DocumentBatch, EventStore, ExpectedSequence, LogPlace,
    Mark, NewEvent, Position, ProjectionStore,
};
use tokio::time::timeout;
use uuid::Uuid;

use crate::feed::{DEADLINE, HINTS_ONLY, expect, hint};
use crate::support::{
    SOON, TallyProjection, TestStore, World, append, count, memory_bus, memory_store,
};

/// Two logs with the same events up to a position. Behind it, each has events of its own, up to
/// its own length.
async fn histories(
    common: usize,
    length: usize,
    other_length: usize,
) -> (Arc<MemoryEventStore>, Arc<MemoryEventStore>) {
    let (first, other) = (memory_store(), memory_store());
    append(&*first, common).await;
    copy(&first, &other).await;
    append(&*first, length - common).await;
    append(&*other, other_length - common).await;
    (first, other)
}

/// Appends the events of one log to another.
async fn copy(from: &MemoryEventStore, to: &MemoryEventStore) {
    for event in from
        .load_after(Position::START, 10_000)
        .await
        .expect("read")
    {
        let new = NewEvent {
            event_type: event.event_type,
            schema_version: event.schema_version,
            payload: event.payload,
            metadata: event.metadata,
        };
        let append = Append::to_stream(event.stream, ExpectedSequence::Any, vec![new]);
        to.append(append).await.expect("appended");
    }
}

#[tokio::test(start_paused = true)]
async fn feed_ends_when_it_notices_another_history() {
    // The other log is shorter, equally long with other events, longer, or empty.
    for (common, other_length) in [(5, 5), (5, 10), (5, 13), (0, 0), (0, 10)] {
        let (first, other) = histories(common, 10, other_length).await;
        let store = Arc::new(TestStore::counting(first.clone()));
        let options = FeedOptions {
            poll: Duration::from_secs(1),
            ..HINTS_ONLY
        };
        let feed = EventFeed::start(store.clone(), &*memory_bus(), options)
            .await
            .expect("started");
        let mut live = feed.subscribe(feed.place());
        let mut behind = feed.subscribe(Position::START);
        expect(&mut behind, 1..=2).await;
        assert!(feed.other_history().now_or_never().is_none());
        store.restore(other);
        let noticed = timeout(DEADLINE, feed.other_history()).await;
        noticed.expect("the feed notices");
        for events in [&mut live, &mut behind] {
            let told = timeout(DEADLINE, events.next()).await.expect("told");
            assert!(
                matches!(told, Some(Err(FeedError::OtherHistory))),
                "{common} {other_length}: {told:?}"
            );
            assert!(events.next().await.is_none(), "the stream has ended");
        }
        feed.stopped().await;
        let mut late = feed.subscribe(Position::START);
        let told = late.next().await;
        assert!(
            matches!(told, Some(Err(FeedError::OtherHistory))),
            "{told:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn feed_goes_on_while_the_log_only_grows() {
    let store = memory_store();
    let feed = EventFeed::start(store.clone(), &*memory_bus(), FeedOptions::default())
        .await
        .expect("started");
    let mut events = feed.subscribe(feed.place());
    for position in 1..=20 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        append(&*store, 1).await;
        expect(&mut events, [position]).await;
    }
    assert!(feed.other_history().now_or_never().is_none());
}

#[tokio::test]
async fn subscriber_behind_gets_no_event_of_another_history() {
    let (first, other) = histories(5, 100, 100).await;
    let store = Arc::new(TestStore::counting(first));
    let feed = EventFeed::start(store.clone(), &*memory_bus(), HINTS_ONLY)
        .await
        .expect("started");
    let mut events = feed.subscribe(Position::START);
    expect(&mut events, 1..=7).await;
    // The feed does not read the log, because there is no hint.
    store.restore(other);
    let mut heard = Vec::new();
    let error = loop {
        match events.next().await.expect("the stream continues") {
            Ok(event) => heard.push(event.place()),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, FeedError::OtherHistory), "{error:?}");
    for place in heard {
        let resolved = resolve(&*store, place).await.expect("read");
        assert_eq!(resolved, Resolved::Elsewhere, "{place} is of the first log");
    }
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn subscriber_with_a_place_of_another_history_gets_no_event() {
    let bus = memory_bus();
    let store = memory_store();
    let feed = EventFeed::start(store.clone(), &*bus, HINTS_ONLY)
        .await
        .expect("started");
    let appended = append(&*store, 6).await;
    hint(&*bus, appended).await;
    feed.reached(appended).await;
    let elsewhere = LogPlace::of(Position::new(3), Uuid::from_u128(1));
    // Events 1 to 6 are in memory; those of a longer log must be read from the store.
    for more in [0, 20] {
        let appended = append(&*store, more + 1).await;
        hint(&*bus, appended).await;
        feed.reached(appended).await;
        let told = feed.subscribe(elsewhere).next().await;
        assert!(
            matches!(told, Some(Err(FeedError::OtherHistory))),
            "{told:?}"
        );
    }
    assert!(
        feed.other_history().now_or_never().is_none(),
        "the log is the same"
    );
}

#[tokio::test]
async fn place_is_resolved_by_its_mark() {
    let bus = memory_bus();
    let store = memory_store();
    append(&*store, 3).await;
    let feed = EventFeed::start(store.clone(), &*bus, HINTS_ONLY)
        .await
        .expect("started");
    let appended = append(&*store, 3).await;
    hint(&*bus, appended).await;
    feed.reached(appended).await;
    let log = store.load_after(Position::START, 10).await.expect("read");
    assert_eq!(head(&*store).await.expect("read"), log[5].place());
    for event in &log {
        let place = event.place();
        let elsewhere = LogPlace {
            mark: Some(Mark::of(Uuid::from_u128(1))),
            ..place
        };
        for (asked, expected) in [
            (place, Resolved::Here(place)),
            (LogPlace::unmarked(place.position), Resolved::Here(place)),
            (elsewhere, Resolved::Elsewhere),
        ] {
            assert_eq!(feed.resolve(asked).await.expect("read"), expected);
            assert_eq!(resolve(&*store, asked).await.expect("read"), expected);
        }
    }
    let beyond = Position::new(7);
    for (asked, expected) in [
        (LogPlace::START, Resolved::Here(LogPlace::START)),
        (LogPlace::unmarked(beyond), Resolved::Beyond),
        (
            LogPlace::of(beyond, Uuid::from_u128(1)),
            Resolved::Elsewhere,
        ),
        (
            LogPlace::unmarked(Position::new(u64::MAX)),
            Resolved::Beyond,
        ),
    ] {
        assert_eq!(
            feed.resolve(asked).await.expect("read"),
            expected,
            "{asked}"
        );
    }
}

#[tokio::test]
async fn damaged_event_counts_as_the_event_that_it_was() {
    let inner = memory_store();
    append(&*inner, 3).await;
    let log = inner.load_after(Position::START, 10).await.expect("read");
    let store = TestStore::counting(inner);
    store.damage([Position::new(3)]);
    let resolved = resolve(&store, log[2].place()).await.expect("read");
    assert_eq!(resolved, Resolved::Here(Position::new(3).into()));
    let end = head(&store).await.expect("read");
    assert_eq!(end, LogPlace::unmarked(Position::new(3)));
}

type Tallies = TallyProjection<1>;

/// A world with a live read model of three events, and a stopped feed.
async fn world_with_a_read_model() -> World {
    let world = World::new().await;
    let model = world.projections.start::<Tallies>();
    for _ in 0..3 {
        world.happens("a", "happened").await;
    }
    world.settled(&model).await;
    let three =
        |builds: &[Build]| builds.len() == 1 && builds[0].checkpoint.position == Position::new(3);
    world.builds_when::<Tallies>(three).await;
    world.feed.stop();
    world.feed.stopped().await;
    world
}

#[tokio::test(start_paused = true)]
async fn read_model_of_another_history_is_discarded_and_rebuilt() {
    // The restored log is shorter, equally long, or longer than the log that the read model
    // saw.
    for length in [0, 1, 3, 5] {
        let before = world_with_a_read_model().await;
        let former = before.builds::<Tallies>().await.remove(0);
        let other = memory_store();
        append(&*other, length).await;
        let world = before.on_another_log(other).await;
        let model = world.projections.start::<Tallies>();
        // A query meanwhile must not return documents of the old history.
        if let Ok(found) = model.find(vec!["a".to_owned()], None).await {
            assert!(found.keyed.is_empty(), "{length}: {found:?}");
        }
        world.settled(&model).await;
        assert_eq!(count(&model, "1").await, length as u64);
        assert_eq!(count(&model, "a").await, 0);
        let live = world
            .builds_when::<Tallies>(|builds| builds.len() == 1)
            .await;
        assert_eq!(live[0].state, BuildState::Live);
        assert_ne!(live[0].id, former.id, "{length}");
    }
}

#[tokio::test(start_paused = true)]
async fn read_model_without_a_mark_is_trusted_once_and_gets_one() {
    let before = world_with_a_read_model().await;
    let build = before.builds::<Tallies>().await.remove(0);
    let unmarked = LogPlace::unmarked(build.checkpoint.position);
    let batch = DocumentBatch {
        build: build.id,
        from: build.checkpoint,
        to: unmarked,
        changes: Vec::new(),
    };
    before
        .store
        .commit(batch)
        .await
        .expect("the checkpoint has no mark, as in older versions");
    let world = before.again().await;
    let model = world.projections.start::<Tallies>();
    world.settled(&model).await;
    assert_eq!(count(&model, "a").await, 3);
    let builds = world.builds::<Tallies>().await;
    assert_eq!((builds.len(), builds[0].id), (1, build.id));
    assert_eq!(
        builds[0].checkpoint, build.checkpoint,
        "the checkpoint has its mark"
    );
}

#[tokio::test(start_paused = true)]
async fn build_of_another_history_is_not_continued() {
    let world = World::new().await;
    world.happens("a", "happened").await;
    let build = world.store.begin("tally", 1).await.expect("begun");
    let batch = DocumentBatch {
        build: build.id,
        from: LogPlace::START,
        to: LogPlace::of(Position::new(1), Uuid::from_u128(1)),
        changes: Vec::new(),
    };
    world.store.commit(batch).await.expect("committed");
    let model = world.projections.start::<Tallies>();
    timeout(SOON, world.settled(&model)).await.expect("built");
    assert_eq!(count(&model, "a").await, 1);
    let gone = world.store.update(build.id, BuildUpdate::Retry).await;
    gone.expect_err("the build has ended");
}
