//! The same commands on todos with cqrs-es, and sqlite-es or postgres-es.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, CqrsFramework, DomainEvent, EventStore};
use futures::future::try_join_all;
use ironstar_cluster::Cluster;
use postgres_es::{default_postgress_pool, postgres_cqrs};
use serde::{Deserialize, Serialize};
use sqlite_es::{default_sqlite_pool, sqlite_cqrs};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long)]
    folder: PathBuf,
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    #[arg(long)]
    clients: usize,
    /// Use PostgreSQL instead of SQLite
    #[arg(long)]
    postgres: bool,
    /// Use synchronous=FULL instead of the default of cqrs-es, NORMAL
    #[arg(long)]
    full: bool,
}

#[derive(Debug, Default, Deserialize, Serialize)]
enum Todo {
    #[default]
    NotCreated,
    Active,
    Completed,
}

enum Command {
    Create(String),
    Complete,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
enum Event {
    Created { text: String },
    Completed,
}

#[derive(Debug)]
struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        match self {
            Self::Created { .. } => "created".to_owned(),
            Self::Completed => "completed".to_owned(),
        }
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for Todo {
    const TYPE: &'static str = "Todo";
    type Command = Command;
    type Event = Event;
    type Error = Refused;
    type Services = ();

    async fn handle(
        &mut self,
        command: Command,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Refused> {
        match (&self, command) {
            (Self::NotCreated, Command::Create(text)) => {
                sink.write(Event::Created { text }, self).await;
            }
            (Self::Active, Command::Complete) => sink.write(Event::Completed, self).await,
            _ => return Err(Refused),
        }
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        *self = match event {
            Event::Created { .. } => Self::Active,
            Event::Completed => Self::Completed,
        };
    }
}

const POSTGRES_SCHEMA: &str = "
    CREATE TABLE events (
        aggregate_type text NOT NULL,
        aggregate_id text NOT NULL,
        sequence bigint CHECK (sequence >= 0) NOT NULL,
        event_type text NOT NULL,
        event_version text NOT NULL,
        payload json NOT NULL,
        metadata json NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, sequence)
    )";

const SCHEMA: &str = "
    CREATE TABLE events (
        aggregate_type text NOT NULL,
        aggregate_id text NOT NULL,
        sequence integer CHECK (sequence >= 0) NOT NULL,
        event_type text NOT NULL,
        event_version text NOT NULL,
        payload text NOT NULL,
        metadata text NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, sequence)
    ) STRICT";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if !arguments.postgres {
        let folder = tempfile::tempdir_in(&arguments.folder)?;
        let pool = sqlite(&folder.path().join("bench.db"), arguments.full).await?;
        sqlx::query(SCHEMA).execute(&pool).await?;
        return measure(sqlite_cqrs::<Todo>(pool, vec![], ()), &arguments).await;
    }
    let cluster = Cluster::start()?;
    let pool = default_postgress_pool(&cluster.database().await?).await;
    sqlx::query(POSTGRES_SCHEMA).execute(&pool).await?;
    measure(postgres_cqrs::<Todo>(pool, vec![], ()), &arguments).await
}

async fn sqlite(path: &Path, is_full: bool) -> anyhow::Result<SqlitePool> {
    if !is_full {
        return Ok(default_sqlite_pool(&format!("sqlite://{}", path.display())).await);
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true);
    let pool = SqlitePoolOptions::new().max_connections(10);
    Ok(pool.connect_with(options).await?)
}

async fn measure<S>(todos: CqrsFramework<Todo, S>, arguments: &Arguments) -> anyhow::Result<()>
where
    S: EventStore<Todo, AC: Send> + 'static,
{
    let todos = Arc::new(todos);
    let time = Duration::from_secs_f64(arguments.seconds);
    run(&todos, arguments.clients, time / 4).await?;
    let start = Instant::now();
    let commands = run(&todos, arguments.clients, time).await?;
    println!(
        "rate {:.1}",
        commands as f64 / start.elapsed().as_secs_f64()
    );
    Ok(())
}

async fn run<S>(
    todos: &Arc<CqrsFramework<Todo, S>>,
    clients: usize,
    time: Duration,
) -> anyhow::Result<u64>
where
    S: EventStore<Todo, AC: Send> + 'static,
{
    let end = Instant::now() + time;
    let clients = (0..clients).map(|_| {
        let todos = Arc::clone(todos);
        tokio::spawn(async move {
            let mut commands = 0;
            while Instant::now() < end {
                let id = uuid::Uuid::now_v7().to_string();
                let text = format!("Todo number {commands}");
                // Locks of other connections make commands fail. Failed commands are
                // repeated, and count when they succeed.
                while todos
                    .execute(&id, Command::Create(text.clone()))
                    .await
                    .is_err()
                {}
                while todos.execute(&id, Command::Complete).await.is_err() {}
                commands += 2;
            }
            commands
        })
    });
    Ok(try_join_all(clients).await?.into_iter().sum())
}
