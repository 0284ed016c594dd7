//! Durable commands, through the command handler, SQLite and Zenoh. Each client
//! creates a todo and completes it, over and over.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use ironstar_adapters::sqlite::{DEFAULT_COMMAND_RETENTION, SqliteDatabase, SqliteEventStore};
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_adapters::zenoh::ZenohEventBus;
use ironstar_app::{CommandContext, CommandHandler, TodoService};
use ironstar_domain::TodoCommand;

/// An application without a web layer.
pub(crate) struct App {
    pub(crate) store: Arc<SqliteEventStore>,
    pub(crate) todos: TodoService,
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
            todos: TodoService::new(commands),
            bus,
        })
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
    run(&app, clients, time / 4).await?;
    let start = Instant::now();
    let commands = run(&app, clients, time).await?;
    let figure = commands as f64 / start.elapsed().as_secs_f64();
    app.close().await?;
    Ok(figure)
}

async fn run(app: &App, clients: usize, time: Duration) -> anyhow::Result<u64> {
    let end = Instant::now() + time;
    let clients = (0..clients).map(|_| {
        let todos = app.todos.clone();
        tokio::spawn(client(todos, end))
    });
    let counts = try_join_all(clients).await?;
    counts.into_iter().sum()
}

async fn client(todos: TodoService, end: Instant) -> anyhow::Result<u64> {
    let context = CommandContext::default();
    let mut commands = 0;
    while Instant::now() < end {
        let id = todos.next_id();
        todos.execute(id, &create(commands)?, &context).await?;
        todos.execute(id, &TodoCommand::Complete, &context).await?;
        commands += 2;
    }
    Ok(commands)
}
