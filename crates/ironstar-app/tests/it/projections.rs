//! A running projection: its start, its progress, and its end.

mod end;
mod faults;
mod news;

use std::time::Duration;

use ironstar_app::projection::Behind;
use ironstar_ports::{LogPlace, Position};
use tokio::time::Instant;

use crate::support::{SOON, TallyProjection, World, count, folds, tally};

type First = TallyProjection<1>;

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
