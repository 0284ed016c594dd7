//! Running projections, on a store that can be made faulty.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use ironstar_adapters::memory::{MemoryEventBus, MemoryEventStore, MemoryProjectionStore};
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_app::projection::{Documents, FoldError, Projection, Projections, ReadModel};
use ironstar_app::{EventFeed, FeedOptions};
use ironstar_ports::contract::doubles::AroundProjectionStore;
use ironstar_ports::{
    Append, Build, BuildId, BuildUpdate, CommitError, DocumentBatch, DocumentQuery, DocumentSource,
    Envelope, EventBus, EventStore, ExpectedSequence, Found, IdSource, Key, Metadata, NewEvent,
    Payload, Place, Position, ProjectionStore, StoreError, StreamId, UpdateError,
};
use serde::{Deserialize, Serialize};

use super::{TestStore, memory_bus, memory_store};

/// Longer than any step of these tests takes, which run on paused time.
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

    /// Another process on the same log and store, or the same process after a restart.
    pub(crate) async fn again(&self) -> Self {
        let log = Arc::clone(&self.log);
        Self::on(Arc::clone(&self.events), log, Arc::clone(&self.store)).await
    }

    /// The same world after a restart, with a damaged event at this position.
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

    /// Appends an event, with a hint on the bus.
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

    /// Appends an event.
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

    /// Waits until a read model has reached the end of the log.
    pub(crate) async fn settled<P: Projection>(&self, model: &ReadModel<P>) {
        let head = self.events.head().await.expect("read");
        model
            .reach(head, SOON)
            .await
            .expect("the model reaches the end");
    }

    /// The builds of a projection, the live one first.
    pub(crate) async fn builds<P: Projection>(&self) -> Vec<Build> {
        let mut builds = ProjectionStore::builds(&*self.store).await.expect("read");
        builds.retain(|build| build.name == P::NAME);
        builds
    }

    /// The builds of a projection, once they meet a condition.
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
            Err(_) => panic!(
                "the builds never meet the condition: {:#?}",
                self.builds::<P>().await
            ),
        }
    }
}

thread_local! {
    /// The number of events that were folded in this test, which uses one thread.
    static FOLDS: Cell<u64> = const { Cell::new(0) };
    /// True if poison events can be folded.
    static CURED: Cell<bool> = const { Cell::new(false) };
}

/// The number of events that were folded so far.
pub(crate) fn folds() -> u64 {
    FOLDS.get()
}

/// Lets poison events be folded from now on.
pub(crate) fn cure() {
    CURED.set(true);
}

/// Counts the events of each aggregate. A `poison` event cannot be folded, except by the robust
/// version; for the aggregate `fragile`, it causes a panic. A `quiet` event changes nothing. A
/// `same` event stores the existing document again.
#[derive(Debug)]
pub(crate) struct TallyProjection<const VERSION: u32, const ROBUST: bool = false>;

/// The events of one aggregate.
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
            // The document that was put is undone.
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

/// The document of one aggregate in a read model.
pub(crate) async fn tally<P: Projection<Document = Tally>>(
    model: &ReadModel<P>,
    id: &str,
) -> Option<Tally> {
    let found = model.find(vec![id.to_owned()], None).await.expect("read");
    found.keyed.into_iter().next().map(|(_, tally)| tally)
}

/// The number of events of an aggregate, according to a read model.
pub(crate) async fn count<P: Projection<Document = Tally>>(model: &ReadModel<P>, id: &str) -> u64 {
    tally(model, id).await.map_or(0, |tally| tally.count)
}

/// A projection store with faults on demand.
#[derive(Debug, Default)]
pub(crate) struct TestProjectionStore {
    inner: MemoryProjectionStore,
    /// The numbers of the next calls that fail.
    pub(crate) failing_commits: AtomicU64,
    pub(crate) failing_finds: AtomicU64,
    pub(crate) failing_looks: AtomicU64,
    /// The number of commits that are done, but reported as failures.
    pub(crate) unanswered_commits: AtomicU64,
    /// The duration of a commit, in milliseconds.
    pub(crate) commit_ms: AtomicU64,
    /// The number of commits that are refused because the checkpoint has moved.
    pub(crate) conflicts: AtomicU64,
    /// The number of failures that are reported just after an operator has skipped their event.
    pub(crate) late_failures: AtomicU64,
    /// The number of failures that were reported.
    pub(crate) reports: AtomicU64,
    /// The number of documents that were put or removed.
    pub(crate) changes: AtomicU64,
    /// The number of finds.
    pub(crate) finds: AtomicU64,
    /// The number of reads of the builds.
    pub(crate) looks: AtomicU64,
}

impl TestProjectionStore {
    /// Returns true if this call must fail, and counts it.
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
impl AroundProjectionStore for TestProjectionStore {
    fn inner(&self) -> &dyn ProjectionStore {
        &self.inner
    }

    async fn builds(&self) -> Result<Vec<Build>, StoreError> {
        self.looks.fetch_add(1, SeqCst);
        Self::fails(&self.failing_looks)?;
        self.inner.builds().await
    }

    async fn update(&self, build: BuildId, update: BuildUpdate) -> Result<(), UpdateError> {
        if let BuildUpdate::Fail(failure) = &update {
            self.reports.fetch_add(1, SeqCst);
            if Self::takes(&self.late_failures) {
                let skip = BuildUpdate::Skip(failure.position);
                self.inner.update(build, skip).await?;
            }
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
        // Other tasks run in between, as with a slow store.
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
