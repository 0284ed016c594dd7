use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use datastar::prelude::PatchElements;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use ironstar_adapters::memory::{MemoryEventBus, MemoryEventStore};
use ironstar_adapters::system::SystemClock;
use ironstar_app::projection::{
    Changed, Changes, Documents, FoldError, Projection, Projections, ReadError, ReadModel,
};
use ironstar_app::{EventFeed, FeedOptions};
use ironstar_ports::{
    Append, DocumentPage, Envelope, EventBus, EventStore, ExpectedSequence, Key, Metadata,
    NewEvent, Payload, Place, Position, StreamId,
};
use uuid::Uuid;

use super::log::Bounds;
use super::{Drawing, LiveViews, View, Whole};
use slow_store::SlowStore;

const ENTRIES: usize = Bounds::OF_A_VIEW.entries;
const DOCUMENTS: usize = Bounds::OF_A_VIEW.documents;

mod cells;
mod histories;
mod late_news;
mod sharing;
mod slow_store;

/// Lists the positions of all events whose type is not `silent`.
#[derive(Debug)]
struct Numbers;

impl Projection for Numbers {
    const NAME: &'static str = "numbers";
    const VERSION: u32 = 1;
    const AGGREGATES: &'static [&'static str] = &["Number"];

    type Document = u64;

    fn fold(event: &Envelope, documents: &mut Documents<u64>) -> Result<(), FoldError> {
        let number = event.position.get();
        match &*event.event_type {
            "silent" => Ok(()),
            _ => documents.put(number.to_string(), number),
        }
    }

    fn place(number: &u64) -> Option<Place> {
        Some(Place {
            collection: "numbers".to_owned(),
            sort: format!("{number:020}"),
        })
    }
}

/// A view of the numbers. One of the numbers makes it draw the whole view again.
#[derive(Debug)]
struct NumbersView {
    model: ReadModel<Numbers>,
    redrawn_at: u64,
    drawn: Arc<AtomicUsize>,
    drawn_whole: Arc<AtomicUsize>,
}

impl View for NumbersView {
    type Projection = Numbers;

    fn concerns(&self, _: &str, _: &Changed<u64>) -> bool {
        true
    }

    fn draw(&self, changes: &Changes<u64>) -> Drawing {
        self.drawn.fetch_add(1, SeqCst);
        let documents = changes.documents.values();
        let mut numbers: Vec<u64> = documents
            .flat_map(|number| number.after.as_deref())
            .copied()
            .collect();
        numbers.sort_unstable();
        if numbers.contains(&self.redrawn_at) {
            return Drawing::Whole;
        }
        let numbers = numbers.iter().map(|number| format!("<b>{number}</b>"));
        let first = PatchElements::new("<i></i>".to_owned());
        Drawing::Patches(vec![first, PatchElements::new(numbers.collect::<String>())])
    }

    fn draw_whole(&self) -> BoxFuture<'_, Result<Whole, ReadError>> {
        self.drawn_whole.fetch_add(1, SeqCst);
        let page = DocumentPage {
            collections: vec!["numbers".to_owned()],
            after: None,
            limit: 10_000,
        };
        async {
            let found = self.model.find(vec![], Some(page)).await?;
            let numbers: Vec<u64> = found.page.into_iter().map(|(_, number)| number).collect();
            let whole = PatchElements::new(format!("<main>{numbers:?}</main>"));
            Ok(Whole {
                place: found.place,
                end: None,
                patch: whole,
            })
        }
        .boxed()
    }
}

struct Fixture {
    store: Arc<MemoryEventStore>,
    bus: Arc<MemoryEventBus>,
    documents: Arc<SlowStore>,
    model: ReadModel<Numbers>,
    views: LiveViews<(), NumbersView>,
    drawn: Arc<AtomicUsize>,
    drawn_whole: Arc<AtomicUsize>,
    redrawn_at: u64,
}

type Frames = BoxStream<'static, Bytes>;

impl<K: Clone + Eq + Hash + Send + Sync + 'static, V: View> LiveViews<K, V> {
    /// Watches a view that may not have been drawn yet.
    fn watch(&self, key: &K, make: impl FnOnce() -> V, seen: Option<Position>) -> Frames {
        let make = |life| self.start(make(), life);
        let (view, _) = self.views.get_or_make(key, make);
        view.watch(seen, self.model.position())
            .map(|(_, frame)| frame)
            .boxed()
    }
}

impl Fixture {
    async fn start(events: &[&str]) -> Self {
        let store = Arc::new(MemoryEventStore::new(Arc::new(SystemClock)));
        let bus = Arc::new(MemoryEventBus::new());
        let head = append(&store, events).await;
        let feed = EventFeed::start(store.clone(), &*bus, FeedOptions::default())
            .await
            .expect("a feed");
        let documents = Arc::new(SlowStore::default());
        let clock = Arc::new(SystemClock);
        let projections = Projections::new(documents.clone(), store.clone(), feed, clock);
        let model = projections.model::<Numbers>();
        let fixture = Self {
            store,
            bus,
            documents,
            views: LiveViews::new(model.clone()),
            model,
            drawn: Arc::default(),
            drawn_whole: Arc::default(),
            redrawn_at: 0,
        };
        fixture.reach(head).await;
        fixture
    }

    async fn reach(&self, position: Position) {
        let reached = self.model.reach(position, Duration::from_secs(30)).await;
        reached.expect("the read model continues");
    }

    async fn append(&self, events: &[&str]) {
        let head = self.append_only(events).await;
        self.reach(head).await;
    }

    /// Appends events without waiting for the read model.
    async fn append_only(&self, events: &[&str]) -> Position {
        let head = append(&self.store, events).await;
        let key = Key::of_stream(&stream());
        self.bus
            .publish(&key, head.to_string().as_bytes())
            .await
            .expect("published");
        head
    }

    fn view(&self) -> NumbersView {
        NumbersView {
            model: self.model.clone(),
            redrawn_at: self.redrawn_at,
            drawn: Arc::clone(&self.drawn),
            drawn_whole: Arc::clone(&self.drawn_whole),
        }
    }

    fn watch(&self, seen: Option<u64>) -> Frames {
        let seen = seen.map(Position::new);
        self.views.watch(&(), || self.view(), seen)
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
        .place()
        .position
}

async fn next(frames: &mut Frames) -> String {
    let frame = tokio::time::timeout(Duration::from_secs(30), frames.next())
        .await
        .expect("a frame comes")
        .expect("the stream continues");
    String::from_utf8(frame.to_vec()).expect("text")
}

/// A patch with its id. All events here have the same UUID, and so the same mark.
fn patch(elements: &str, id: u64) -> String {
    format!("event: datastar-patch-elements\ndata: elements {elements}\nid: {id}.000000\n\n")
}

fn change(elements: &str, to: u64) -> String {
    let unfinished = "event: datastar-patch-elements\ndata: elements <i></i>\nid: \n\n";
    unfinished.to_owned() + &patch(elements, to)
}

#[tokio::test]
async fn whole_view_comes_first_and_then_every_change() {
    let fixture = Fixture::start(&["a", "a"]).await;
    let mut frames = fixture.watch(None);
    assert_eq!(next(&mut frames).await, patch("<main>[1, 2]</main>", 2));
    fixture.append(&["a"]).await;
    assert_eq!(next(&mut frames).await, change("<b>3</b>", 3));
    assert!(frames.next().now_or_never().is_none(), "there is no more");
}

#[tokio::test]
async fn returning_browser_gets_only_the_missed_changes() {
    let fixture = Fixture::start(&["a"]).await;
    let mut watcher = fixture.watch(Some(1));
    fixture.append(&["a"]).await;
    assert_eq!(next(&mut watcher).await, change("<b>2</b>", 2));
    fixture.append(&["silent"]).await;
    fixture.append(&["a", "a"]).await;
    assert_eq!(next(&mut watcher).await, change("<b>4</b><b>5</b>", 5));
    let missed = change("<b>2</b><b>4</b><b>5</b>", 5);
    assert_eq!(next(&mut fixture.watch(Some(1))).await, missed);
    let mut frames = fixture.watch(Some(5));
    assert!(frames.next().now_or_never().is_none(), "nothing was missed");
    fixture.append(&["silent", "silent", "a"]).await;
    assert_eq!(next(&mut frames).await, change("<b>8</b>", 8));
}

/// Events that the view does not show still move the end of the log, and so the id of a whole
/// view.
#[tokio::test]
async fn browser_with_the_id_of_an_invisible_event_has_missed_nothing() {
    let fixture = Fixture::start(&["a"]).await;
    let mut watcher = fixture.watch(Some(1));
    fixture.append(&["silent", "silent"]).await;
    assert!(watcher.next().now_or_never().is_none(), "nothing to see");
    let mut back = fixture.watch(Some(3));
    assert!(back.next().now_or_never().is_none(), "nothing was missed");
    fixture.append(&["a"]).await;
    for frames in [&mut watcher, &mut back] {
        assert_eq!(next(frames).await, change("<b>4</b>", 4));
    }
    assert_eq!(fixture.drawn.load(SeqCst), 1);
    assert_eq!(fixture.drawn_whole.load(SeqCst), 0);
}

#[tokio::test]
async fn view_may_be_drawn_whole_again() {
    let mut fixture = Fixture::start(&["a"]).await;
    fixture.redrawn_at = 3;
    let mut frames = fixture.watch(Some(1));
    fixture.append(&["a"]).await;
    assert_eq!(next(&mut frames).await, change("<b>2</b>", 2));
    fixture.append(&["a"]).await;
    assert_eq!(next(&mut frames).await, patch("<main>[1, 2, 3]</main>", 3));
    fixture.append(&["a"]).await;
    assert_eq!(next(&mut frames).await, change("<b>4</b>", 4));
}

#[tokio::test]
async fn browser_with_an_id_beyond_the_log_gets_the_whole_view() {
    let fixture = Fixture::start(&["a"]).await;
    let mut frames = fixture.watch(Some(2));
    assert_eq!(next(&mut frames).await, patch("<main>[1]</main>", 1));
}

/// The frames up to this id.
async fn frames_up_to(frames: &mut Frames, id: usize) -> String {
    let end = format!("\nid: {id}.000000\n\n");
    let mut all = String::new();
    while !all.ends_with(&end) {
        all += &next(frames).await;
    }
    all
}

#[tokio::test(start_paused = true)]
async fn browser_that_has_missed_too_many_changes_gets_the_whole_view() {
    let fixture = Fixture::start(&["a"]).await;
    let mut watcher = fixture.watch(Some(1));
    for _ in 0..ENTRIES {
        fixture.append(&["a"]).await;
    }
    let last = ENTRIES + 1;
    frames_up_to(&mut watcher, last).await;
    // This browser reconnects just in time.
    let all = next(&mut fixture.watch(Some(1))).await;
    assert!(all.contains("<b>2</b><b>3</b>"), "all is kept");
    assert!(all.ends_with(&format!("<b>{last}</b>\nid: {last}.000000\n\n")));
    fixture.append(&["a"]).await;
    frames_up_to(&mut watcher, last + 1).await;
    let whole = next(&mut fixture.watch(Some(1))).await;
    assert!(whole.contains("<main>[1, 2, 3, "), "the first is forgotten");
    assert!(whole.ends_with(&format!("id: {}.000000\n\n", last + 1)));
    assert!(!next(&mut fixture.watch(Some(2))).await.contains("<main>"));
}

#[tokio::test(start_paused = true)]
async fn browser_that_has_missed_too_many_documents_gets_the_whole_view() {
    let fixture = Fixture::start(&["a"]).await;
    let mut watcher = fixture.watch(Some(1));
    let batch = vec!["a"; 1_000];
    for _ in 0..DOCUMENTS / 1_000 {
        fixture.append(&batch).await;
    }
    frames_up_to(&mut watcher, DOCUMENTS + 1).await;
    let all = next(&mut fixture.watch(Some(1))).await;
    assert!(all.contains("<b>2</b><b>3</b>"), "all is kept");
    fixture.append(&["a"]).await;
    frames_up_to(&mut watcher, DOCUMENTS + 2).await;
    let whole = next(&mut fixture.watch(Some(1))).await;
    assert!(whole.contains("<main>"), "the first is forgotten");
}

#[tokio::test]
async fn view_without_watchers_is_not_drawn() {
    let fixture = Fixture::start(&["a", "a"]).await;
    let mut gone = fixture.watch(Some(2));
    assert!(gone.next().now_or_never().is_none(), "nothing was missed");
    fixture.append(&["a"]).await;
    next(&mut gone).await;
    drop(gone);
    fixture.append(&["a"]).await;
    assert_eq!(fixture.drawn.load(SeqCst), 1);
    let mut back = fixture.watch(Some(2));
    assert_eq!(next(&mut back).await, patch("<main>[1, 2, 3, 4]</main>", 4));
    fixture.append(&["a"]).await;
    assert_eq!(next(&mut back).await, change("<b>5</b>", 5));
}
