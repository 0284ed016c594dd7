//! Concurrent commands on few aggregates.
//!
//! Nodes share a log: two of them a SQLite file, or three of them a PostgreSQL database. Each
//! keeps states in memory, which the commands of the other nodes outdate. The commands and answers
//! of their clients are recorded. They must be equal to some sequential history.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::future::try_join_all;
use ironstar_adapters::database::{DatabaseUrl, Stores};
use ironstar_adapters::memory::MemoryEventBus;
use ironstar_adapters::sqlite::DEFAULT_COMMAND_RETENTION;
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_app::{CommandContext, CommandError, CommandHandler, decode};
use ironstar_cluster::Cluster;
use ironstar_fixtures::note::OPEN;
use ironstar_fixtures::remark::{RemarkCommand, RemarkState};
use ironstar_ports::{EventStore, Origin, Position, Sequence};
use tempfile::TempDir;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::bug::plant;
use crate::history::{Operation, Outcome, Stored, examine};
use crate::{Findings, Plan};

const NODES_ON_SQLITE: usize = 2;
const NODES_ON_POSTGRESQL: usize = 3;
const CLIENTS: usize = 8;

/// The number of remarks that the clients compete for, and of the commands of each client.
const REMARKS: usize = 3;
const COMMANDS: usize = 250;

/// Runs the check.
///
/// # Errors
///
/// The check itself does not work.
pub async fn check(plan: &Plan) -> anyhow::Result<Findings> {
    let mut findings = Findings::new(plan);
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let cluster = Cluster::start()?;
    let end = Instant::now() + plan.time;
    for round in 0_u64.. {
        if Instant::now() >= end || findings.is_enough() {
            break;
        }
        let folder = TempDir::new()?;
        let nodes = if round % 2 == 0 {
            let url = format!("sqlite:{}", folder.path().join("ironstar.db").display());
            findings.did("rounds on SQLite", 1);
            open(&url, NODES_ON_SQLITE).await?
        } else {
            findings.did("rounds on PostgreSQL", 1);
            open(&cluster.database().await?, NODES_ON_POSTGRESQL).await?
        };
        let operations = race(plan, &nodes, &mut random).await?;
        let log = read(&*nodes[0].events).await?;
        for node in nodes {
            node.close().await?;
        }
        let refused = |operation: &&Operation| {
            matches!(
                operation.outcome,
                Outcome::Refused(_) | Outcome::Unexpected { .. }
            )
        };
        findings.did("concurrent commands", operations.len() as u64);
        findings.did("events", log.len() as u64);
        findings.did("refusals", operations.iter().filter(refused).count() as u64);
        for violation in examine(&log, &operations) {
            findings.found(violation);
        }
    }
    Ok(findings)
}

/// Opens a database once for each node.
async fn open(url: &str, nodes: usize) -> anyhow::Result<Vec<Stores>> {
    let url: DatabaseUrl = url.parse()?;
    let open = || url.open(Arc::new(SystemClock), DEFAULT_COMMAND_RETENTION);
    Ok(try_join_all((0..nodes).map(|_| open())).await?)
}

/// Lets all clients send commands, and returns the commands and answers.
async fn race(
    plan: &Plan,
    stores: &[Stores],
    random: &mut fastrand::Rng,
) -> anyhow::Result<Vec<Operation>> {
    let mut nodes = Vec::new();
    for stores in stores {
        nodes.push(CommandHandler::new(
            plant(plan.bug, Arc::clone(&stores.events)).await?,
            stores.snapshots.clone(),
            Arc::new(MemoryEventBus::new()),
            Arc::new(SystemIdSource),
        ));
    }
    let clock = Arc::new(AtomicU64::new(1));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let client = Client {
            number,
            node: nodes[number % nodes.len()].clone(),
            clock: Arc::clone(&clock),
            random: random.fork(),
            known: [None; REMARKS],
        };
        clients.spawn(client.run());
    }
    let mut operations = Vec::new();
    while let Some(client) = clients.join_next().await {
        operations.extend(client??);
    }
    operations.sort_by_key(|(number, _)| *number);
    Ok(operations
        .into_iter()
        .map(|(_, operation)| operation)
        .collect())
}

struct Client {
    number: usize,
    node: CommandHandler,
    clock: Arc<AtomicU64>,
    random: fastrand::Rng,
    /// The last known sequence of each remark.
    known: [Option<u64>; REMARKS],
}

impl Client {
    async fn run(mut self) -> anyhow::Result<Vec<(usize, Operation)>> {
        let mut operations = Vec::new();
        for count in 0..COMMANDS {
            let number = self.number * COMMANDS + count;
            operations.push((number, self.command(number).await?));
            if self.random.u8(0..8) == 0 {
                tokio::time::sleep(Duration::from_micros(self.random.u64(1..2_000))).await;
            }
        }
        Ok(operations)
    }

    async fn command(&mut self, number: usize) -> anyhow::Result<Operation> {
        let remark = self.random.usize(0..REMARKS);
        let id = Uuid::from_u128(remark as u128);
        let text = ["Tea", "Milk"][self.random.usize(0..2)].to_owned();
        let command = match self.random.u8(0..20) {
            0..4 => RemarkCommand::Create { text, note: OPEN },
            4..9 => RemarkCommand::Rewrite { text },
            9..14 => RemarkCommand::Close,
            14..19 => RemarkCommand::Reopen,
            _ if self.random.u8(0..20) == 0 => RemarkCommand::Delete,
            _ => RemarkCommand::Close,
        };
        let expected = self.known[remark].filter(|_| self.random.u8(0..4) == 0);
        let context = CommandContext {
            expected: expected.map(Sequence::new),
            origin: Origin {
                correlation_id: Some(number.to_string()),
                ..Origin::default()
            },
            ..CommandContext::default()
        };
        let invoked = self.clock.fetch_add(1, SeqCst);
        let answer = self
            .node
            .execute::<RemarkState>(&id, &command, &context)
            .await;
        let returned = self.clock.fetch_add(1, SeqCst);
        let outcome = match answer {
            Ok(accepted) => Outcome::Accepted {
                sequence: accepted.sequence.context("a remark has events")?.get(),
                position: accepted.place.position.get(),
            },
            Err(CommandError::Refused(error)) => Outcome::Refused(error),
            Err(CommandError::Unexpected { actual, .. }) => Outcome::Unexpected {
                actual: actual.map(Sequence::get),
            },
            Err(CommandError::Contended { .. }) => Outcome::Contended,
            Err(error) => return Err(error.into()),
        };
        if let Outcome::Accepted { sequence, .. } = outcome {
            self.known[remark] = Some(sequence);
        }
        Ok(Operation {
            id,
            command,
            expected,
            invoked,
            returned,
            outcome,
        })
    }
}

async fn read(store: &dyn EventStore) -> anyhow::Result<Vec<Stored>> {
    let log = store.load_after(Position::START, usize::MAX).await?;
    log.iter()
        .map(|envelope| {
            let (id, event) = decode::<RemarkState>(envelope)?;
            let author = envelope.metadata.origin.correlation_id.as_deref();
            Ok(Stored {
                id,
                event,
                author: author.context("an event without an author")?.parse()?,
            })
        })
        .collect()
}
