//! Projections that run, on a store that can be made to misbehave.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use ironstar_adapters::memory::{MemoryEventBus, MemoryEventStore, MemoryProjectionStore};
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_app::projection::{Documents, FoldError, Projection, Projections, ReadModel};
use ironstar_app::{EventFeed, FeedOptions};
use ironstar_ports::{
    Append, Build, BuildId, BuildUpdate, CommitError, DocumentBatch, DocumentQuery, DocumentSource,
    Envelope, EventBus, EventStore, ExpectedSequence, Found, IdSource, Key, Metadata, NewEvent,
    Payload, Place, Position, ProjectionStore, StoreError, StreamId, UpdateError,
};
use serde::{Deserialize, Serialize};

use super::{TestStore, memory_bus, memory_store};

/// Longer than anything takes; these tests are on paused time.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A log, a store, and projections that run on both.
pub(crate) struct World {
    pub(crate) events: Arc<MemoryEventStore>,
    /// The same events, as the feed and the projections read them.
    pub(crate) log: Arc<TestStore>,
    pub(crate) store: Arc<TestProjectionStore>,
    pub(crate) feed: EventFeed,
    pub(crate) projections: Projections,
    bus: Arc<MemoryEventBus>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let events = memory_store();
        let log = Arc::new(TestStore::counting(events.clone()));
        Self::on(events, log, Arc::default()).await
    }

    /// Another process on the same log and store, or the same one later.
    pub(crate) async fn again(&self) -> Self {
        let log = Arc::clone(&self.log);
        Self::on(Arc::clone(&self.events), log, Arc::clone(&self.store)).await
    }

    /// The same, later, when the event at a position has been damaged.
    pub(crate) async fn damaged(&self, position: Position) -> Self {
        self.log.damage([position]);
        self.again().await
    }

    /// The same store of read models, on another log.
    pub(crate) async fn on_another_log(&self, events: Arc<MemoryEventStore>) -> Self {
        let log = Arc::new(TestStore::counting(events.clone()));
        Self::on(events, log, Arc::clone(&self.store)).await
    }

    async fn on(
        events: Arc<MemoryEventStore>,
        log: Arc<TestStore>,
        store: Arc<TestProjectionStore>,
    ) -> Self {
        let bus = memory_bus();
        let feed = EventFeed::start(log.clone(), &*bus, FeedOptions::default())
            .await
            .expect("started");
        let clock = Arc::new(SystemClock);
        let projections = Projections::new(store.clone(), log.clone(), feed.clone(), clock);
        Self {
            events,
            log,
            store,
            feed,
            projections,
            bus,
        }
    }

    /// Something happens, and the bus hints at it.
    pub(crate) async fn happens_loudly(&self, id: &str, event_type: &str) -> Position {
        let position = self.happens(id, event_type).await;
        let key = Key::of_stream(&StreamId::new("Test", id));
        let hinted = self
            .bus
            .publish(&key, position.to_string().as_bytes())
            .await;
        hinted.expect("the bus works");
        position
    }

    /// Something happens.
    pub(crate) async fn happens(&self, id: &str, event_type: &str) -> Position {
        let event = NewEvent {
            event_type: event_type.to_owned(),
            schema_version: 1,
            payload: Payload::from_text("{}".to_owned()).expect("JSON"),
            metadata: Metadata::new(SystemIdSource.next_id()),
        };
        let stream = StreamId::new("Test", id);
        let append = Append::to_stream(stream, ExpectedSequence::Any, vec![event]);
        let appended = self.events.append(append).await.expect("appended");
        appended.place().position
    }

    /// Waits until a read model is as of the end of the log.
    pub(crate) async fn settled<P: Projection>(&self, model: &ReadModel<P>) {
        let head = self.events.head().await.expect("read");
        model.reach(head, SOON).await.expect("it gets there");
    }

    /// The builds of a projection, the live one first.
    pub(crate) async fn builds<P: Projection>(&self) -> Vec<Build> {
        let mut builds = self.store.builds().await.expect("read");
        builds.retain(|build| build.name == P::NAME);
        builds
    }

    /// The builds of a projection, once they are as wanted.
    pub(crate) async fn builds_when<P: Projection>(
        &self,
        is_wanted: impl Fn(&[Build]) -> bool,
    ) -> Vec<Build> {
        let waiting = async {
            loop {
                let builds = self.builds::<P>().await;
                if is_wanted(&builds) {
                    return builds;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(300), waiting).await;
        match waited {
            Ok(builds) => builds,
            Err(_) => panic!("they never are: {:#?}", self.builds::<P>().await),
        }
    }
}

thread_local! {
    /// How many events were folded in this test, which is on one thread.
    static FOLDS: Cell<u64> = const { Cell::new(0) };
    /// Whether poison does no harm.
    static CURED: Cell<bool> = const { Cell::new(false) };
}

/// How many events were folded so far.
pub(crate) fn folds() -> u64 {
    FOLDS.get()
}

/// Poison does no harm from now on.
pub(crate) fn cure() {
    CURED.set(true);
}

/// Counts what has happened to each thing. A `poison` event cannot be folded,
/// unless it is the robust one, and of what is `fragile` one panics; a `quiet` one changes nothing, and a `same` one
/// puts what is there.
#[derive(Debug)]
pub(crate) struct TallyProjection<const VERSION: u32, const ROBUST: bool = false>;

/// What has happened to one thing.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Tally {
    pub(crate) version: u32,
    pub(crate) count: u64,
    pub(crate) last: Position,
}

impl<const VERSION: u32, const ROBUST: bool> Projection for TallyProjection<VERSION, ROBUST> {
    const NAME: &'static str = if ROBUST { "robust" } else { "tally" };
    const VERSION: u32 = VERSION;
    const AGGREGATES: &'static [&'static str] = &["Test"];

    type Document = Tally;

    fn fold(event: &Envelope, documents: &mut Documents<Tally>) -> Result<(), FoldError> {
        let key = &event.stream.aggregate_id;
        let before = documents.get(key)?.cloned();
        if event.event_type == "quiet" {
            return Ok(());
        }
        if let ("same", Some(same)) = (&*event.event_type, &before) {
            return documents.put(key.as_str(), same.clone());
        }
        let before = before.map_or(0, |tally| tally.count);
        let after = Tally {
            version: VERSION,
            count: before + 1,
            last: event.position,
        };
        documents.put(key.as_str(), after)?;
        if event.event_type == "poison" && !ROBUST && !CURED.get() {
            // What was put is undone.
            assert!(key != "fragile", "it fell apart");
            return Err(FoldError::Senseless("it is poison".to_owned()));
        }
        FOLDS.set(FOLDS.get() + 1);
        Ok(())
    }

    fn place(_: &Tally) -> Option<Place> {
        None
    }
}

/// What a read model has to say of one thing.
pub(crate) async fn tally<P: Projection<Document = Tally>>(
    model: &ReadModel<P>,
    id: &str,
) -> Option<Tally> {
    let found = model.find(vec![id.to_owned()], None).await.expect("read");
    found.keyed.into_iter().next().map(|(_, tally)| tally)
}

/// How often something has happened to a thing, according to a read model.
pub(crate) async fn count<P: Projection<Document = Tally>>(model: &ReadModel<P>, id: &str) -> u64 {
    tally(model, id).await.map_or(0, |tally| tally.count)
}

/// A store that does what it is told to.
#[derive(Debug, Default)]
pub(crate) struct TestProjectionStore {
    inner: MemoryProjectionStore,
    /// How many of the next calls fail, or answer wrongly.
    pub(crate) failing_commits: AtomicU64,
    pub(crate) failing_finds: AtomicU64,
    pub(crate) failing_looks: AtomicU64,
    /// Commits that are done, and reported as failures.
    pub(crate) unanswered_commits: AtomicU64,
    /// How many milliseconds a commit takes.
    pub(crate) commit_ms: AtomicU64,
    /// Commits that are not done, since the checkpoint is said to be elsewhere.
    pub(crate) conflicts: AtomicU64,
    /// Failures that are reported when somebody has just had their event left out.
    pub(crate) late_failures: AtomicU64,
    /// How many documents were put or removed.
    pub(crate) changes: AtomicU64,
    /// How many finds there were.
    pub(crate) finds: AtomicU64,
    /// How often the builds were asked for.
    pub(crate) looks: AtomicU64,
}

impl TestProjectionStore {
    /// Whether this call is one of those that go wrong.
    fn takes(left: &AtomicU64) -> bool {
        let take = |left: u64| left.checked_sub(1);
        left.fetch_update(SeqCst, SeqCst, take).is_ok()
    }

    fn fails(left: &AtomicU64) -> Result<(), StoreError> {
        if Self::takes(left) {
            return Err(StoreError::unavailable("as it was told to"));
        }
        Ok(())
    }
}

#[async_trait]
impl ProjectionStore for TestProjectionStore {
    async fn builds(&self) -> Result<Vec<Build>, StoreError> {
        self.looks.fetch_add(1, SeqCst);
        Self::fails(&self.failing_looks)?;
        self.inner.builds().await
    }

    async fn begin(&self, name: &str, version: u32) -> Result<Build, StoreError> {
        self.inner.begin(name, version).await
    }

    async fn update(&self, build: BuildId, update: BuildUpdate) -> Result<(), UpdateError> {
        if let BuildUpdate::Fail(failure) = &update
            && Self::takes(&self.late_failures)
        {
            let skip = BuildUpdate::Skip(failure.position);
            self.inner.update(build, skip).await?;
        }
        self.inner.update(build, update).await
    }

    async fn commit(&self, batch: DocumentBatch) -> Result<(), CommitError> {
        Self::fails(&self.failing_commits)?;
        if Self::takes(&self.conflicts) {
            let checkpoint = batch.from;
            return Err(CommitError::Moved { checkpoint });
        }
        let pause = Duration::from_millis(self.commit_ms.load(SeqCst));
        tokio::time::sleep(pause).await;
        let changes = batch.changes.len() as u64;
        self.inner.commit(batch).await?;
        self.changes.fetch_add(changes, SeqCst);
        Self::fails(&self.unanswered_commits)?;
        // Others get a word in, as they do with a store that takes its time.
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn find(
        &self,
        source: &DocumentSource,
        query: &DocumentQuery,
    ) -> Result<Option<Found>, StoreError> {
        self.finds.fetch_add(1, SeqCst);
        Self::fails(&self.failing_finds)?;
        tokio::task::yield_now().await;
        self.inner.find(source, query).await
    }
}
