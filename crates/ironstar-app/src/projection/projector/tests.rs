use ironstar_adapters::memory::{MemoryEventStore, MemoryProjectionStore};
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_ports::{
    Append, EventStore, ExpectedSequence, IdSource, Metadata, NewEvent, Place, StreamId,
};

use tokio::time::timeout;

use super::*;

const MOST: NonZeroUsize = NonZeroUsize::new(8).expect("it is not zero");

/// Counts the events of each stream.
#[derive(Debug)]
struct Counting;

impl Projection for Counting {
    const NAME: &'static str = "counting";
    const VERSION: u32 = 1;
    const AGGREGATES: &'static [&'static str] = &["Test"];

    type Document = u64;

    fn fold(event: &Envelope, documents: &mut Documents<u64>) -> Result<(), FoldError> {
        let key = &*event.stream.aggregate_id;
        let count = documents.get(key)?.map_or(1, |count| count + 1);
        documents.put(key, count)
    }

    fn place(_: &u64) -> Option<Place> {
        None
    }
}

/// A log with an event in each of these streams, and a build that has stored the first event.
struct World {
    events: Vec<Arc<Envelope>>,
    store: MemoryProjectionStore,
    holder: Projector<Counting>,
    /// The build after the first event.
    build: Build,
}

impl World {
    /// Streams whose names begin with `other` are of another type.
    async fn new(streams: &[&str]) -> Self {
        let log = MemoryEventStore::new(Arc::new(SystemClock));
        for stream in streams {
            let event = NewEvent {
                event_type: "happened".to_owned(),
                schema_version: 1,
                payload: Payload::from_text("{}".to_owned()).expect("JSON"),
                metadata: Metadata::new(SystemIdSource.next_id()),
            };
            let is_other = stream.starts_with("other");
            let stream = StreamId::new(if is_other { "Other" } else { "Test" }, *stream);
            let append = Append::to_stream(stream, ExpectedSequence::Any, vec![event]);
            log.append(append).await.expect("appended");
        }
        let events = log.load_after(Position::START, usize::MAX).await;
        let events: Vec<_> = events.expect("read").into_iter().map(Arc::new).collect();
        let store = MemoryProjectionStore::new();
        let build = store.begin("counting", 1).await.expect("begun");
        let mut holder = Projector::new(&build, MOST);
        holder.fold(&store, &events[..1]).await.expect("folded");
        holder.commit(&store).await.expect("stored");
        let build = store.builds().await.expect("read").remove(0);
        Self {
            events,
            store,
            holder,
            build,
        }
    }

    /// The node with the lease folds and stores these events.
    async fn store(&mut self, events: std::ops::Range<usize>) {
        let folded = self.holder.fold(&self.store, &self.events[events]).await;
        folded.expect("folded");
        self.holder.commit(&self.store).await.expect("stored");
    }
}

/// A node that is behind goes on where the other node is. It then knows the documents that it has
/// used, so the next change of each is folded in memory.
#[tokio::test]
async fn node_jumps_ahead_with_its_documents() {
    let mut world = World::new(&["a", "b", "a", "b", "a"]).await;
    let mut watching = Projector::<Counting>::watching(&world.build, MOST);
    let folded = watching.fold(&world.store, &world.events[1..2]).await;
    folded.expect("folded");
    assert_eq!(watching.take_jump(), None);
    world.store(1..3).await;
    let folded = watching.fold(&world.store, &world.events[2..3]).await;
    folded.expect("folded");
    let ahead = world.events[2].place();
    assert_eq!(
        (watching.take_jump(), watching.place()),
        (Some(ahead), ahead)
    );
    world.store(3..5).await;
    let folded = watching.fold(&world.store, &world.events[3..]).await;
    folded.expect("folded");
    assert_eq!(watching.take_jump(), None, "both documents are known");
    let changes = watching
        .commit(&world.store)
        .await
        .expect("stored elsewhere");
    let counts = changes.documents.iter().map(|(key, document)| {
        let count = |count: &Option<Arc<u64>>| count.as_deref().copied();
        (&**key, (count(&document.before), count(&document.after)))
    });
    let counts: HashMap<_, _> = counts.collect();
    let expected = [("a", (Some(2), Some(3))), ("b", (Some(1), Some(2)))];
    assert_eq!(counts, HashMap::from(expected));
}

#[tokio::test]
async fn document_of_an_earlier_position_has_not_changed_since() {
    let mut world = World::new(&["a", "b", "b", "a"]).await;
    let mut watching = Projector::<Counting>::watching(&world.build, MOST);
    let folded = watching.fold(&world.store, &world.events[1..2]).await;
    folded.expect("folded");
    // The document `a` is as of position 1 or 2, and the folded position is 3.
    world.store(1..2).await;
    let folded = watching.fold(&world.store, &world.events[2..]).await;
    folded.expect("folded");
    world.store(2..4).await;
    let changes = watching
        .commit(&world.store)
        .await
        .expect("stored elsewhere");
    assert_eq!(
        (changes.from, changes.to),
        (Position::new(1), world.events[3].place())
    );
    let counts = changes.documents.iter().map(|(key, document)| {
        let count = |count: &Option<Arc<u64>>| count.as_deref().copied();
        (&**key, (count(&document.before), count(&document.after)))
    });
    let counts: HashMap<_, _> = counts.collect();
    let expected = [("a", (Some(1), Some(2))), ("b", (None, Some(2)))];
    assert_eq!(counts, HashMap::from(expected));
}

/// The node with the lease does not store its checkpoint for such an event at once.
#[tokio::test(start_paused = true)]
async fn event_without_a_change_is_not_waited_for() {
    let mut world = World::new(&["a", "a", "other"]).await;
    let mut watching = Projector::<Counting>::watching(&world.build, MOST);
    let folded = watching.fold(&world.store, &world.events[1..]).await;
    folded.expect("folded");
    world.store(1..2).await;
    let committed = timeout(Duration::from_secs(1), watching.commit(&world.store)).await;
    let changes = committed.expect("in time").expect("stored elsewhere");
    assert_eq!(changes.to, world.events[2].place());
}
