use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use datastar::prelude::PatchElements;
use futures::{FutureExt, Stream, StreamExt};
use ironstar_adapters::memory::{MemoryEventBus, MemoryEventStore};
use ironstar_adapters::system::SystemClock;
use ironstar_app::{DecodeError, EventFeed, FeedOptions, decode};
use ironstar_domain::TodoState;
use ironstar_ports::{
    Append, Envelope, EventBus, EventStore, ExpectedSequence, Key, Metadata, NewEvent, Payload,
    Position, StreamId,
};
use uuid::Uuid;

use super::{KEPT, LiveView, View};

/// Shows the numbers of the events that are not called `silent`.
#[derive(Default)]
struct Numbers {
    shown: Vec<u64>,
    rendered: Arc<AtomicUsize>,
}

impl View for Numbers {
    type Change = u64;

    fn apply(&mut self, event: &Envelope) -> Result<Option<u64>, DecodeError> {
        if event.event_type == "silent" {
            return Ok(None);
        }
        if event.event_type == "unreadable" {
            decode::<TodoState>(event)?;
        }
        self.shown.push(event.position.get());
        Ok(Some(event.position.get()))
    }

    fn render_change(&self, number: &u64) -> Vec<PatchElements> {
        self.rendered.fetch_add(1, SeqCst);
        vec![
            PatchElements::new(format!("<i>{}</i>", self.shown.len())),
            PatchElements::new(format!("<b>{number}</b>")),
        ]
    }

    fn render_whole(&self) -> PatchElements {
        PatchElements::new(format!("<main>{:?}</main>", self.shown))
    }
}

struct Fixture {
    store: Arc<MemoryEventStore>,
    bus: Arc<MemoryEventBus>,
    rendered: Arc<AtomicUsize>,
    view: LiveView<Numbers>,
}

impl Fixture {
    async fn start(events: &[&str]) -> Self {
        let store = Arc::new(MemoryEventStore::new(Arc::new(SystemClock)));
        let bus = Arc::new(MemoryEventBus::new());
        append(&store, events).await;
        let feed = EventFeed::start(store.clone(), &*bus, FeedOptions::default())
            .await
            .expect("a feed");
        let numbers = Numbers::default();
        let rendered = Arc::clone(&numbers.rendered);
        Self {
            store,
            bus,
            rendered,
            view: LiveView::start(numbers, &feed).await,
        }
    }

    async fn append(&self, events: &[&str]) {
        let head = append(&self.store, events).await;
        let key = Key::of_stream(&stream());
        self.bus
            .publish(&key, head.to_string().as_bytes())
            .await
            .expect("published");
        self.view.reach(head).await.expect("the view goes on");
    }

    fn subscribe(&self, seen: u64) -> impl Stream<Item = Bytes> + Unpin + use<> {
        Box::pin(self.view.subscribe(Some(Position::new(seen))))
    }
}

fn stream() -> StreamId {
    StreamId::new("Number", "1")
}

async fn append(store: &MemoryEventStore, events: &[&str]) -> Position {
    let event = |name: &&str| NewEvent {
        event_type: (*name).to_owned(),
        schema_version: 1,
        payload: Payload::from_text("{}".to_owned()).expect("JSON"),
        metadata: Metadata::new(Uuid::nil()),
    };
    let events = events.iter().map(event).collect();
    store
        .append(Append::to_stream(stream(), ExpectedSequence::Any, events))
        .await
        .expect("appended")
        .position()
}

async fn next(frames: &mut (impl Stream<Item = Bytes> + Unpin)) -> String {
    let frame = tokio::time::timeout(Duration::from_secs(30), frames.next())
        .await
        .expect("a frame comes")
        .expect("the stream goes on");
    String::from_utf8(frame.to_vec()).expect("text")
}

fn patch(elements: &str, id: u64) -> String {
    format!("event: datastar-patch-elements\ndata: elements {elements}\nid: {id}\n\n")
}

#[tokio::test]
async fn the_whole_view_comes_first_and_then_every_change() {
    let fixture = Fixture::start(&["a", "a"]).await;
    let mut frames = Box::pin(fixture.view.subscribe(None));
    assert_eq!(next(&mut frames).await, patch("<main>[1, 2]</main>", 2));
    fixture.append(&["a"]).await;
    assert_eq!(
        next(&mut frames).await,
        patch("<i>3</i>", 2) + &patch("<b>3</b>", 3)
    );
    assert!(frames.next().now_or_never().is_none(), "there is no more");
}

#[tokio::test]
async fn who_comes_back_gets_what_was_missed_and_nothing_else() {
    let fixture = Fixture::start(&["a"]).await;
    let _somebody = fixture.subscribe(1);
    fixture.append(&["a", "silent", "a"]).await;
    let mut frames = fixture.subscribe(1);
    assert_eq!(
        next(&mut frames).await,
        [
            patch("<i>2</i>", 1),
            patch("<b>2</b>", 2),
            // The third event changes nothing, and has been seen all the same.
            patch("<i>3</i>", 3),
            patch("<b>4</b>", 4)
        ]
        .concat()
    );
    let mut frames = fixture.subscribe(4);
    assert!(frames.next().now_or_never().is_none(), "nothing was missed");
    fixture.append(&["silent", "a"]).await;
    assert_eq!(
        next(&mut frames).await,
        patch("<i>4</i>", 5) + &patch("<b>6</b>", 6)
    );
}

#[tokio::test]
async fn who_claims_to_have_seen_the_future_gets_the_whole_view() {
    let fixture = Fixture::start(&["a"]).await;
    let mut frames = fixture.subscribe(2);
    assert_eq!(next(&mut frames).await, patch("<main>[1]</main>", 1));
}

#[tokio::test]
async fn who_was_away_for_too_long_gets_the_whole_view() {
    let fixture = Fixture::start(&["a"]).await;
    let mut slow = fixture.subscribe(1);
    for _ in 0..KEPT {
        fixture.append(&["a"]).await;
    }
    let last = KEPT as u64 + 1;
    let frame = next(&mut fixture.subscribe(1)).await;
    assert!(frame.starts_with(&patch("<i>2</i>", 1)), "all is kept");
    fixture.append(&["a"]).await;
    for frames in [&mut slow, &mut fixture.subscribe(1)] {
        let frame = next(frames).await;
        assert!(frame.contains("<main>[1, 2, 3, "), "the first is forgotten");
        assert!(frame.ends_with(&format!("id: {}\n\n", last + 1)));
    }
}

#[tokio::test]
async fn a_change_is_rendered_once_however_many_watch() {
    let fixture = Fixture::start(&["a"]).await;
    let mut watchers: Vec<_> = (0..100).map(|_| fixture.subscribe(1)).collect();
    fixture.append(&["a"]).await;
    let expected = next(&mut fixture.subscribe(1)).await;
    for watcher in &mut watchers {
        assert_eq!(next(watcher).await, expected);
    }
    assert_eq!(fixture.rendered.load(SeqCst), 1);
}

#[tokio::test]
async fn what_nobody_watches_is_not_rendered() {
    let fixture = Fixture::start(&["a", "a"]).await;
    let mut gone = fixture.subscribe(2);
    assert!(gone.next().now_or_never().is_none(), "nothing was missed");
    fixture.append(&["a"]).await;
    drop(gone);
    fixture.append(&["a"]).await;
    assert_eq!(fixture.rendered.load(SeqCst), 1);
    let mut back = fixture.subscribe(2);
    assert_eq!(next(&mut back).await, patch("<main>[1, 2, 3, 4]</main>", 4));
    fixture.append(&["a"]).await;
    assert_eq!(
        next(&mut back).await,
        patch("<i>5</i>", 4) + &patch("<b>5</b>", 5)
    );
}

#[tokio::test]
async fn an_unreadable_event_stops_the_view_and_says_so() {
    let fixture = Fixture::start(&["a", "unreadable"]).await;
    let reached = fixture.view.reach(Position::new(2)).await;
    reached.expect_err("it has stopped");
    let frames = fixture.view.subscribe(Some(Position::new(1)));
    let end = tokio::time::timeout(Duration::from_secs(30), Box::pin(frames).next())
        .await
        .expect("it ends");
    assert_eq!(end, None, "streams end, so that clients come back");
}
