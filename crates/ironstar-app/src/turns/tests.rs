use futures::FutureExt;
use ironstar_ports::StreamId;

use super::{MOST, TooManyWait, Turns};

fn stream(id: usize) -> StreamId {
    StreamId::new("Toy", id.to_string())
}

#[tokio::test]
async fn turns_are_given_in_the_order_in_which_callers_ask() {
    let turns = Turns::default();
    let first = turns.take(&stream(1)).await.expect("a turn");
    let (one, two) = (stream(1), stream(1));
    let mut second = Box::pin(turns.take(&one));
    let mut third = Box::pin(turns.take(&two));
    assert!(second.as_mut().now_or_never().is_none());
    assert!(third.as_mut().now_or_never().is_none());
    drop(first);
    assert!(
        third.as_mut().now_or_never().is_none(),
        "the third caller asked later"
    );
    drop(second.await.expect("a turn"));
    third.await.expect("a turn");
    assert!(
        turns.0.streams.lock().is_empty(),
        "idle streams are removed from the map"
    );
}

#[tokio::test]
async fn caller_joins_only_where_others_take_turns() {
    let turns = Turns::default();
    assert!(turns.join(&stream(1)).await.expect("asked").is_none());
    let held = turns.take(&stream(1)).await.expect("a turn");
    assert!(turns.join(&stream(2)).await.expect("asked").is_none());
    let one = stream(1);
    let mut joins = Box::pin(turns.join(&one));
    assert!(joins.as_mut().now_or_never().is_none());
    drop(held);
    assert!(joins.await.expect("asked").is_some());
}

#[tokio::test]
async fn caller_that_goes_away_gives_its_turn_up() {
    let turns = Turns::default();
    let held = turns.take(&stream(1)).await.expect("a turn");
    let one = stream(1);
    let mut waits = Box::pin(turns.take(&one));
    assert!(waits.as_mut().now_or_never().is_none());
    drop(waits);
    drop(held);
    assert!(turns.0.streams.lock().is_empty());
    assert!(turns.take(&one).now_or_never().is_some());
}

#[tokio::test]
async fn watchers_share_a_turn_and_exclude_changes() {
    let turns = Turns::default();
    let one = turns.watch(&stream(1)).await.expect("a turn");
    let two = turns.watch(&stream(1)).await.expect("a turn");
    let first = stream(1);
    let mut changes = Box::pin(turns.take(&first));
    assert!(changes.as_mut().now_or_never().is_none());
    drop((one, two));
    changes.await.expect("a turn");
}

#[tokio::test]
async fn caller_is_refused_when_too_many_wait() {
    let turns = Turns::default();
    let streams: Vec<_> = (0..MOST).map(stream).collect();
    let held = turns.take_all(streams).await.expect("so many");
    let refused = turns.take(&stream(MOST)).now_or_never();
    assert_eq!(refused.map(Result::err), Some(Some(TooManyWait)));
    drop(held);
    turns
        .take(&stream(MOST))
        .await
        .expect("there is room after the turns have ended");
}

#[tokio::test]
async fn callers_that_take_the_same_turns_never_wait_for_each_other() {
    let turns = Turns::default();
    let both = [stream(1), stream(2)];
    let forwards = async {
        drop(turns.take_all(both.to_vec()).await.expect("turns"));
    };
    let backwards = async {
        let streams = both.iter().rev().cloned().collect();
        tokio::task::yield_now().await;
        drop(turns.take_all(streams).await.expect("turns"));
    };
    let held = turns.take(&stream(2)).await.expect("a turn");
    let frees = async {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        drop(held);
    };
    futures::join!(forwards, backwards, frees);
}
