//! Servers that run process managers on the same log, with paused time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ironstar_adapters::memory::{MemoryEventStore, MemorySnapshotStore};
use ironstar_adapters::system::{SteadyClock, SystemIdSource};
use ironstar_app::process::{Executor, NotExecuted, Reaction, State};
use ironstar_app::projection::{FoldError, Projection};
use ironstar_app::{
    CommandContext, CommandError, CommandHandler, EventFeed, FeedOptions, HandOvers,
    ProcessManager, Projections, decode,
};
use ironstar_domain::{Aggregate, Principal, StepState};
use ironstar_fixtures::note::{self, NoteCommand, NoteState};
use ironstar_fixtures::remark::{RemarkCommand, RemarkError, RemarkEvent, RemarkState};
use ironstar_ports::contract::doubles::AroundEventStore;
use ironstar_ports::{
    Append, AppendError, Appended, Build, Clock, Envelope, EventStore, ExpectedSequence, Metadata,
    NewEvent, Origin, Payload, Position, ProjectionStore, StoreError, StreamId,
};
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::support::{TestProjectionStore, memory_bus};

/// A clock that follows the time of the test, and can be set.
#[derive(Debug)]
pub(crate) struct PausedClock {
    since: Instant,
    shift: Mutex<Duration>,
}

impl PausedClock {
    /// Moves the clock forward.
    pub(crate) fn jump(&self, by: Duration) {
        *self.shift.lock().expect("the lock is not poisoned") += by;
    }
}

impl Clock for PausedClock {
    fn now(&self) -> OffsetDateTime {
        let shift = *self.shift.lock().expect("the lock is not poisoned");
        OffsetDateTime::UNIX_EPOCH + self.since.elapsed() + shift
    }

    fn uptime(&self) -> Duration {
        self.since.elapsed()
    }
}

/// The data that outlives a server.
pub(crate) struct World {
    pub(crate) events: Arc<MemoryEventStore>,
    pub(crate) documents: Arc<TestProjectionStore>,
    /// The clock of the machine.
    pub(crate) machine: Arc<PausedClock>,
    clock: Arc<dyn Clock>,
}

/// A server.
pub(crate) struct Node {
    pub(crate) commands: CommandHandler,
    pub(crate) projections: Projections,
    feed: EventFeed,
    managers: Mutex<Vec<JoinHandle<()>>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let machine = Arc::new(PausedClock {
            since: Instant::now(),
            shift: Mutex::default(),
        });
        let clock = Arc::new(SteadyClock::new(machine.clone()));
        Self {
            machine,
            events: Arc::new(MemoryEventStore::new(clock.clone())),
            documents: Arc::default(),
            clock,
        }
    }

    pub(crate) async fn node(&self) -> Node {
        self.node_on(self.events.clone()).await
    }

    /// A server that reads the log through another store.
    pub(crate) async fn node_on(&self, events: Arc<dyn EventStore>) -> Node {
        let bus = memory_bus();
        let feed = EventFeed::start(events.clone(), &*bus, FeedOptions::default());
        let feed = feed.await.expect("started");
        let snapshots = Arc::new(MemorySnapshotStore::new());
        let ids = Arc::new(SystemIdSource);
        let commands = CommandHandler::new(events.clone(), snapshots, bus, ids);
        let documents = self.documents.clone();
        let projections = Projections::new(documents, events, feed.clone(), self.clock.clone());
        Node {
            commands,
            projections,
            feed,
            managers: Mutex::default(),
        }
    }

    pub(crate) async fn log(&self) -> Vec<Envelope> {
        let log = self.events.load_after(Position::START, usize::MAX).await;
        log.expect("read")
    }

    /// The number of events of a type.
    pub(crate) async fn count(&self, event_type: &str) -> usize {
        let log = self.log().await;
        log.iter()
            .filter(|event| event.event_type == event_type)
            .count()
    }

    /// Waits until this many steps are over.
    pub(crate) async fn until_over(&self, steps: usize) {
        let over = async {
            while self
                .log()
                .await
                .iter()
                .filter(|event| event.stream.aggregate_type == StepState::TYPE)
                .count()
                < steps
            {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(600), over)
            .await
            .expect("the steps end in time");
    }

    /// The state of an aggregate.
    pub(crate) async fn state<A: Aggregate>(&self, id: A::Id) -> A {
        let stream = StreamId::new(A::TYPE, id.to_string());
        let events = self.events.load_stream(&stream, None, usize::MAX).await;
        let events = events.expect("read");
        events.iter().fold(A::default(), |state, event| {
            state.apply(&decode::<A>(event).expect("it can be read").1)
        })
    }

    /// The builds of a projection, the live one first.
    pub(crate) async fn builds<P: Projection>(&self) -> Vec<Build> {
        let mut builds = self.documents.builds().await.expect("read");
        builds.retain(|build| build.name == P::NAME);
        builds
    }

    /// Creates remarks, each on a short-lived server without process managers.
    pub(crate) async fn create_remarks(&self, count: usize) {
        for _ in 0..count {
            self.node().await.create_remark().await;
        }
    }

    /// Appends an unreadable event.
    pub(crate) async fn painted(&self, aggregate_type: &str, id: &str) -> Position {
        let painted = NewEvent {
            event_type: "painted".to_owned(),
            schema_version: 1,
            payload: Payload::from_text("{}".to_owned()).expect("JSON"),
            metadata: Metadata::new(Uuid::nil()),
        };
        let stream = StreamId::new(aggregate_type, id);
        let append = Append::to_stream(stream, ExpectedSequence::NoStream, vec![painted]);
        self.events
            .append(append)
            .await
            .expect("appended")
            .place()
            .position
    }
}

impl Node {
    /// Runs the process manager that stamps remarks, with an executor of this kind.
    pub(crate) fn run(&self, manner: Manner) {
        let commands = self.commands.clone();
        let stamper = Stamper { commands, manner };
        let manager =
            self.projections
                .manage::<Stamping, _>(self.commands.clone(), stamper, Duration::ZERO);
        self.keep(manager);
    }

    pub(crate) fn hand_over_guests(&self, hand_overs: HandOvers) {
        self.keep(hand_overs.manage(&self.projections));
    }

    /// Stops the process manager together with the server.
    pub(crate) fn keep(&self, manager: JoinHandle<()>) {
        let mut managers = self.managers.lock().expect("the lock is not poisoned");
        managers.push(manager);
    }

    /// Stops the server at once, in the middle of its work.
    pub(crate) fn stop(self) {
        for manager in self
            .managers
            .into_inner()
            .expect("the lock is not poisoned")
        {
            manager.abort();
        }
        self.feed.stop();
    }

    /// Creates a remark on the open note.
    pub(crate) async fn create_remark(&self) -> Uuid {
        let id = self.commands.next_id();
        let (note, text) = (note::OPEN, "Buy milk".to_owned());
        let (create, context) = (RemarkCommand::Create { note, text }, request());
        let done = self.commands.execute::<RemarkState>(&id, &create, &context);
        done.await.expect("accepted");
        id
    }

    /// Creates a note of this owner.
    pub(crate) async fn create_note(&self, owner: Option<Principal>) -> Uuid {
        let id = self.commands.next_id();
        let text = "Groceries".to_owned();
        let (create, context) = (NoteCommand::Create { text, owner }, request());
        let done = self
            .commands
            .create_owned::<NoteState>(&id, &create, &context);
        done.await.expect("accepted");
        id
    }
}

/// The context of a command of a request.
pub(crate) fn request() -> CommandContext {
    CommandContext {
        origin: Origin {
            correlation_id: Some("the request".to_owned()),
            ..Origin::default()
        },
        ..CommandContext::default()
    }
}

/// The streams and types of the events.
pub(crate) fn words(log: &[Envelope]) -> Vec<String> {
    log.iter()
        .map(|event| format!("{} {}", event.stream, event.event_type))
        .collect()
}

/// Asks for a stamp on every new remark.
#[derive(Debug)]
pub(crate) struct Stamping;

impl ProcessManager for Stamping {
    const NAME: &'static str = "stamping";
    const VERSION: u32 = 1;
    const AGGREGATES: &'static [&'static str] = &[RemarkState::TYPE];

    type State = ();
    type Command = Uuid;

    fn react(event: &Envelope, _: &mut State<'_, (), Uuid>) -> Result<Reaction<Uuid>, FoldError> {
        let (id, happened) = decode::<RemarkState>(event)?;
        Ok(match happened {
            RemarkEvent::Created { .. } => Reaction::nothing().and(id),
            RemarkEvent::Rewritten { .. }
            | RemarkEvent::Closed
            | RemarkEvent::Reopened
            | RemarkEvent::Deleted => Reaction::nothing(),
        })
    }
}

/// The behaviour of the executor. A stamp is a new text each time, so that a second stamp is
/// visible.
pub(crate) enum Manner {
    /// Runs at once.
    Eager,
    /// Pauses before and after, so that other tasks run.
    Slow(Duration),
    /// Fails for this remark, this many times; the second failure is a panic.
    Brittle {
        remark: Uuid,
        times: u64,
        tried: Arc<AtomicU64>,
    },
    /// Reports success, and stores nothing.
    Forgetful { tried: Arc<AtomicU64> },
    /// Is refused, because its remark does not exist.
    Refusing { tried: Arc<AtomicU64> },
    /// Needs this event, which it cannot read.
    Older { needs: Box<Envelope> },
    /// Hangs for this remark, the first time.
    Hanging { remark: Uuid, tried: Arc<AtomicU64> },
}

struct Stamper {
    commands: CommandHandler,
    manner: Manner,
}

impl Executor<Uuid> for Stamper {
    async fn execute(&self, remark: &Uuid, context: &CommandContext) -> Result<(), NotExecuted> {
        let mut remark = *remark;
        match &self.manner {
            Manner::Eager => {}
            Manner::Slow(pause) => sleep(*pause).await,
            Manner::Brittle {
                remark: brittle,
                times,
                tried,
            } => {
                if remark == *brittle {
                    let before = tried.fetch_add(1, SeqCst);
                    assert!(before != 1, "it breaks");
                    if before < *times {
                        return Err(NotExecuted::Failed("not now".into()));
                    }
                }
            }
            Manner::Hanging {
                remark: hanging,
                tried,
            } => {
                if remark == *hanging && tried.fetch_add(1, SeqCst) == 0 {
                    std::future::pending::<()>().await;
                }
            }
            Manner::Forgetful { tried } => {
                tried.fetch_add(1, SeqCst);
                return Ok(());
            }
            Manner::Older { needs } => {
                let unreadable = decode::<RemarkState>(needs).expect_err("a newer event");
                return Err(CommandError::<RemarkError>::from(unreadable).into());
            }
            Manner::Refusing { tried } => {
                tried.fetch_add(1, SeqCst);
                remark = Uuid::from_u128(1);
            }
        }
        let text = self.commands.next_id().to_string();
        let stamp = RemarkCommand::Rewrite { text };
        self.commands
            .execute::<RemarkState>(&remark, &stamp, context)
            .await?;
        if let Manner::Slow(pause) = &self.manner {
            sleep(*pause).await;
        }
        Ok(())
    }
}

/// A log that stores appends with a step, but reports a failure, this many times. While it is
/// down, it stores nothing.
#[derive(Debug)]
pub(crate) struct UnansweringStore {
    inner: Arc<MemoryEventStore>,
    times: AtomicU64,
    pub(crate) is_down: AtomicBool,
    /// The number of appends.
    pub(crate) asked: AtomicU64,
}

impl UnansweringStore {
    pub(crate) fn new(world: &World, times: u64) -> Self {
        Self {
            inner: world.events.clone(),
            times: times.into(),
            is_down: AtomicBool::new(false),
            asked: AtomicU64::new(0),
        }
    }
}

#[async_trait]
impl AroundEventStore for UnansweringStore {
    fn inner(&self) -> &dyn EventStore {
        &*self.inner
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.asked.fetch_add(1, SeqCst);
        if self.is_down.load(SeqCst) {
            return Err(StoreError::unavailable("the log is down").into());
        }
        let mut streams = append.streams.iter();
        let is_step = streams.any(|append| append.stream.aggregate_type == StepState::TYPE);
        let appended = self.inner.append(append).await?;
        let left = |times: u64| times.checked_sub(1);
        if is_step && self.times.fetch_update(SeqCst, SeqCst, left).is_ok() {
            return Err(StoreError::unavailable("the answer is lost").into());
        }
        Ok(appended)
    }
}
