//! Events that a projection cannot fold.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use ironstar_app::CommandContext;
use ironstar_app::CommandError;
use ironstar_app::projection::{Behind, ReadError};
use ironstar_domain::Aggregate;
use ironstar_fixtures::note::{NoteCommand, NoteState};
use ironstar_fixtures::notes::NoteProjection;
use ironstar_ports::{
    Append, BuildState, BuildUpdate, EventStore, ExpectedSequence, Failure, Metadata, NewEvent,
    Payload, Position, ProjectionStore, StreamId,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::support::{SOON, TallyProjection, World, count, cure, handler};

type Fragile = TallyProjection<1>;
type Robust = TallyProjection<1, true>;

/// The failure of the live build, after this many attempts.
async fn failure(world: &World, attempts: u32) -> Failure {
    let has_failed = |failure: &Failure| failure.attempts >= attempts;
    let builds = world
        .builds_when::<Fragile>(|builds| builds[0].failure.as_ref().is_some_and(has_failed))
        .await;
    builds[0].failure.clone().expect("the build has failed")
}

#[tokio::test(start_paused = true)]
async fn projection_stops_and_names_the_event_while_others_continue() {
    let world = World::new().await;
    let fragile = world.projections.start::<Fragile>();
    let robust = world.projections.start::<Robust>();
    world.settled(&fragile).await;
    world.happens("a", "happened").await;
    // The checkpoint moves past an event without a change, too, before the projection stops.
    let before = world.happens("b", "quiet").await;
    let poison = world.happens("a", "poison").await;
    world.happens("a", "happened").await;
    let failure = failure(&world, 1).await;
    assert_eq!(
        (failure.position, &*failure.event_type, &*failure.reason),
        (poison, "poison", "it is poison")
    );
    assert_eq!(count(&fragile, "a").await, 1, "earlier events are folded");
    let build = &world.builds::<Fragile>().await[0];
    assert_eq!(
        (build.state, build.checkpoint.position),
        (BuildState::Live, before)
    );
    world.settled(&robust).await;
    assert_eq!(count(&robust, "a").await, 3);
    assert_eq!(world.builds::<Robust>().await[0].failure, None);
}

#[tokio::test(start_paused = true)]
async fn reach_fails_at_once_while_a_projection_is_stuck() {
    let world = World::new().await;
    let model = world.projections.start::<Fragile>();
    world.settled(&model).await;
    let poison = world.happens("a", "poison").await;
    let waiting = Instant::now();
    let behind = model.reach(poison, 30 * SOON).await.expect_err("stuck");
    let actual = Position::START;
    assert_eq!(
        behind,
        Behind {
            wanted: poison,
            actual
        }
    );
    assert!(waiting.elapsed() < SOON, "{:?}", waiting.elapsed());
    // While the projection is tried again and again, the answer comes at once.
    for _ in 0..400 {
        let asked = Instant::now();
        model.reach(poison, SOON).await.expect_err("stuck");
        assert_eq!(asked.elapsed(), Duration::ZERO);
        tokio::time::sleep(Duration::from_millis(499)).await;
    }
    model
        .reach(actual, SOON)
        .await
        .expect("the model has reached the position");
}

#[tokio::test(start_paused = true)]
async fn projection_is_tried_again_after_longer_and_longer_pauses() {
    let world = World::new().await;
    let model = world.projections.start::<Fragile>();
    world.settled(&model).await;
    world.happens("a", "poison").await;
    failure(&world, 1).await;
    let mut last = Instant::now();
    let mut pauses = Vec::new();
    for attempts in 2..=9 {
        failure(&world, attempts).await;
        pauses.push(last.elapsed().as_secs_f64().round() as u64);
        last = Instant::now();
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    cure();
    world
        .builds_when::<Fragile>(|builds| builds[0].failure.is_none())
        .await;
    world.settled(&model).await;
    assert_eq!(count(&model, "a").await, 1);
    assert_eq!(world.builds::<Fragile>().await[0].failure, None);
}

#[tokio::test(start_paused = true)]
async fn projection_is_tried_at_once_after_a_decision() {
    let world = World::new().await;
    let model = world.projections.start::<Fragile>();
    world.settled(&model).await;
    world.happens("a", "happened").await;
    let poison = world.happens("a", "poison").await;
    world.happens("a", "happened").await;
    failure(&world, 8).await;
    let build = world.builds::<Fragile>().await[0].id;
    let decided = Instant::now();
    world
        .store
        .update(build, BuildUpdate::Retry)
        .await
        .expect("retried");
    let again = failure(&world, 1).await;
    assert_eq!((again.position, again.attempts), (poison, 1));
    world
        .store
        .update(build, BuildUpdate::Skip(poison))
        .await
        .expect("skipped");
    while model.position() < poison {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.settled(&model).await;
    assert!(
        decided.elapsed() < Duration::from_secs(2),
        "{:?}",
        decided.elapsed()
    );
    assert_eq!(
        count(&model, "a").await,
        2,
        "all events but the skipped one"
    );
    let build = &world.builds::<Fragile>().await[0];
    assert_eq!((&build.failure, build.skipped.len()), (&None, 1));
}

/// Otherwise the projection would be stuck, and wait, at an event that was skipped.
#[tokio::test(start_paused = true)]
async fn late_failure_does_not_override_a_decision() {
    let world = World::new().await;
    let model = world.projections.start::<Fragile>();
    world.settled(&model).await;
    let poison = world.happens("a", "poison").await;
    failure(&world, 8).await;
    world.store.late_failures.store(1, SeqCst);
    while world.store.late_failures.load(SeqCst) > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let decided = Instant::now();
    world
        .builds_when::<Fragile>(|builds| builds[0].checkpoint.position == poison)
        .await;
    let build = &world.builds::<Fragile>().await[0];
    assert_eq!((&build.failure, build.skipped.len()), (&None, 1));
    let within = Duration::from_secs(2);
    assert!(decided.elapsed() < within, "{:?}", decided.elapsed());
}

#[tokio::test(start_paused = true)]
async fn skipped_event_stays_skipped_after_a_restart() {
    let world = World::new().await;
    let model = world.projections.start::<Fragile>();
    world.settled(&model).await;
    let poison = world.happens("a", "poison").await;
    failure(&world, 1).await;
    world.feed.stop();
    let build = world.builds::<Fragile>().await[0].id;
    world
        .store
        .update(build, BuildUpdate::Skip(poison))
        .await
        .expect("skipped");
    world.happens("a", "happened").await;
    let later = world.again().await;
    let model = later.projections.start::<Fragile>();
    later.settled(&model).await;
    assert_eq!(count(&model, "a").await, 1);
}

#[tokio::test(start_paused = true)]
async fn first_build_can_be_stuck_too() {
    let world = World::new().await;
    world.happens("a", "happened").await;
    let poison = world.happens("a", "poison").await;
    let model = world.projections.start::<Fragile>();
    let build = world
        .builds_when::<Fragile>(|builds| builds.iter().any(|build| build.failure.is_some()))
        .await
        .remove(0);
    assert_eq!(
        (build.state, build.checkpoint.position),
        (BuildState::Building, Position::new(1))
    );
    let unbuilt = model.find(Vec::new(), None).await.expect_err("not yet");
    assert!(
        matches!(unbuilt, ReadError::NotBuilt { name: "tally" }),
        "{unbuilt}"
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    let asked = Instant::now();
    model.reach(poison, 30 * SOON).await.expect_err("stuck");
    assert_eq!(asked.elapsed(), Duration::ZERO);
    failure(&world, 3).await;
    world
        .store
        .update(build.id, BuildUpdate::Skip(poison))
        .await
        .expect("skipped");
    world
        .builds_when::<Fragile>(|builds| builds[0].state == BuildState::Live)
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.settled(&model).await;
    assert_eq!(count(&model, "a").await, 1);
}

#[tokio::test(start_paused = true)]
async fn damaged_event_stops_a_projection_until_it_is_skipped() {
    let world = World::new().await;
    let model = world.projections.start::<Fragile>();
    world.happens("a", "happened").await;
    world.settled(&model).await;
    world.feed.stop();
    world.happens("a", "quiet").await;
    let damaged = world.happens("a", "happened").await;
    world.happens("a", "happened").await;
    let later = world.damaged(damaged).await;
    let model = later.projections.start::<Fragile>();
    let failure = failure(&later, 2).await;
    assert_eq!(
        (failure.position, &*failure.event_type, &*failure.reason),
        (damaged, "unreadable", "it is torn")
    );
    let build = later.builds::<Fragile>().await.remove(0);
    let skip = BuildUpdate::Skip(damaged);
    later.store.update(build.id, skip).await.expect("skipped");
    later
        .builds_when::<Fragile>(|builds| builds[0].checkpoint.position > damaged)
        .await;
    later.settled(&model).await;
    assert_eq!(count(&model, "a").await, 2);
    // A rebuild stops at the event again, and does not become live before an operator has
    // decided again.
    let rebuilt = later.store.begin("tally", 1).await.expect("begun");
    let builds = later
        .builds_when::<Fragile>(|builds| builds.iter().any(|build| build.failure.is_some()))
        .await;
    assert_eq!(builds[0].id, build.id);
    let skip = BuildUpdate::Skip(damaged);
    later.store.update(rebuilt.id, skip).await.expect("skipped");
    later
        .builds_when::<Fragile>(|builds| builds[0].id == rebuilt.id)
        .await;
    later.settled(&model).await;
    assert_eq!(count(&model, "a").await, 2);
}

/// Appends an unreadable event of a note.
async fn paint(world: &World, note: Uuid) {
    let event = NewEvent {
        event_type: "painted".to_owned(),
        schema_version: 1,
        payload: Payload::from_text(r#"{"type":"painted"}"#.to_owned()).expect("JSON"),
        metadata: Metadata::new(Uuid::nil()),
    };
    let stream = StreamId::new(NoteState::TYPE, note.to_string());
    let append = Append::to_stream(stream, ExpectedSequence::Any, vec![event]);
    world.events.append(append).await.expect("appended");
}

#[tokio::test(start_paused = true)]
async fn only_commands_on_a_damaged_stream_are_refused() {
    let world = World::new().await;
    let notes = world.projections.model::<NoteProjection>();
    let others = world.projections.model::<Robust>();
    world.settled(&notes).await;
    let [damaged, other] = [7, 8].map(Uuid::from_u128);
    paint(&world, damaged).await;
    let commands = handler(world.events.clone());
    let context = CommandContext::default();
    let create = NoteCommand::Create {
        text: "Buy milk".to_owned(),
        owner: None,
    };
    let refused = commands
        .execute::<NoteState>(&damaged, &create, &context)
        .await;
    let refused = refused.expect_err("the note's history cannot be read");
    assert!(matches!(refused, CommandError::Unreadable(_)), "{refused}");
    commands
        .execute::<NoteState>(&other, &create, &context)
        .await
        .expect("created");
    world.settled(&others).await;
    let head = world.events.head().await.expect("read");
    notes.reach(head, SOON).await.expect_err("stuck");
    let builds = world.builds::<NoteProjection>().await;
    let failure = builds[0].failure.as_ref().expect("the build has failed");
    assert_eq!(&*failure.event_type, "painted");
    assert!(
        failure.reason.contains("no event of this type"),
        "{}",
        failure.reason
    );
}

#[tokio::test(start_paused = true)]
async fn projection_that_panics_is_stuck() {
    let world = World::new().await;
    let model = world.projections.start::<Fragile>();
    world.settled(&model).await;
    let poison = world.happens("fragile", "poison").await;
    model.reach(poison, 30 * SOON).await.expect_err("stuck");
    let failure = failure(&world, 1).await;
    assert_eq!(failure.position, poison);
    assert_eq!(failure.reason, "the projection panicked: it fell apart");
}

#[tokio::test(start_paused = true)]
async fn first_build_does_not_become_live_before_a_damaged_event() {
    let world = World::new().await;
    world.happens("a", "happened").await;
    let damaged = world.happens("a", "happened").await;
    let last = world.happens("a", "happened").await;
    let world = world.damaged(damaged).await;
    let model = world.projections.start::<Fragile>();
    model.reach(last, 30 * SOON).await.expect_err("stuck");
    let failure = failure(&world, 1).await;
    assert_eq!(failure.position, damaged);
    let builds = world.builds::<Fragile>().await;
    assert_eq!(builds[0].state, BuildState::Building);
}
