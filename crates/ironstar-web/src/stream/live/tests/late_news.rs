//! Views whose read model is rebuilt, or whose news come late or not at all.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use ironstar_app::projection::{Changed, Changes, News};
use ironstar_ports::{BuildState, BuildUpdate, LogPlace, Position, ProjectionStore};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::{Fixture, change, next, patch};
use crate::stream::live::follower::follow;
use crate::stream::live::live_view::LiveView;
use crate::stream::live::log::Bounds;

#[tokio::test]
async fn rebuilt_read_model_is_drawn_whole() {
    let fixture = Fixture::start(&["a"]).await;
    let mut frames = fixture.watch(None);
    assert_eq!(next(&mut frames).await, patch("<main>[1]</main>", 1));
    // An operator requests a rebuild.
    fixture.documents.begin("numbers", 1).await.expect("begun");
    loop {
        let builds = fixture.documents.builds().await.expect("builds");
        if let [only] = &builds[..]
            && only.id.get() == 2
            && only.state == BuildState::Live
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fixture.append(&["a"]).await;
    let mut seen = next(&mut frames).await;
    while !seen.contains("2") {
        seen = next(&mut frames).await;
    }
    assert!(
        seen.contains("<main>[1, 2]</main>") || seen.contains("<b>2</b>"),
        "{seen}"
    );
    let discarded = fixture
        .documents
        .update(ironstar_ports::BuildId::new(1), BuildUpdate::Retry);
    discarded.await.expect_err("the old build has ended");
}

/// News of a number.
fn news(number: u64) -> News<u64> {
    let changed = Changed {
        before: None,
        after: Some(Arc::new(number)),
    };
    News::Changed(Arc::new(Changes {
        from: Position::new(number - 1),
        to: LogPlace::of(Position::new(number), Uuid::nil()),
        documents: HashMap::from([(number.to_string(), changed)]),
    }))
}

#[tokio::test]
async fn view_that_misses_news_is_drawn_whole() {
    let fixture = Fixture::start(&["a", "a", "a"]).await;
    let bounds = Bounds::OF_A_VIEW;
    let views = &fixture.views.views;
    let (view, _) = views.get_or_make(&(), |life| {
        Arc::new(LiveView::new(
            fixture.view(),
            Position::new(1).into(),
            bounds,
            life,
        ))
    });
    let mut frames = fixture.watch(Some(1));
    assert!(frames.next().now_or_never().is_none(), "nothing was missed");
    // The channel has room for the last news only.
    let (sender, receiver) = broadcast::channel(1);
    for number in 2..=3 {
        sender.send(news(number)).expect("the follower listens");
    }
    let model = fixture.model.clone();
    let reached = move || model.place();
    tokio::spawn(follow(Arc::downgrade(&view), reached, receiver));
    assert_eq!(next(&mut frames).await, patch("<main>[1, 2, 3]</main>", 3));
    sender.send(news(4)).expect("the follower listens");
    assert_eq!(next(&mut frames).await, change("<b>4</b>", 4));
}

/// Stored documents are readable a moment before their news are sent.
#[tokio::test]
async fn view_that_begins_before_news_arrive_loses_and_doubles_none() {
    for seen in [None, Some(1)] {
        let fixture = Fixture::start(&["a"]).await;
        let held = fixture.documents.hold_commits().await;
        let head = fixture.append_only(&["a"]).await;
        fixture.documents.committed(head).await;
        assert_eq!(fixture.model.position(), Position::new(1), "not sent yet");
        let mut frames = fixture.watch(seen);
        if seen.is_none() {
            assert_eq!(next(&mut frames).await, patch("<main>[1, 2]</main>", 2));
        }
        drop(held);
        fixture.reach(head).await;
        if seen.is_some() {
            assert_eq!(next(&mut frames).await, change("<b>2</b>", 2));
        }
        fixture.append(&["a"]).await;
        assert_eq!(next(&mut frames).await, change("<b>3</b>", 3));
        assert!(frames.next().now_or_never().is_none(), "there is no more");
    }
}

/// When all watchers have to begin again, the whole view is drawn after that decision, even if an
/// earlier drawing shows the same position.
#[tokio::test]
async fn new_edition_begins_with_a_new_drawing() {
    let mut fixture = Fixture::start(&["a"]).await;
    fixture.redrawn_at = 2;
    let mut early = fixture.watch(Some(1));
    let held = fixture.documents.hold_commits().await;
    let head = fixture.append_only(&["a"]).await;
    fixture.documents.committed(head).await;
    assert_eq!(fixture.model.position(), Position::new(1), "not sent yet");
    let mut ahead = fixture.watch(None);
    let whole = patch("<main>[1, 2]</main>", 2);
    assert_eq!(next(&mut ahead).await, whole);
    drop(held);
    fixture.reach(head).await;
    for frames in [&mut early, &mut ahead] {
        assert_eq!(next(frames).await, whole);
    }
    assert_eq!(fixture.drawn_whole.load(SeqCst), 2);
}
