//! The cost of showing a change, and the time at which it is shown.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::task::{ArcWake, waker};
use futures::{FutureExt, StreamExt};
use ironstar_app::projection::{Changed, Changes, News};
use ironstar_ports::{LogPlace, Position};
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::cells::{Browser, Cell, CellsView, events, news};
use super::{Fixture, NumbersView, append, change, next, patch};
use crate::stream::live::LiveViews;
use crate::stream::live::follower::{FRAME, follow};
use crate::stream::live::live_view::LiveView;
use crate::stream::live::log::Bounds;

/// A view of one cell, whose value is the number of its changes.
struct Counter {
    view: CellsView,
    live: Arc<LiveView<CellsView>>,
    news: broadcast::Sender<News<Cell>>,
    count: u64,
}

type Frames = BoxStream<'static, Bytes>;

impl Counter {
    /// Starts a counter with a follower.
    fn start() -> Self {
        let view = CellsView {
            patched: 100,
            ..CellsView::default()
        };
        let (news, receiver) = broadcast::channel(1_024);
        let live = view.clone().alone(0, Bounds::OF_A_VIEW);
        let following = follow(Arc::downgrade(&live), || LogPlace::START, receiver);
        tokio::spawn(following);
        Self {
            view,
            live,
            news,
            count: 0,
        }
    }

    fn count(&mut self) {
        let cell = |value| Cell { made: 1, value };
        let before = (self.count > 0).then(|| cell(self.count));
        self.count += 1;
        let after = Some(cell(self.count));
        {
            let mut stored = self.view.stored.lock().expect("the lock");
            stored.cells.extend(after.map(|cell| ("a".into(), cell)));
            stored.position = self.count;
        }
        let sent = self.news.send(news(self.count, "a", before, after));
        sent.expect("it is followed");
    }

    fn watch(&self, seen: Option<u64>) -> Frames {
        let position = Position::new(self.count);
        let live = Arc::clone(&self.live);
        let frames = live.watch(seen.map(Position::new), position);
        frames.map(|(_, frame)| frame).boxed()
    }

    fn drawn(&self) -> usize {
        self.view.drawn.load(SeqCst)
    }
}

async fn next_bytes(frames: &mut Frames) -> Bytes {
    let frame = tokio::time::timeout(Duration::from_secs(30), frames.next()).await;
    frame.expect("a frame comes").expect("the stream goes on")
}

/// Returns true if no frame comes within an hour.
async fn is_silent(frames: &mut Frames) -> bool {
    let frame = tokio::time::timeout(Duration::from_secs(3_600), frames.next());
    frame.await.is_err()
}

fn count_in(frames: &Bytes) -> u64 {
    let mut browser = Browser {
        cells: vec![("a".to_owned(), 0)],
        id: None,
    };
    for event in events(frames) {
        browser.apply(&event);
    }
    assert_eq!(browser.id, Some(browser.cells[0].1));
    browser.cells[0].1
}

#[tokio::test]
async fn cost_of_a_change_grows_with_views_and_not_with_watchers() {
    let fixture = Fixture::start(&["a"]).await;
    let views = LiveViews::<usize, NumbersView>::new(fixture.model.clone());
    let watch = |index: usize| views.watch(&(index % 50), || fixture.view(), None);
    let mut watchers: Vec<Frames> = (0..500).map(watch).collect();
    let all = watchers.iter_mut().map(next_bytes);
    let whole = futures::future::join_all(all).await;
    assert_eq!(whole[0], patch("<main>[1]</main>", 1));
    assert_eq!(fixture.drawn_whole.load(SeqCst), 50);
    fixture.append(&["a"]).await;
    let mut bytes: HashMap<usize, Bytes> = HashMap::new();
    for (index, watcher) in watchers.iter_mut().enumerate() {
        let frames = next_bytes(watcher).await;
        assert_eq!(frames, change("<b>2</b>", 2));
        let shared = bytes.entry(index % 50).or_insert_with(|| frames.clone());
        assert_eq!(shared.as_ptr(), frames.as_ptr(), "the same bytes");
    }
    assert_eq!(fixture.drawn.load(SeqCst), 50);
}

#[tokio::test(start_paused = true)]
async fn slow_watchers_share_one_drawing_of_the_newest_state() {
    let mut counter = Counter::start();
    counter.count();
    tokio::time::sleep(FRAME).await;
    let mut quick = counter.watch(None);
    let mut slow = [(); 3].map(|()| counter.watch(None));
    next(&mut quick).await;
    for slow in &mut slow {
        next(slow).await;
    }
    for _ in 0..500 {
        counter.count();
        assert_eq!(count_in(&next_bytes(&mut quick).await), counter.count);
        tokio::time::sleep(FRAME).await;
    }
    let drawn = counter.drawn();
    let mut caught_up = Vec::new();
    for slow in &mut slow {
        let frames = next_bytes(slow).await;
        assert_eq!((events(&frames).len(), count_in(&frames)), (1, 501));
        assert!(is_silent(slow).await, "that is all");
        caught_up.push(frames.as_ptr());
    }
    caught_up.dedup();
    assert_eq!(caught_up.len(), 1, "the same bytes");
    assert_eq!(counter.drawn(), drawn + 1);
    assert_eq!(counter.view.drawn_whole.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn single_change_is_shown_at_once_and_a_burst_in_one_frame() {
    let mut counter = Counter::start();
    counter.count();
    let mut frames = counter.watch(None);
    next(&mut frames).await;
    for _ in 0..3 {
        tokio::time::sleep(FRAME).await;
        let start = Instant::now();
        let drawn = counter.drawn();
        counter.count();
        assert_eq!(count_in(&next_bytes(&mut frames).await), counter.count);
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..99 {
            counter.count();
            tokio::task::yield_now().await;
        }
        assert_eq!(count_in(&next_bytes(&mut frames).await), counter.count);
        // Timers fire at whole milliseconds.
        let frame = FRAME..=FRAME + Duration::from_millis(1);
        assert!(frame.contains(&start.elapsed()), "{:?}", start.elapsed());
        assert_eq!(counter.drawn(), drawn + 2);
    }
    assert!(is_silent(&mut frames).await, "that is all");
}

#[tokio::test(start_paused = true)]
async fn concurrent_watchers_share_one_whole_view() {
    let mut counter = Counter::start();
    counter.count();
    tokio::time::sleep(FRAME).await;
    let watchers: Vec<Frames> = (0..100).map(|_| counter.watch(None)).collect();
    let first = |mut frames: Frames| async move { next_bytes(&mut frames).await.as_ptr() };
    let mut wholes = futures::future::join_all(watchers.into_iter().map(first)).await;
    wholes.dedup();
    assert_eq!(wholes.len(), 1);
    assert_eq!(counter.view.drawn_whole.load(SeqCst), 1);
}

/// Counts the times that a watcher is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl ArcWake for Woken {
    fn wake_by_ref(this: &Arc<Self>) {
        this.0.fetch_add(1, SeqCst);
    }
}

fn poll(frames: &mut Frames, waker: &Waker) -> Poll<Option<Bytes>> {
    frames.poll_next_unpin(&mut Context::from_waker(waker))
}

#[test]
fn cancelled_change_wakes_only_watchers_that_have_seen_a_part_of_it() {
    let view = CellsView {
        patched: 100,
        ..CellsView::default()
    };
    let live = view.clone().alone(0, Bounds::OF_A_VIEW);
    let watch = |seen: Option<u64>, reached| {
        let live = Arc::clone(&live);
        let seen = seen.map(Position::new);
        live.watch(seen, Position::new(reached))
            .map(|(_, frame)| frame)
            .boxed()
    };
    let cell = Cell { made: 1, value: 1 };
    let woken = Arc::new(Woken::default());
    let mut before = watch(Some(0), 0);
    assert!(poll(&mut before, &waker(Arc::clone(&woken))).is_pending());
    live.take(&news(1, "a", None, Some(cell)));
    live.take(&news(2, "a", Some(cell), None));
    live.publish();
    assert!(before.next().now_or_never().is_none());
    assert_eq!(woken.0.load(SeqCst), 0, "the cell was added and removed");
    assert_eq!(view.drawn.load(SeqCst), 0, "there is nothing to draw");
    // A watcher begins between the two changes.
    assert!(poll(&mut before, &waker(Arc::clone(&woken))).is_pending());
    live.take(&news(3, "a", None, Some(cell)));
    let mut between = watch(Some(3), 3);
    let seen_between = Arc::new(Woken::default());
    assert!(poll(&mut between, &waker(Arc::clone(&seen_between))).is_pending());
    live.take(&news(4, "a", Some(cell), None));
    live.publish();
    assert_eq!(seen_between.0.load(SeqCst), 1);
    let gone = between.next().now_or_never().flatten().expect("it is gone");
    assert!(gone.starts_with(b"event: datastar-patch-elements\ndata: selector #a\n"));
    assert!(before.next().now_or_never().is_none());
    // Further changes reach both watchers.
    live.take(&news(5, "b", None, Some(cell)));
    live.publish();
    for frames in [&mut before, &mut between] {
        let come = frames.next().now_or_never().flatten().expect("it comes");
        assert!(come.ends_with(b"cells b=1\nid: 5\n\n"), "{come:?}");
    }
}

#[test]
fn browser_with_an_id_inside_a_batch_gets_the_whole_view() {
    // The view shows only one of these values.
    for value in [1, 2] {
        let view = CellsView {
            is_even_only: true,
            patched: 100,
            ..CellsView::default()
        };
        let live = view.clone().alone(1, Bounds::OF_A_VIEW);
        let made = Changed {
            before: None,
            after: Some(Arc::new(Cell { made: 2, value })),
        };
        let batch = Changes {
            from: Position::new(1),
            to: Position::new(4).into(),
            documents: HashMap::from([("a".to_owned(), made)]),
        };
        live.take(&News::Changed(Arc::new(batch)));
        live.publish();
        view.stored.lock().expect("the lock").position = 4;
        for seen in 1..=4 {
            let live = Arc::clone(&live);
            let frames = live.watch(Some(Position::new(seen)), Position::new(4));
            let mut frames = frames.boxed();
            let mut next = frames.next();
            let next = (&mut next).now_or_never().or_else(|| next.now_or_never());
            let is_whole =
                |(_, frame): &(Position, Bytes)| frame.windows(5).any(|word| word == b"whole");
            let is_whole = next.flatten().as_ref().map(is_whole);
            let expected = match (seen, value) {
                (2 | 3, _) => Some(true),
                (1, 2) => Some(false),
                _ => None,
            };
            assert_eq!(is_whole, expected, "value {value}, seen {seen}");
        }
    }
}

#[tokio::test]
async fn view_and_follower_end_with_the_last_watcher() {
    let fixture = Fixture::start(&["a"]).await;
    append(&fixture.store, &["a"]).await;
    let views = LiveViews::<usize, NumbersView>::new(fixture.model.clone());
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let watch = |index: usize| views.watch(&(index % 3), || fixture.view(), None);
    let mut watchers: Vec<Frames> = (0..9).map(watch).collect();
    for watcher in &mut watchers {
        next(watcher).await;
    }
    assert_eq!(tasks(), before + 3);
    assert_eq!(views.views.len(), 3);
    watchers.truncate(2);
    let is_left = async |views: usize, left: &LiveViews<usize, NumbersView>| {
        let deadline = Instant::now() + Duration::from_secs(30);
        while tasks() != before + views || left.views.len() != views {
            assert!(Instant::now() < deadline, "something is left");
            tokio::task::yield_now().await;
        }
    };
    is_left(2, &views).await;
    drop(watchers);
    is_left(0, &views).await;
}

#[tokio::test]
async fn watcher_is_small() {
    let mut counter = Counter::start();
    counter.count();
    let watcher = Arc::clone(&counter.live).watch(None, Position::new(1));
    let size = size_of_val(&watcher);
    assert!(size <= 512, "{size}");
}
