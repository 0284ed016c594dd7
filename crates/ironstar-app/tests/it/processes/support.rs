//! Servers that run process managers on the same log, with paused time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ironstar_adapters::memory::{MemoryEventStore, MemorySnapshotStore};
use ironstar_adapters::system::{SteadyClock, SystemIdSource};
use ironstar_app::features::hand_overs;
use ironstar_app::process::{Executor, NotExecuted, Reaction, State};
use ironstar_app::projection::{FoldError, Projection};
use ironstar_app::todo::{ArchiveDoneLists, ListStep};
use ironstar_app::{
    CommandContext, CommandHandler, EventFeed, FeedOptions, HandOvers, ListService, ProcessManager,
    Projections, decode,
};
use ironstar_domain::list::{ListCommand, ListId};
use ironstar_domain::todo::{TodoCommand, TodoEvent, TodoId, TodoState};
use ironstar_domain::{Aggregate, StepState};
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
pub(super) struct PausedClock {
    since: Instant,
    shift: Mutex<Duration>,
}

impl PausedClock {
    /// Moves the clock forward.
    pub(super) fn jump(&self, by: Duration) {
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
pub(super) struct World {
    pub(super) events: Arc<MemoryEventStore>,
    pub(super) documents: Arc<TestProjectionStore>,
    /// The clock of the machine.
    pub(super) machine: Arc<PausedClock>,
    clock: Arc<dyn Clock>,
}

/// A server.
pub(super) struct Node {
    pub(super) commands: CommandHandler,
    pub(super) lists: ListService,
    projections: Projections,
    feed: EventFeed,
    managers: Mutex<Vec<JoinHandle<()>>>,
}

impl World {
    pub(super) fn new() -> Self {
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

    pub(super) async fn node(&self) -> Node {
        self.node_on(self.events.clone()).await
    }

    /// A server that reads the log through another store.
    pub(super) async fn node_on(&self, events: Arc<dyn EventStore>) -> Node {
        let bus = memory_bus();
        let feed = EventFeed::start(events.clone(), &*bus, FeedOptions::default());
        let feed = feed.await.expect("started");
        let snapshots = Arc::new(MemorySnapshotStore::new());
        let ids = Arc::new(SystemIdSource);
        let commands = CommandHandler::new(events.clone(), snapshots, bus, ids);
        let documents = self.documents.clone();
        let projections = Projections::new(documents, events, feed.clone(), self.clock.clone());
        Node {
            lists: ListService::new(commands.clone(), projections.model()),
            commands,
            projections,
            feed,
            managers: Mutex::default(),
        }
    }

    pub(super) async fn log(&self) -> Vec<Envelope> {
        let log = self.events.load_after(Position::START, usize::MAX).await;
        log.expect("read")
    }

    /// The number of events of a type.
    pub(super) async fn count(&self, event_type: &str) -> usize {
        let log = self.log().await;
        log.iter()
            .filter(|event| event.event_type == event_type)
            .count()
    }

    /// Waits until this many steps are over.
    pub(super) async fn until_over(&self, steps: usize) {
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
    pub(super) async fn state<A: Aggregate>(&self, id: A::Id) -> A {
        let stream = StreamId::new(A::TYPE, id.to_string());
        let events = self.events.load_stream(&stream, None, usize::MAX).await;
        let events = events.expect("read");
        events.iter().fold(A::default(), |state, event| {
            state.apply(&decode::<A>(event).expect("it can be read").1)
        })
    }

    /// The builds of a projection, the live one first.
    pub(super) async fn builds<P: Projection>(&self) -> Vec<Build> {
        let mut builds = self.documents.builds().await.expect("read");
        builds.retain(|build| build.name == P::NAME);
        builds
    }

    /// Creates todos, each on a short-lived server without process managers.
    pub(super) async fn create_todos(&self, count: usize) {
        for _ in 0..count {
            self.node().await.create_todo(ListId::SHARED).await;
        }
    }

    /// Appends an unreadable event.
    pub(super) async fn painted(&self, aggregate_type: &str, id: &str) -> Position {
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
    /// Runs the process manager that stamps todos, with an executor of this kind.
    pub(super) fn run(&self, manner: Manner) {
        let commands = self.commands.clone();
        let stamper = Stamper { commands, manner };
        let manager =
            self.projections
                .manage::<Stamping, _>(self.commands.clone(), stamper, Duration::ZERO);
        self.keep(manager);
    }

    pub(super) fn archive_after(&self, patience: Duration) {
        self.archive_with(self.lists.clone(), patience);
    }

    pub(super) fn archive_with(&self, executor: impl Executor<ListStep>, patience: Duration) {
        let commands = self.commands.clone();
        let projections = &self.projections;
        self.keep(projections.manage::<ArchiveDoneLists, _>(commands, executor, patience));
    }

    /// Hands over all kinds of aggregates.
    pub(super) fn hand_overs(&self) -> HandOvers {
        hand_overs(&self.commands, &self.projections)
    }

    pub(super) fn hand_over_guests(&self, hand_overs: HandOvers) {
        self.keep(hand_overs.manage(&self.projections));
    }

    fn keep(&self, manager: JoinHandle<()>) {
        let mut managers = self.managers.lock().expect("the lock is not poisoned");
        managers.push(manager);
    }

    /// Stops the server at once, in the middle of its work.
    pub(super) fn stop(self) {
        for manager in self
            .managers
            .into_inner()
            .expect("the lock is not poisoned")
        {
            manager.abort();
        }
        self.feed.stop();
    }

    pub(super) async fn create_todo(&self, list: ListId) -> TodoId {
        let id = self.commands.next_id().into();
        let text = "Buy milk".parse().expect("a text");
        self.on_todo(id, TodoCommand::Create { text, list }).await;
        id
    }

    pub(super) async fn on_todo(&self, id: TodoId, command: TodoCommand) {
        let context = request();
        let done = self.commands.execute::<TodoState>(&id, &command, &context);
        done.await.expect("accepted");
    }

    pub(super) async fn on_list(&self, id: ListId, command: ListCommand) {
        let context = request();
        let done = self.lists.execute(id, &command, &context);
        done.await.expect("accepted");
    }

    /// A list whose only todo is completed.
    pub(super) async fn done_list(&self) -> ListId {
        let list = self.lists.next_id();
        let name = "Groceries".parse().expect("a name");
        self.on_list(list, ListCommand::Create { name, owner: None })
            .await;
        let todo = self.create_todo(list).await;
        self.on_todo(todo, TodoCommand::Complete).await;
        list
    }
}

fn request() -> CommandContext {
    CommandContext {
        origin: Origin {
            correlation_id: Some("the request".to_owned()),
            ..Origin::default()
        },
        ..CommandContext::default()
    }
}

/// The streams and types of the events.
pub(super) fn words(log: &[Envelope]) -> Vec<String> {
    log.iter()
        .map(|event| format!("{} {}", event.stream, event.event_type))
        .collect()
}

/// Asks for a stamp on every new todo.
#[derive(Debug)]
pub(super) struct Stamping;

impl ProcessManager for Stamping {
    const NAME: &'static str = "stamping";
    const VERSION: u32 = 1;
    const AGGREGATES: &'static [&'static str] = &[TodoState::TYPE];

    type State = ();
    type Command = TodoId;

    fn react(
        event: &Envelope,
        _: &mut State<'_, (), TodoId>,
    ) -> Result<Reaction<TodoId>, FoldError> {
        let (id, happened) = decode::<TodoState>(event)?;
        Ok(match happened {
            TodoEvent::Created { .. } => Reaction::nothing().and(id),
            TodoEvent::Renamed { .. }
            | TodoEvent::Completed
            | TodoEvent::Reopened
            | TodoEvent::Deleted => Reaction::nothing(),
        })
    }
}

/// The behaviour of the executor. A stamp is a new text each time, so that a second stamp is
/// visible.
pub(super) enum Manner {
    /// Runs at once.
    Eager,
    /// Pauses before and after, so that other tasks run.
    Slow(Duration),
    /// Fails for this todo, this many times; the second failure is a panic.
    Brittle {
        todo: TodoId,
        times: u64,
        tried: Arc<AtomicU64>,
    },
    /// Reports success, and stores nothing.
    Forgetful { tried: Arc<AtomicU64> },
    /// Is refused, because its todo does not exist.
    Refusing { tried: Arc<AtomicU64> },
    /// Hangs for this todo, the first time.
    Hanging { todo: TodoId, tried: Arc<AtomicU64> },
}

struct Stamper {
    commands: CommandHandler,
    manner: Manner,
}

impl Executor<TodoId> for Stamper {
    async fn execute(&self, todo: &TodoId, context: &CommandContext) -> Result<(), NotExecuted> {
        let mut todo = *todo;
        match &self.manner {
            Manner::Eager => {}
            Manner::Slow(pause) => sleep(*pause).await,
            Manner::Brittle {
                todo: brittle,
                times,
                tried,
            } => {
                if todo == *brittle {
                    let before = tried.fetch_add(1, SeqCst);
                    assert!(before != 1, "it breaks");
                    if before < *times {
                        return Err(NotExecuted::Failed("not now".into()));
                    }
                }
            }
            Manner::Hanging {
                todo: hanging,
                tried,
            } => {
                if todo == *hanging && tried.fetch_add(1, SeqCst) == 0 {
                    std::future::pending::<()>().await;
                }
            }
            Manner::Forgetful { tried } => {
                tried.fetch_add(1, SeqCst);
                return Ok(());
            }
            Manner::Refusing { tried } => {
                tried.fetch_add(1, SeqCst);
                todo = TodoId::new(Uuid::from_u128(1));
            }
        }
        let text = self.commands.next_id().to_string();
        let text = text.parse().expect("a text");
        let stamp = TodoCommand::Rename { text };
        self.commands
            .execute::<TodoState>(&todo, &stamp, context)
            .await?;
        if let Manner::Slow(pause) = &self.manner {
            sleep(*pause).await;
        }
        Ok(())
    }
}

/// An executor that pauses first.
pub(super) struct Slowly(pub(super) ListService, pub(super) Duration);

impl Executor<ListStep> for Slowly {
    async fn execute(&self, step: &ListStep, context: &CommandContext) -> Result<(), NotExecuted> {
        sleep(self.1).await;
        Executor::execute(&self.0, step, context).await
    }
}

/// An executor that opens the todo of a list again just before the list is archived. If it
/// `insists`, it also restores and archives the list just before the list is restored.
pub(super) struct Touching {
    commands: CommandHandler,
    lists: ListService,
    todo: TodoId,
    insists: bool,
}

impl Touching {
    /// The list must be the only one, and have one todo.
    pub(super) async fn only_list(world: &World, node: &Node, insists: bool) -> Self {
        let created = &world.log().await[1];
        Self {
            commands: node.commands.clone(),
            lists: node.lists.clone(),
            todo: created.stream.aggregate_id.parse().expect("an id"),
            insists,
        }
    }
}

impl Executor<ListStep> for Touching {
    async fn execute(&self, step: &ListStep, context: &CommandContext) -> Result<(), NotExecuted> {
        if matches!(step, ListStep::Archive(_)) {
            let (reopen, context) = (TodoCommand::Reopen, request());
            let reopened = self
                .commands
                .execute::<TodoState>(&self.todo, &reopen, &context);
            reopened.await?;
        }
        if let ListStep::Restore(at) = step
            && self.insists
        {
            for command in [ListCommand::Restore, ListCommand::Archive] {
                let context = request();
                let done = self.lists.execute(at.list, &command, &context).await;
                done?;
            }
        }
        Executor::execute(&self.lists, step, context).await
    }
}

/// A log that stores appends with a step, but reports a failure, this many times. While it is
/// down, it stores nothing.
#[derive(Debug)]
pub(super) struct UnansweringStore {
    inner: Arc<MemoryEventStore>,
    times: AtomicU64,
    pub(super) is_down: AtomicBool,
    /// The number of appends.
    pub(super) asked: AtomicU64,
}

impl UnansweringStore {
    pub(super) fn new(world: &World, times: u64) -> Self {
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
