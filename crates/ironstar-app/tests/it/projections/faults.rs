//! A projection on a store that fails.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use ironstar_app::projection::News;
use ironstar_ports::{EventStore, LogPlace};
use tokio::time::Instant;

use super::First;
use super::news::{Change, change, changes};
use crate::support::{SOON, World, count};

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
