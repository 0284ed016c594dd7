//! Read models that are built beside the live ones.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use ironstar_adapters::system::SystemClock;
use ironstar_app::projection::{BuildError, BuildJob, News, Progress, Registered};
use ironstar_ports::{
    Build, BuildState, BuildUpdate, DocumentBatch, EventStore, Position, ProjectionStore,
};
use tokio::time::Instant;

use crate::support::{TallyProjection, World, count, folds};

type First = TallyProjection<1>;

#[tokio::test(start_paused = true)]
async fn rebuild_loses_and_doubles_no_event_while_events_are_appended() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    world.settled(&model).await;
    let mut happened = 0;
    for round in 0..30_u64 {
        world.store.begin("tally", 1).await.expect("begun");
        for number in 0..20 {
            world.happens("a", "happened").await;
            happened += 1;
            // In some rounds, the follower is ahead of its checkpoint.
            world.happens("b", ["quiet", "happened"][number % 2]).await;
            tokio::time::sleep(Duration::from_millis(round * 7)).await;
        }
        world.settled(&model).await;
        assert_eq!(count(&model, "a").await, happened);
        assert_eq!(count(&model, "b").await, happened / 2);
    }
    let builds = world.builds_when::<First>(|builds| builds.len() == 1).await;
    assert!(builds[0].id.get() > 5, "{builds:#?}");
}

/// Otherwise a subscriber would see the old documents until the next event.
#[tokio::test(start_paused = true)]
async fn rebuild_is_announced_without_another_event() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    world.happens("a", "happened").await;
    world.settled(&model).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut news = model.news().expect("the projection runs");
    let rebuilt = world.store.begin("tally", 1).await.expect("begun");
    world
        .builds_when::<First>(|builds| builds[0].id == rebuilt.id)
        .await;
    let told = tokio::time::timeout(Duration::from_secs(1), news.recv()).await;
    let told = told.expect("in time").expect("told");
    assert!(
        matches!(told, News::Jumped(place) if place.position == Position::new(1)),
        "{told:?}"
    );
    assert!(news.recv().now_or_never().is_none(), "once");
}

/// Such a rebuild is started by an operator while no server runs it, or by another server.
#[tokio::test(start_paused = true)]
async fn rebuild_by_another_process_is_announced_without_another_event() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    world.happens("a", "happened").await;
    world.settled(&model).await;
    let mut news = model.news().expect("the projection runs");
    for round in 1..=20 {
        tokio::time::sleep(Duration::from_millis(5_000 + round * 37)).await;
        assert!(news.recv().now_or_never().is_none(), "nothing has happened");
        let build = world.store.begin("tally", 1).await.expect("begun");
        let (job, _) = job(&world, build, |_| {});
        Registered::of::<First>().build(job).await.expect("built");
        let told = tokio::time::timeout(Duration::from_secs(1), news.recv()).await;
        let told = told.expect("in time").expect("told");
        assert!(
            matches!(told, News::Jumped(place) if place.position == Position::new(round)),
            "{told:?}"
        );
        // The new build continues at once.
        world.happens_loudly("a", "happened").await;
        world.settled(&model).await;
        assert_eq!(count(&model, "a").await, round + 1);
        let told = news.recv().now_or_never().expect("told").expect("news");
        assert!(matches!(told, News::Changed(_)), "{told:?}");
    }
}

/// The event reveals the rebuild before the next look does.
#[tokio::test(start_paused = true)]
async fn rebuild_that_an_event_reveals_is_announced_once() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    world.happens("a", "happened").await;
    world.settled(&model).await;
    // The time between two looks.
    tokio::time::sleep(Duration::from_millis(5_200)).await;
    let mut news = model.news().expect("the projection runs");
    let build = world.store.begin("tally", 1).await.expect("begun");
    let (job, _) = job(&world, build, |_| {});
    Registered::of::<First>().build(job).await.expect("built");
    world.happens_loudly("a", "happened").await;
    world.settled(&model).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut jumps = 0;
    while let Some(told) = news.recv().now_or_never() {
        jumps += u32::from(matches!(told.expect("news"), News::Jumped(_)));
    }
    assert_eq!((jumps, count(&model, "a").await), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn first_read_model_is_live_as_soon_as_it_is_built() {
    let world = World::new().await;
    world.happens("a", "happened").await;
    let start = Instant::now();
    world.settled(&world.projections.start::<First>()).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn runner_looks_for_another_live_build_at_a_low_rate() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    world.settled(&model).await;
    let looks = world.store.looks.load(SeqCst);
    tokio::time::sleep(Duration::from_secs(100)).await;
    let looks = world.store.looks.load(SeqCst) - looks;
    assert!(looks <= 201, "{looks} in 100 s");
}

/// The reported progress of a build.
type Told = Arc<Mutex<Vec<Progress>>>;

/// A job that calls a function after each report, with all reports so far.
fn job(
    world: &World,
    build: Build,
    mut then: impl FnMut(&[Progress]) + Send + 'static,
) -> (BuildJob, Told) {
    let told = Told::default();
    let tell = {
        let told = Arc::clone(&told);
        move |progress| {
            let mut told = told.lock().expect("the lock is not poisoned");
            told.push(progress);
            then(&told);
        }
    };
    let job = BuildJob {
        build,
        events: world.events.clone(),
        store: world.store.clone(),
        clock: Arc::new(SystemClock),
        tell: Box::new(tell),
    };
    (job, told)
}

/// A world with more events than are read at a time.
async fn long_log() -> World {
    let world = World::new().await;
    for number in 0..10_000 {
        world.happens(&format!("{}", number % 10), "happened").await;
    }
    world
}

#[tokio::test(start_paused = true)]
async fn build_reports_its_progress() {
    let world = long_log().await;
    let build = world.store.begin("tally", 1).await.expect("begun");
    let (job, told) = job(&world, build, |_| {});
    Registered::of::<First>().build(job).await.expect("built");
    let told = told.lock().expect("the lock is not poisoned").clone();
    let positions: Vec<u64> = told
        .iter()
        .map(|progress| progress.position.get())
        .collect();
    assert_eq!(positions, [0, 4_096, 8_192]);
    let head = Position::new(10_000);
    assert!(
        told.iter().all(|progress| progress.head == head),
        "{told:?}"
    );
    assert_eq!(told[0].left, None);
    assert!(told[1].left.is_some());
    let builds = world.builds::<First>().await;
    assert_eq!(
        (builds[0].state, builds[0].checkpoint.position),
        (BuildState::Live, head)
    );
}

#[tokio::test(start_paused = true)]
async fn cancelled_build_continues_at_its_checkpoint() {
    let world = long_log().await;
    let build = world.store.begin("tally", 1).await.expect("begun");
    let (id, store) = (build.id, world.store.clone());
    let (cancelled, _) = job(&world, build, move |told| {
        if told.len() == 2 {
            let cancelled = store.update(id, BuildUpdate::Cancel).now_or_never();
            cancelled
                .expect("at once")
                .expect("the build was in progress");
        }
    });
    let registered = Registered::of::<First>();
    let error = registered.build(cancelled).await.expect_err("cancelled");
    assert!(matches!(error, BuildError::Ended), "{error}");
    let stopped = world.builds::<First>().await.remove(0);
    assert_eq!(
        (stopped.state, stopped.checkpoint.position),
        (BuildState::Cancelled, Position::new(4_096))
    );
    let before = folds();
    let build = world.store.begin("tally", 1).await.expect("goes on");
    assert_eq!(
        (build.id, build.checkpoint.position),
        (id, Position::new(4_096))
    );
    let (goes_on, told) = job(&world, build, |_| {});
    registered.build(goes_on).await.expect("built");
    assert_eq!(
        folds() - before,
        10_000 - 4_096,
        "the build continued at its checkpoint"
    );
    let told = told.lock().expect("the lock is not poisoned").clone();
    assert_eq!(told[0].position, Position::new(4_096));
    let model = world.projections.start::<First>();
    world.settled(&model).await;
    assert_eq!(count(&model, "3").await, 1_000);
}

#[tokio::test(start_paused = true)]
async fn build_has_reached_the_live_one_when_it_replaces_it() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    world.happens("a", "happened").await;
    world.settled(&model).await;
    let build = world.store.begin("tally", 1).await.expect("begun");
    let id = build.id;
    let events = world.events.clone();
    let (job, _) = job(&world, build, |_| {});
    let building = Registered::of::<First>();
    let (built, ()) = tokio::join!(building.build(job), async {
        for _ in 0..50 {
            world.happens("a", "happened").await;
            world.settled(&model).await;
        }
    });
    // The runner may have built the read model first.
    assert!(
        matches!(built, Ok(()) | Err(BuildError::Ended | BuildError::Moved)),
        "{built:?}"
    );
    world
        .builds_when::<First>(|builds| builds.len() == 1 && builds[0].id == id)
        .await;
    world.settled(&model).await;
    assert_eq!(events.head().await.expect("read"), Position::new(51));
    assert_eq!(count(&model, "a").await, 51);
}

#[tokio::test(start_paused = true)]
async fn build_continues_until_it_has_reached_the_live_one() {
    let world = World::new().await;
    world.happens("a", "happened").await;
    let live = world.store.begin("tally", 1).await.expect("begun");
    let first = job(&world, live.clone(), |_| {}).0;
    let registered = Registered::of::<First>();
    registered.build(first).await.expect("built");
    let build = world.store.begin("tally", 1).await.expect("begun");
    let id = build.id;
    // The live build sees one more event before this build does.
    let further = DocumentBatch {
        build: live.id,
        from: world.builds::<First>().await[0].checkpoint,
        to: Position::new(2).into(),
        changes: Vec::new(),
    };
    world.store.commit(further).await.expect("stored");
    let (second, told) = job(&world, build, |_| {});
    let happens = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        world.happens("a", "happened").await;
    };
    let (built, ()) = tokio::join!(registered.build(second), happens);
    built.expect("built");
    let builds = world.builds::<First>().await;
    assert_eq!((builds.len(), builds[0].id), (1, id));
    assert_eq!(builds[0].checkpoint.position, Position::new(2));
    let told = told.lock().expect("the lock is not poisoned").clone();
    assert!(told.is_sorted_by_key(|progress| progress.position));
    assert_eq!(told[1].head, Position::new(2));
}

#[tokio::test(start_paused = true)]
async fn stuck_build_stores_its_failure_and_does_not_become_live() {
    let world = World::new().await;
    world.happens("a", "happened").await;
    let poison = world.happens("a", "poison").await;
    let build = world.store.begin("tally", 1).await.expect("begun");
    let (job, _) = job(&world, build, |_| {});
    let error = Registered::of::<First>()
        .build(job)
        .await
        .expect_err("stuck");
    assert!(
        matches!(&error, BuildError::Stuck { position, event_type, .. }
            if *position == poison && event_type == "poison"),
        "{error}"
    );
    let build = world.builds::<First>().await.remove(0);
    let failure = build.failure.expect("the failure is stored");
    assert_eq!((failure.position, failure.attempts), (poison, 1));
    assert_eq!(
        (build.state, build.checkpoint.position),
        (BuildState::Building, Position::new(1))
    );
}
