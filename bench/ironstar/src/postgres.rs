//! Durable commands on PostgreSQL, and the ceiling: plain loops of the same statements. Each run
//! has a server of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use ironstar_adapters::database::{DatabaseUrl, Stores};
use ironstar_adapters::sqlite::DEFAULT_COMMAND_RETENTION;
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_adapters::zenoh::ZenohEventBus;
use ironstar_app::CommandHandler;
use ironstar_cluster::Cluster;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::commands;

/// One call of the function that appends a batch of new streams with one event each.
const APPEND: &str = "
    SELECT append_batch(0, NULL, $1, $2, $3, $1, $2, $3, $4, $5, $6, $7, '{}', '{}', '{}', '{}', true)";

/// The same rows in one plain statement, without a lock and without checks.
const INSERT: &str = "
    INSERT INTO events (id, aggregate_type, aggregate_id, sequence, event_type, schema_version,
                        payload, metadata, created_at)
    SELECT $8 + number, aggregate_type, aggregate_id, sequence, event_type, schema_version,
           payload::json, metadata::json, clock_timestamp()
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::integer[], $6::text[],
                $7::text[])
        WITH ORDINALITY AS event (aggregate_type, aggregate_id, sequence, event_type,
                                  schema_version, payload, metadata, number)";

/// Returns the commands per second of this many nodes with this many clients in all.
pub(crate) async fn measure(nodes: usize, clients: usize, time: Duration) -> anyhow::Result<f64> {
    let cluster = Cluster::start()?;
    let url: DatabaseUrl = cluster.database().await?.parse()?;
    let open = || async { Node::open(&url, ZenohEventBus::embedded().await?).await };
    let nodes = try_join_all((0..nodes).map(|_| open())).await?;
    run(&nodes, clients, time / 4).await?;
    let start = Instant::now();
    let commands = run(&nodes, clients, time).await?;
    let figure = commands as f64 / start.elapsed().as_secs_f64();
    for node in nodes {
        node.close().await?;
    }
    Ok(figure)
}

/// A server without a web layer.
pub(crate) struct Node {
    pub(crate) stores: Stores,
    pub(crate) commands: CommandHandler,
    pub(crate) bus: Arc<ZenohEventBus>,
}

impl Node {
    pub(crate) async fn open(url: &DatabaseUrl, bus: ZenohEventBus) -> anyhow::Result<Self> {
        let clock = Arc::new(SystemClock);
        let stores = url.open(clock, DEFAULT_COMMAND_RETENTION).await?;
        let bus = Arc::new(bus);
        let commands = CommandHandler::new(
            stores.events.clone(),
            stores.snapshots.clone(),
            bus.clone(),
            Arc::new(SystemIdSource),
        );
        Ok(Self {
            stores,
            commands,
            bus,
        })
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.bus.close().await?;
        self.stores.close().await?;
        Ok(())
    }
}

async fn run(nodes: &[Node], clients: usize, time: Duration) -> anyhow::Result<u64> {
    let runs = nodes
        .iter()
        .map(|node| commands::run(&node.commands, clients / nodes.len(), time));
    Ok(try_join_all(runs).await?.into_iter().sum())
}

/// Returns the rows per second of a plain loop with this many rows in a statement: of the
/// function that appends, or of a plain insert.
pub(crate) async fn ceiling(batch: usize, plain: bool, time: Duration) -> anyhow::Result<f64> {
    let cluster = Cluster::start()?;
    let url = cluster.database().await?;
    url.parse::<DatabaseUrl>()?.migrate().await?;
    let mut connection = PgConnection::connect(&url).await?;
    let mut rows = 0;
    insert(&mut connection, batch, plain, time / 4, &mut rows).await?;
    let (start, before) = (Instant::now(), rows);
    insert(&mut connection, batch, plain, time, &mut rows).await?;
    Ok((rows - before) as f64 / start.elapsed().as_secs_f64())
}

async fn insert(
    connection: &mut PgConnection,
    batch: usize,
    plain: bool,
    time: Duration,
    rows: &mut i64,
) -> anyhow::Result<()> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        let metadata = |_| format!(r#"{{"event_id":"{}"}}"#, Uuid::now_v7());
        let payload = |row| format!(r#"{{"type":"created","text":"Todo number {row}"}}"#);
        let query = sqlx::query(if plain { INSERT } else { APPEND })
            .bind(vec!["Todo"; batch])
            .bind(
                (0..batch)
                    .map(|_| Uuid::now_v7().to_string())
                    .collect::<Vec<_>>(),
            )
            .bind(vec![0_i64; batch])
            .bind(vec!["created"; batch])
            .bind(vec![1_i32; batch])
            .bind((0..batch).map(payload).collect::<Vec<_>>())
            .bind((0..batch).map(metadata).collect::<Vec<_>>());
        let query = if plain { query.bind(*rows) } else { query };
        query.execute(&mut *connection).await?;
        *rows += batch as i64;
    }
    Ok(())
}
