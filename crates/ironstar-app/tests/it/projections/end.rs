//! A projection ends with the feed, whatever it is doing.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures::FutureExt;
use ironstar_ports::Position;

use super::First;
use crate::support::{SOON, World};

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
