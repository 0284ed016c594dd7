//! Several nodes on one PostgreSQL database, each projection of which one node folds.
//!
//! Events are appended all the time. Nodes are killed, frozen, replaced while they go on working,
//! and cut off from the database, one of them or all at once. No node may store documents under a
//! lease after another node has done so under a newer one. When the faults are over, all read
//! models must reach the end of the log within a bounded time, on every node, and contain each
//! event once.

mod audit;
mod node;
mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ironstar_adapters::memory::MemoryEventBus;
use ironstar_adapters::postgres::{PostgresDatabase, PostgresEventStore, PostgresUrl};
use ironstar_adapters::sqlite::DEFAULT_COMMAND_RETENTION;
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_cluster::Cluster;
use ironstar_ports::{
    Append, EventStore, ExpectedSequence, IdSource, LeaseStore, Metadata, NewEvent, Payload,
    StreamId,
};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::audit::Audit;
use self::node::Node;
use self::tally::{AGGREGATE, NAMES};
use crate::nodes::faults::TERMINATE;
use crate::{Bug, Findings, Plan};

const NODES: usize = 3;

/// The number of streams that events go to.
const STREAMS: usize = 20;

/// The term of leases, short so that many end.
const TERM: Duration = Duration::from_millis(500);

/// The longest time of one round, which has a database of its own.
const ROUND: Duration = Duration::from_secs(8);

/// The time within which all read models must reach the end of the log after the faults. It is
/// long for a slow machine. Without any node that folds, no time is long enough.
const SETTLED: Duration = Duration::from_secs(15);

/// Runs the check.
///
/// # Errors
///
/// The check itself does not work.
pub async fn check(plan: &Plan) -> anyhow::Result<Findings> {
    let cluster = Cluster::start()?;
    let mut findings = Findings::new(plan);
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let end = Instant::now() + plan.time;
    while Instant::now() < end && !findings.is_enough() {
        let url = cluster.database().await?;
        let left = end.saturating_duration_since(Instant::now());
        let mut round = Round::begin(&url, plan.bug, random.fork()).await?;
        let outcome = round.run(left.min(ROUND), &mut findings).await;
        round.end().await;
        outcome?;
    }
    Ok(findings)
}

/// One database with its nodes.
struct Round {
    url: PostgresUrl,
    bug: Option<Bug>,
    random: fastrand::Rng,
    nodes: Vec<Node>,
    begun: usize,
    audit: Arc<Audit>,
    log: Arc<PostgresEventStore>,
    operator: PgConnection,
}

impl Round {
    async fn begin(url: &str, bug: Option<Bug>, random: fastrand::Rng) -> anyhow::Result<Self> {
        let options: PgConnectOptions = url.parse()?;
        let url: PostgresUrl = url.parse()?;
        let log = Arc::new(open(&url).await?);
        let mut round = Self {
            url,
            bug,
            random,
            nodes: Vec::new(),
            begun: 0,
            audit: Arc::default(),
            log,
            operator: options.application_name("operator").connect().await?,
        };
        for _ in 0..NODES {
            round.start_node();
        }
        Ok(round)
    }

    fn start_node(&mut self) {
        self.begun += 1;
        let name = format!("node-{}", self.begun);
        let node = Node::start(name, self.url.clone(), self.bug, Arc::clone(&self.audit));
        self.nodes.push(node);
    }

    async fn run(&mut self, time: Duration, findings: &mut Findings) -> anyhow::Result<()> {
        let over = CancellationToken::new();
        let log = Arc::clone(&self.log);
        let appending = tokio::spawn(append(log, over.clone(), self.random.fork()));
        let end = Instant::now() + time;
        while Instant::now() < end {
            sleep(Duration::from_millis(self.random.u64(50..400))).await;
            self.inject().await?;
            findings.did("injected faults", 1);
        }
        over.cancel();
        findings.did("events", appending.await?);
        self.settle(findings).await?;
        findings.did("changes of a holder", self.audit.changes_of_holder());
        findings.violations.extend(self.audit.violations());
        self.compare(findings).await
    }

    async fn inject(&mut self) -> anyhow::Result<()> {
        let node = self.random.usize(0..self.nodes.len());
        let time = TERM.mul_f64(1.0 + 2.0 * self.random.f64());
        match self.random.u8(0..10) {
            0 => {
                self.nodes.swap_remove(node).kill();
                self.start_node();
            }
            1 => {
                self.nodes.swap_remove(node).leave().await;
                self.start_node();
            }
            2 => {
                for node in self.nodes.drain(..) {
                    node.kill();
                }
                (0..NODES).for_each(|_| self.start_node());
            }
            3 | 4 => self.nodes[node].freeze(time),
            5..=7 => self.nodes[node].silence(time),
            8 => {
                sqlx::raw_sql(TERMINATE).execute(&mut self.operator).await?;
            }
            _ => {
                let mut transaction = self.operator.begin().await?;
                let lock = "LOCK TABLE leases IN EXCLUSIVE MODE";
                sqlx::raw_sql(lock).execute(&mut *transaction).await?;
                sleep(TERM.mul_f64(self.random.f64())).await;
                transaction.rollback().await?;
            }
        }
        Ok(())
    }

    /// Waits until all read models are at the end of the log, on every node.
    async fn settle(&self, findings: &mut Findings) -> anyhow::Result<()> {
        let head = self.log.head().await?;
        let start = Instant::now();
        loop {
            let behind: Vec<String> = self.nodes.iter().filter_map(|it| it.behind(head)).collect();
            if behind.is_empty() {
                break;
            }
            if start.elapsed() > SETTLED {
                findings.found(format!(
                    "{} s after the last fault, with the end of the log at {head}, {}",
                    SETTLED.as_secs(),
                    behind.join("; ")
                ));
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        findings.did(
            "read models at the end of the log",
            (NODES * NAMES.len()) as u64,
        );
        let leases = self.log.leases().with_term(TERM);
        let nodes = leases.nodes().await?;
        let mut held = BTreeMap::new();
        for node in &nodes {
            for lease in &node.leases {
                *held.entry(lease.clone()).or_insert(0) += 1;
            }
        }
        if let Some((lease, holders)) = held.iter().find(|(_, holders)| **holders != 1) {
            findings.found(format!("the lease {lease:?} has {holders} holders"));
        }
        Ok(())
    }

    /// Compares the documents with the log.
    async fn compare(&mut self, findings: &mut Findings) -> anyhow::Result<()> {
        let sql = "
            SELECT name, count(key), sum((body ->> 'count')::bigint)::bigint
            FROM projections LEFT JOIN documents ON projection = projections.id
            WHERE state = 'live' GROUP BY name";
        let rows: Vec<(String, i64, Option<i64>)> = sqlx::query_as(AssertSqlSafe(sql))
            .fetch_all(&mut self.operator)
            .await?;
        let events = self.log.head().await?.get();
        for (name, _, sum) in rows {
            let counted = sum.unwrap_or_default().unsigned_abs();
            if counted != events {
                findings.found(format!(
                    "the read model {name:?} has counted {counted} of {events} events"
                ));
            }
        }
        Ok(())
    }

    async fn end(self) {
        for node in self.nodes {
            node.kill();
        }
        self.log.close().await;
    }
}

async fn open(url: &PostgresUrl) -> anyhow::Result<PostgresEventStore> {
    let database = PostgresDatabase::open(url, Arc::new(SystemClock)).await?;
    Ok(PostgresEventStore::new(database, DEFAULT_COMMAND_RETENTION))
}

/// Appends one event after the other. Returns their number.
async fn append(
    log: Arc<PostgresEventStore>,
    over: CancellationToken,
    mut random: fastrand::Rng,
) -> u64 {
    let mut events = 0;
    while !over.is_cancelled() {
        let stream = StreamId::new(AGGREGATE, random.usize(0..STREAMS).to_string());
        let event = NewEvent {
            event_type: "happened".to_owned(),
            schema_version: 1,
            payload: Payload::from_text("{}".to_owned()).expect("JSON"),
            metadata: Metadata::new(SystemIdSource.next_id()),
        };
        let append = Append::to_stream(stream, ExpectedSequence::Any, vec![event]);
        // Its session is cut off now and then.
        events += u64::from(log.append(append).await.is_ok());
        sleep(Duration::from_millis(random.u64(0..6))).await;
    }
    events
}
