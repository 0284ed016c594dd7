//! A running projection: its start, its progress, and its news.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures::FutureExt;
use ironstar_app::projection::{Behind, News};
use ironstar_ports::{EventStore, LogPlace, Position};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::Instant;

use crate::support::{SOON, Tally, TallyProjection, World, count, folds, tally};

type First = TallyProjection<1>;

/// A change of one document: its key, and its count before and after.
type Change = (String, u64, u64);

/// The waiting news, in order. Each must continue where the one before it ended.
fn changes(news: &mut Receiver<News<Tally>>) -> Vec<Change> {
    let mut told = Vec::new();
    let mut last: Option<Position> = None;
    loop {
        match news.try_recv() {
            Ok(News::Jumped(place)) => {
                let position = place.position;
                assert!(last <= Some(position), "from {last:?} back to {position}");
                last = Some(position);
            }
            Ok(News::Changed(changes)) => {
                let to = changes.to.position;
                assert!(last.is_none_or(|last| last <= to), "{changes:?}");
                last = Some(to);
                let mut keys: Vec<&String> = changes.documents.keys().collect();
                keys.sort();
                for key in keys {
                    let changed = &changes.documents[key];
                    let count = |tally: &Option<std::sync::Arc<Tally>>| {
                        tally.as_ref().map_or(0, |tally| tally.count)
                    };
                    told.push((key.clone(), count(&changed.before), count(&changed.after)));
                }
            }
            Err(TryRecvError::Empty | TryRecvError::Closed) => return told,
            Err(TryRecvError::Lagged(_)) => panic!("some news are lost"),
        }
    }
}

fn change(key: &str, before: u64, after: u64) -> Change {
    (key.to_owned(), before, after)
}

#[tokio::test(start_paused = true)]
async fn empty_log_has_an_empty_read_model() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    model
        .reach(Position::START, SOON)
        .await
        .expect("the read model exists");
    let found = model.find(vec!["a".to_owned()], None).await.expect("read");
    assert_eq!((found.place, found.keyed), (LogPlace::START, vec![]));
    world.happens("a", "happened").await;
    world.settled(&model).await;
    assert_eq!(count(&model, "a").await, 1);
}

#[tokio::test(start_paused = true)]
async fn old_events_are_folded_once() {
    let world = World::new().await;
    for _ in 0..5_000 {
        world.happens("a", "happened").await;
    }
    let model = world.projections.start::<First>();
    world.settled(&model).await;
    assert_eq!((count(&model, "a").await, folds()), (5_000, 5_000));
}

#[tokio::test(start_paused = true)]
async fn projection_continues_at_its_checkpoint_after_a_restart() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    for id in ["a", "b", "a"] {
        world.happens(id, "happened").await;
    }
    world.settled(&model).await;
    world.feed.stop();
    world.happens("a", "happened").await;

    let later = world.again().await;
    let model = later.projections.start::<First>();
    later.settled(&model).await;
    assert_eq!((count(&model, "a").await, folds()), (3, 4));
    assert_eq!(later.builds::<First>().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn event_without_a_change_is_not_folded_again_and_again() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    world.settled(&model).await;
    let last = world.happens("a", "quiet").await;
    model
        .reach(last, SOON)
        .await
        .expect("the model reaches the position");
    let found = model.find(Vec::new(), None).await.expect("read");
    assert_eq!(
        found.place.position, last,
        "the answer is as of this position"
    );
    let stored = |position| {
        world.builds_when::<First>(move |builds| builds[0].checkpoint.position == position)
    };
    stored(last).await;
}

/// The checkpoint shows the progress to an operator while no server runs.
#[tokio::test(start_paused = true)]
async fn projection_stores_its_checkpoint_when_the_feed_stops() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    world.settled(&model).await;
    let last = world.happens("a", "quiet").await;
    model
        .reach(last, SOON)
        .await
        .expect("the model reaches the position");
    let stored = async || world.builds::<First>().await[0].checkpoint.position;
    assert!(stored().await < last);
    world.feed.stop();
    world.projections.stopped().await;
    assert_eq!(stored().await, last);
}

#[tokio::test(start_paused = true)]
async fn reach_returns_when_the_position_is_reached() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    world.settled(&model).await;
    let wanted = Position::new(2);
    let waiting = tokio::spawn({
        let model = model.clone();
        async move { model.reach(wanted, SOON).await }
    });
    world.happens("a", "happened").await;
    world.settled(&model).await;
    assert!(!waiting.is_finished(), "one event is missing");
    world.happens("a", "happened").await;
    waiting
        .await
        .expect("no panic")
        .expect("the model has reached the position");
    assert_eq!(count(&model, "a").await, 2, "both events can be read");
}

#[tokio::test(start_paused = true)]
async fn reach_fails_with_the_position_that_was_reached() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    let actual = world.happens("a", "happened").await;
    world.settled(&model).await;
    let (wanted, started) = (Position::new(9), Instant::now());
    let within = Duration::from_millis(300);
    let behind = model
        .reach(wanted, within)
        .await
        .expect_err("the position does not exist");
    assert_eq!(behind, Behind { wanted, actual });
    assert!(started.elapsed() >= within, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn news_contain_each_change_once_and_in_order() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    world.settled(&model).await;
    let mut news = model.news().expect("the projection runs");
    world.happens("a", "happened").await;
    world.settled(&model).await;
    assert_eq!(changes(&mut news), [change("a", 0, 1)]);
    world.happens("a", "happened").await;
    world.happens("b", "happened").await;
    world.happens("b", "quiet").await;
    world.happens("a", "happened").await;
    world.settled(&model).await;
    assert_eq!(changes(&mut news), [change("a", 1, 3), change("b", 0, 1)]);
    world.happens("a", "quiet").await;
    world.happens("a", "same").await;
    world.settled(&model).await;
    assert_eq!(changes(&mut news), [], "nothing has changed");
}

#[tokio::test(start_paused = true)]
async fn projection_loses_no_change_when_its_store_fails() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    world.settled(&model).await;
    let mut news = model.news().expect("the projection runs");
    let mut told = Vec::new();
    for round in 1..=8 {
        world.store.failing_commits.store(round % 3, SeqCst);
        world.store.failing_finds.store(round % 2, SeqCst);
        world.store.failing_looks.store(round % 4, SeqCst);
        world.store.conflicts.store(round % 5, SeqCst);
        world.happens("a", "happened").await;
        world.happens(&format!("only {round}"), "happened").await;
        world.settled(&model).await;
        told.extend(changes(&mut news));
        world.store.failing_finds.store(0, SeqCst);
        assert_eq!(count(&model, "a").await, round);
    }
    let of_a = told.iter().filter(|(key, ..)| key == "a");
    let expected: Vec<Change> = (1..=8).map(|n| change("a", n - 1, n)).collect();
    assert!(of_a.eq(&expected), "{told:#?}");
    assert_eq!(told.len(), 16);
}

#[tokio::test(start_paused = true)]
async fn lost_answer_of_a_commit_is_a_jump_and_no_event_is_folded_twice() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    world.settled(&model).await;
    let mut news = model.news().expect("the projection runs");
    world.store.unanswered_commits.store(1, SeqCst);
    let last = world.happens("a", "happened").await;
    world.settled(&model).await;
    assert_eq!(count(&model, "a").await, 1);
    let jumped = news.try_recv().expect("told");
    assert!(
        matches!(jumped, News::Jumped(place) if place.position == last),
        "{jumped:?}"
    );
    world.happens("a", "happened").await;
    world.settled(&model).await;
    assert_eq!(changes(&mut news), [change("a", 1, 2)]);
}

/// A position without a change is announced before it is stored. After that, the read model
/// must not appear to fall behind it.
#[tokio::test(start_paused = true)]
async fn positions_never_go_backwards() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    world.settled(&model).await;
    // More events than are folded at a time, and fewer than are stored without a reason.
    for _ in 0..700 {
        world.happens("a", "quiet").await;
    }
    let reached = world.events.head().await.expect("read");
    world.settled(&model).await;
    assert_eq!(world.builds::<First>().await[0].checkpoint, LogPlace::START);
    let mut news = model.news().expect("the projection runs");
    let mut jumps = model.news().expect("the projection runs");
    world.store.failing_commits.store(3, SeqCst);
    world.happens("a", "happened").await;
    let deadline = Instant::now() + SOON;
    while count(&model, "a").await == 0 {
        assert!(Instant::now() < deadline, "the model never reaches the end");
        assert!(model.position() >= reached, "{}", model.position());
        let found = model.find(Vec::new(), None).await.expect("read");
        assert!(found.place.position >= reached, "{}", found.place);
        for _ in 0..100 {
            assert!(model.position() >= reached, "{}", model.position());
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.settled(&model).await;
    assert_eq!(changes(&mut news), [change("a", 0, 1)]);
    while let Ok(News::Jumped(place)) = jumps.try_recv() {
        assert!(place.position >= reached, "{place}");
    }
}

#[tokio::test(start_paused = true)]
async fn projection_recovers_from_a_failing_store() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    world.settled(&model).await;
    world.store.failing_commits.store(1, SeqCst);
    world.happens("a", "happened").await;
    while world.store.failing_commits.load(SeqCst) > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The commit has failed, and the projection waits before the next attempt.
    world.settled(&model).await;
}

#[tokio::test(start_paused = true)]
async fn two_processes_keep_one_read_model() {
    let one = World::new().await;
    let other = one.again().await;
    let models = [
        one.projections.start::<First>(),
        other.projections.start::<First>(),
    ];
    for round in 1..=50 {
        one.happens("a", "happened").await;
        one.happens("b", ["happened", "quiet"][round % 2]).await;
        if round % 10 == 0 {
            one.settled(&models[0]).await;
            one.settled(&models[1]).await;
            for model in &models {
                let of_a = tally(model, "a").await.expect("the document exists");
                assert_eq!(of_a.count, round as u64);
                assert_eq!(count(model, "b").await, round as u64 / 2);
            }
        }
    }
    assert_eq!(one.builds::<First>().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn all_callers_share_one_read_model() {
    let world = World::new().await;
    let models = [
        world.projections.model::<First>(),
        world.projections.clone().model::<First>(),
    ];
    world.happens("a", "happened").await;
    for model in &models {
        world.settled(model).await;
    }
    assert_eq!(folds(), 1);
}

/// Expects that the tasks end: the last sender of news is dropped, and the store is not read
/// any more.
async fn expect_end(world: &World, model: &ironstar_app::ReadModel<First>) {
    world.feed.stop();
    let ended = async {
        while model.news().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, ended)
        .await
        .expect("the projection ends");
    tokio::time::sleep(Duration::from_millis(10)).await;
    let looks = world.store.looks.load(SeqCst);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(
        world.store.looks.load(SeqCst),
        looks,
        "a task still reads the store"
    );
    let waiting = model.reach(Position::new(99), SOON).now_or_never();
    waiting
        .expect("reach returns at once")
        .expect_err("the position is not reached");
}

#[tokio::test(start_paused = true)]
async fn projection_ends_with_the_feed() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    world.settled(&model).await;
    expect_end(&world, &model).await;
}

#[tokio::test(start_paused = true)]
async fn projection_ends_with_the_feed_while_there_is_an_event_to_fold() {
    let world = World::new().await;
    for _ in 0..3 {
        world.happens("a", "happened").await;
    }
    let model = world.projections.start::<First>();
    model.reach(Position::new(3), SOON).await.expect("built");
    world.happens("a", "happened").await;
    // The feed has seen the event when it stops, but the projection has not.
    while world.feed.head() < Position::new(4) {
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    expect_end(&world, &model).await;
}

#[tokio::test(start_paused = true)]
async fn projection_ends_with_the_feed_when_there_is_no_read_model() {
    let world = World::new().await;
    world.happens("a", "poison").await;
    let model = world.projections.start::<First>();
    world
        .builds_when::<First>(|builds| builds.iter().any(|build| build.failure.is_some()))
        .await;
    expect_end(&world, &model).await;
}

#[tokio::test(start_paused = true)]
async fn projection_ends_with_the_feed_when_it_is_stuck() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    world.settled(&model).await;
    world.happens("a", "poison").await;
    world
        .builds_when::<First>(|builds| builds[0].failure.is_some())
        .await;
    expect_end(&world, &model).await;
}

/// A single change is shown at once; many changes are stored together.
#[tokio::test(start_paused = true)]
async fn first_change_of_a_burst_is_stored_at_once_and_the_others_together() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    world.settled(&model).await;
    world.store.commit_ms.store(2, SeqCst);
    let mut news = model.news().expect("the projection runs");
    let start = Instant::now();
    let first = world.happens_loudly("a", "counted").await;
    model.reach(first, SOON).await.expect("reached");
    assert!(
        start.elapsed() <= Duration::from_millis(2),
        "{:?}",
        start.elapsed()
    );
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        world.happens_loudly("a", "counted").await;
    }
    world.settled(&model).await;
    let told = changes(&mut news);
    assert_eq!(told.first(), Some(&change("a", 0, 1)));
    assert!((3..=6).contains(&told.len()), "{told:?}");
    assert_eq!(told.last().map(|(_, _, after)| *after), Some(31));
}

/// This holds even if the changes are stored together with events without a change. A
/// subscriber at the position of those events has not seen half of a change.
#[tokio::test(start_paused = true)]
async fn changes_begin_after_the_events_that_change_nothing() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    world.settled(&model).await;
    let mut news = model.news().expect("the projection runs");
    let events = ["quiet", "quiet", "happened", "quiet", "happened"];
    for (event, from) in events.into_iter().zip([None, None, Some(2), None, Some(4)]) {
        world.happens("a", event).await;
        let Some(from) = from else {
            continue;
        };
        world.settled(&model).await;
        match news.try_recv().expect("something has changed") {
            News::Changed(changes) => {
                let span = (changes.from.get(), changes.to.position.get());
                assert_eq!(span, (from, from + 1));
            }
            News::Jumped(position) => panic!("jumped to {position}"),
        }
    }
}

/// A subscriber that has seen the changes in between, from another server, must learn that they
/// are gone.
#[tokio::test(start_paused = true)]
async fn changes_that_cancel_out_are_announced_without_documents() {
    let world = World::new().await;
    let model = world.projections.start::<First>();
    world.happens("a", "happened").await;
    world.settled(&model).await;
    let mut news = model.news().expect("the projection runs");
    world.happens("a", "same").await;
    world.settled(&model).await;
    match news.try_recv().expect("something has happened") {
        News::Changed(changes) => assert!(changes.documents.is_empty(), "{changes:?}"),
        News::Jumped(position) => panic!("jumped to {position}"),
    }
}
