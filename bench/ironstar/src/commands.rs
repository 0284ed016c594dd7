//! Durable commands, through the command handler, SQLite and Zenoh. Each client creates a
//! todo and completes it, over and over again.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use ironstar_adapters::sqlite::{DEFAULT_COMMAND_RETENTION, SqliteDatabase, SqliteEventStore};
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_adapters::zenoh::ZenohEventBus;
use ironstar_app::{CommandContext, CommandHandler};
use ironstar_domain::list::ListId;
use ironstar_domain::todo::{TodoCommand, TodoId, TodoState};
use ironstar_ports::Position;

/// An application without a web layer.
pub(crate) struct App {
    pub(crate) store: Arc<SqliteEventStore>,
    pub(crate) commands: CommandHandler,
    pub(crate) bus: Arc<ZenohEventBus>,
}

impl App {
    pub(crate) async fn open(path: &Path) -> anyhow::Result<Self> {
        let database = SqliteDatabase::open(&path.to_owned().into()).await?;
        let clock = Arc::new(SystemClock);
        let store = SqliteEventStore::new(database, clock, DEFAULT_COMMAND_RETENTION);
        let store = Arc::new(store);
        let bus = Arc::new(ZenohEventBus::embedded().await?);
        let commands = CommandHandler::new(
            store.clone(),
            store.clone(),
            bus.clone(),
            Arc::new(SystemIdSource),
        );
        Ok(Self {
            store,
            commands,
            bus,
        })
    }

    /// Returns an id for a new todo.
    pub(crate) fn next_id(&self) -> TodoId {
        self.commands.next_id().into()
    }

    pub(crate) async fn execute(&self, id: TodoId, command: &TodoCommand) -> anyhow::Result<()> {
        execute(&self.commands, id, command).await?;
        Ok(())
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.bus.close().await?;
        self.store.close().await?;
        Ok(())
    }
}

pub(crate) fn create(number: u64) -> anyhow::Result<TodoCommand> {
    Ok(TodoCommand::Create {
        text: format!("Todo number {number}").parse()?,
        list: ListId::SHARED,
    })
}

pub(crate) async fn measure(path: &Path, clients: usize, time: Duration) -> anyhow::Result<f64> {
    let app = App::open(path).await?;
    run(&app.commands, clients, time / 4).await?;
    let start = Instant::now();
    let commands = run(&app.commands, clients, time).await?;
    let figure = commands as f64 / start.elapsed().as_secs_f64();
    app.close().await?;
    Ok(figure)
}

/// Returns the number of commands that this many clients execute in a time.
pub(crate) async fn run(
    handler: &CommandHandler,
    clients: usize,
    time: Duration,
) -> anyhow::Result<u64> {
    let end = Instant::now() + time;
    let clients = (0..clients).map(|_| {
        let handler = handler.clone();
        tokio::spawn(client(handler, end))
    });
    let counts = try_join_all(clients).await?;
    counts.into_iter().sum()
}

async fn client(handler: CommandHandler, end: Instant) -> anyhow::Result<u64> {
    let mut commands = 0;
    while Instant::now() < end {
        let id = handler.next_id().into();
        execute(&handler, id, &create(commands)?).await?;
        execute(&handler, id, &TodoCommand::Complete).await?;
        commands += 2;
    }
    Ok(commands)
}

/// Executes a command. Returns the position of its event.
pub(crate) async fn execute(
    handler: &CommandHandler,
    id: TodoId,
    command: &TodoCommand,
) -> anyhow::Result<Position> {
    let context = CommandContext::default();
    let accepted = handler.execute::<TodoState>(&id, command, &context).await?;
    Ok(accepted.place.position)
}
