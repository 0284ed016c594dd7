//! The news of a projection: each change, once and in order.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use ironstar_app::projection::News;
use ironstar_ports::Position;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::Instant;

use super::First;
use crate::support::{SOON, Tally, World};

/// A change of one document: its key, and its count before and after.
pub(super) type Change = (String, u64, u64);

/// The waiting news, in order. Each must continue where the one before it ended.
pub(super) fn changes(news: &mut Receiver<News<Tally>>) -> Vec<Change> {
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

pub(super) fn change(key: &str, before: u64, after: u64) -> Change {
    (key.to_owned(), before, after)
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
