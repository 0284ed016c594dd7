use std::time::Duration;

use futures::StreamExt;
use ironstar_domain::list::ListId;
use maud::html;
use tokio::runtime::Handle;
use tokio::time::Instant;
use uuid::Uuid;

use super::{PACE, PATIENCE, Presence};
use crate::session::SessionId;
use crate::stream::latest::Side;

fn presence() -> Presence {
    Presence::new(|people| html! { (people) })
}

/// The next number that the stream sends, and its time.
async fn next(side: &mut Side) -> (usize, Instant) {
    let hour = Duration::from_secs(3_600);
    let frame = tokio::time::timeout(hour, side.next()).await;
    let frame = frame
        .expect("a number is sent")
        .expect("the stream goes on");
    let text = std::str::from_utf8(&frame).expect("text");
    let people = text
        .strip_prefix("event: datastar-patch-elements\ndata: elements ")
        .and_then(|text| text.strip_suffix("\n\n"));
    let people = people.expect("a patch without an id").parse();
    (people.expect("a number"), Instant::now())
}

async fn is_silent(side: &mut Side) -> bool {
    let hour = Duration::from_secs(3_600);
    tokio::time::timeout(hour, side.next()).await.is_err()
}

/// Timers have a resolution of one millisecond.
#[track_caller]
fn expect_about(actual: Duration, expected: Duration) {
    let about = expected..=expected + Duration::from_millis(2);
    assert!(about.contains(&actual), "{actual:?} is not {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn arrival_sends_the_number_to_the_newcomer_and_to_all_others() {
    let presence = presence();
    let start = Instant::now();
    let mut first = presence.enter(ListId::SHARED, None);
    assert_eq!(next(&mut first).await, (1, start));
    tokio::time::sleep(PACE * 2).await;
    let start = Instant::now();
    let mut second = presence.enter(ListId::SHARED, None);
    let (people, at) = next(&mut first).await;
    assert_eq!(people, 2);
    expect_about(at - start, Duration::ZERO);
    assert_eq!(next(&mut second).await.0, 2);
    let other = Uuid::from_u128(1).into();
    assert_eq!(next(&mut presence.enter(other, None)).await.0, 1);
    assert!(
        is_silent(&mut first).await,
        "the arrival was at another list"
    );
}

#[tokio::test(start_paused = true)]
async fn each_of_ten_thousand_newcomers_gets_two_messages() {
    let presence = presence();
    let start = Instant::now();
    let mut sides: Vec<Side> = Vec::new();
    for _ in 0..10_000 {
        sides.push(presence.enter(ListId::SHARED, None));
        tokio::task::yield_now().await;
    }
    for side in &mut sides {
        assert_eq!(next(side).await.0, 1);
    }
    for side in &mut sides {
        let (people, at) = next(side).await;
        assert_eq!(people, 10_000);
        expect_about(at - start, PACE);
    }
    sides.push(presence.enter(ListId::SHARED, None));
    let (people, at) = next(&mut sides[0]).await;
    assert_eq!(people, 10_001);
    expect_about(at - start, PACE * 2);
    assert!(is_silent(&mut sides[0]).await);
}

#[tokio::test(start_paused = true)]
async fn person_who_comes_back_soon_is_never_subtracted() {
    let presence = presence();
    let mut one = presence.enter(ListId::SHARED, None);
    let other = presence.enter(ListId::SHARED, None);
    assert_eq!(next(&mut one).await.0, 1);
    assert_eq!(next(&mut one).await.0, 2);
    tokio::time::sleep(PACE).await;
    drop(other);
    tokio::time::sleep(PATIENCE - Duration::from_millis(100)).await;
    let other = presence.enter(ListId::SHARED, None);
    assert!(is_silent(&mut one).await, "nothing has changed");
    let start = Instant::now();
    drop(other);
    let (people, at) = next(&mut one).await;
    assert_eq!(people, 1);
    expect_about(at - start, PATIENCE);
    assert!(is_silent(&mut one).await);
}

/// One person leaves for good. Another leaves and comes back just when that is announced.
#[tokio::test(start_paused = true)]
async fn person_who_is_away_when_another_is_subtracted_still_counts() {
    let presence = presence();
    let mut one = presence.enter(ListId::SHARED, None);
    let others = [(); 2].map(|()| presence.enter(ListId::SHARED, None));
    while next(&mut one).await.0 < 3 {}
    tokio::time::sleep(PACE).await;
    let [gone, back] = others;
    drop(gone);
    tokio::time::sleep(PATIENCE - Duration::from_millis(100)).await;
    drop(back);
    let told = tokio::spawn(async move { (next(&mut one).await.0, one) });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let _back = presence.enter(ListId::SHARED, None);
    let (people, mut one) = told.await.expect("the task does not panic");
    assert_eq!(people, 2);
    assert!(is_silent(&mut one).await);
}

#[tokio::test(start_paused = true)]
async fn list_without_subscribers_leaves_no_room_and_no_task() {
    let presence = presence();
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for _ in 0..3 {
        let mut sides: Vec<Side> = (0..5)
            .map(|_| presence.enter(ListId::SHARED, None))
            .collect();
        next(&mut sides[0]).await;
        assert_eq!((tasks(), presence.rooms.len()), (before + 1, 1));
        drop(sides);
        assert_eq!(presence.rooms.len(), 0);
        let deadline = Instant::now() + Duration::from_secs(30);
        while tasks() != before {
            assert!(Instant::now() < deadline, "the task has not ended");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn visitor_with_several_windows_is_one_until_the_last_is_gone() {
    let presence = presence();
    let mut one = presence.enter(ListId::SHARED, None);
    let visitor = Some(SessionId::new([7; 24]));
    let windows = [(); 2].map(|()| presence.enter(ListId::SHARED, visitor));
    while next(&mut one).await.0 < 2 {}
    assert!(is_silent(&mut one).await, "two windows are one visitor");
    let [first, last] = windows;
    drop(first);
    assert!(is_silent(&mut one).await, "one window is left");
    drop(last);
    assert_eq!(next(&mut one).await.0, 1);
}
