//! Several nodes on one PostgreSQL database, whose connections are cut, whose appends are delayed
//! by locks, and beside which other transactions roll back.
//!
//! Writers append to streams of their own and to streams that they compete for. Some of them
//! repeat a command with the same key on another node. Followers read the log meanwhile, one on
//! each node. In the end, the log must have exactly what was acknowledged, where it was
//! acknowledged, without a gap.

pub(crate) mod faults;
mod writers;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::future::try_join_all;
use ironstar_adapters::database::{DatabaseUrl, Stores};
use ironstar_adapters::sqlite::DEFAULT_COMMAND_RETENTION;
use ironstar_adapters::system::SystemClock;
use ironstar_cluster::Cluster;
use ironstar_ports::{Envelope, EventStore, Position};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::writers::{Attempt, Writer};
use crate::bug::{Bug, plant};
use crate::{Findings, Plan};

const NODES: usize = 3;
const WRITERS: usize = 64;

/// The longest time of one round, which has a database of its own.
const ROUND: Duration = Duration::from_secs(5);

/// A function that numbers events by a sequence instead of under a lock, as many event stores do.
const SEQUENCE: &str = "
    DROP TRIGGER events_come_next ON events;
    CREATE SEQUENCE positions;
    CREATE OR REPLACE FUNCTION lock_log() RETURNS void LANGUAGE sql AS '';
    CREATE FUNCTION next_position() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.id := nextval('positions');
        RETURN NEW;
    END $$;
    CREATE TRIGGER next_position BEFORE INSERT ON events
    FOR EACH ROW EXECUTE FUNCTION next_position()";

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
        let left = end.saturating_duration_since(Instant::now());
        let time = left.min(ROUND);
        round(&cluster, plan, time, &mut random, &mut findings).await?;
    }
    Ok(findings)
}

/// Lets all nodes work on a new database for a while, and examines its log.
async fn round(
    cluster: &Cluster,
    plan: &Plan,
    time: Duration,
    random: &mut fastrand::Rng,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let url = cluster.database().await?;
    let parsed: DatabaseUrl = url.parse()?;
    let clock = Arc::new(SystemClock);
    let open = || parsed.open(clock.clone(), DEFAULT_COMMAND_RETENTION);
    let nodes: Vec<Stores> = try_join_all((0..NODES).map(|_| open())).await?;
    if plan.bug == Some(Bug::NumbersBySequence) {
        let (_, name) = url.rsplit_once('/').context("a URL has a database")?;
        cluster.execute(name, SEQUENCE).await?;
    }
    let mut stores = Vec::new();
    for node in &nodes {
        stores.push(plant(plan.bug, Arc::clone(&node.events)).await?);
    }
    let over = CancellationToken::new();
    let writers = (0..WRITERS).map(|number| {
        let writer = Writer::new(number, stores.clone(), random.fork());
        tokio::spawn(writer.run(over.clone()))
    });
    let writers: Vec<_> = writers.collect();
    let followers = stores
        .iter()
        .map(|store| tokio::spawn(follow(Arc::clone(store), over.clone(), random.fork())));
    let followers: Vec<_> = followers.collect();
    let injected = faults::inject(&url, time, random).await?;
    findings.did("injected faults", injected);
    over.cancel();
    let attempts: Vec<Attempt> = try_join_all(writers).await?.into_iter().flatten().collect();
    for follower in try_join_all(followers).await? {
        findings.did("followed events", follower.events);
        findings.violations.extend(follower.violation);
    }
    for node in &nodes {
        node.close().await?;
    }
    // A node with a bug may have found that its log is another one, and serves no more.
    let reader = open().await?;
    let log = reader.events.load_after(Position::START, usize::MAX);
    examine(&log.await?, &attempts, findings);
    reader.close().await?;
    Ok(())
}

/// The work of a follower, and the violation that ended it.
struct Followed {
    events: u64,
    violation: Option<String>,
}

/// Reads the log page by page, from its start to its end and on.
async fn follow(
    store: Arc<dyn EventStore>,
    over: CancellationToken,
    mut random: fastrand::Rng,
) -> Followed {
    let mut last = Position::START;
    let mut followed = Followed {
        events: 0,
        violation: None,
    };
    while !over.is_cancelled() {
        // A read may fail: its connection is cut now and then.
        let page = store.load_after(last, random.usize(1..50)).await;
        let page = page.unwrap_or_default();
        for event in &page {
            if event.position != last.next() {
                followed.violation = Some(format!(
                    "a follower at position {last} was given event {} instead of event {}",
                    event.position,
                    last.next()
                ));
                return followed;
            }
            last = event.position;
        }
        followed.events += page.len() as u64;
        if page.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    followed
}

/// Compares the log with what the writers were told.
fn examine(log: &[Envelope], attempts: &[Attempt], findings: &mut Findings) {
    let acknowledged = attempts.iter().filter(|attempt| attempt.answer.is_some());
    findings.did("acknowledged appends", acknowledged.count() as u64);
    let conflicts = attempts.iter().filter(|attempt| attempt.is_conflict);
    findings.did("conflicts", conflicts.count() as u64);
    let repeated = attempts.iter().filter(|attempt| attempt.tries > 1);
    findings.did("repeated commands", repeated.count() as u64);
    findings.did("events in the end", log.len() as u64);
    let mut sequences: HashMap<&str, u64> = HashMap::new();
    let mut seen: HashSet<Uuid> = HashSet::new();
    for (index, event) in log.iter().enumerate() {
        let (position, stream) = (event.position, &*event.stream.aggregate_id);
        if position.get() != index as u64 + 1 {
            findings.found(format!("there is a gap before position {position}"));
            return;
        }
        let sequence = sequences.entry(stream).or_default();
        if event.sequence.get() != *sequence {
            findings.found(format!(
                "the event at position {position} has the sequence {} in its stream instead of \
                 {sequence}",
                event.sequence
            ));
        }
        *sequence += 1;
        if !seen.insert(event.metadata.event_id) {
            findings.found(format!("the event at position {position} is stored twice"));
        }
    }
    for attempt in attempts {
        examine_attempt(attempt, log, &seen, findings);
    }
}

fn examine_attempt(
    attempt: &Attempt,
    log: &[Envelope],
    seen: &HashSet<Uuid>,
    findings: &mut Findings,
) {
    let Attempt {
        event_id,
        expected,
        answer,
        ..
    } = attempt;
    if let Some(head) = answer {
        if expected.is_some() && head.sequence != *expected {
            findings.found(format!(
                "the event at position {} was accepted in spite of its writer's expectation",
                head.position
            ));
        }
        let stored = log.get((head.position.get() as usize).wrapping_sub(1));
        let is_there = stored.is_some_and(|stored| {
            let is_same = stored.metadata.event_id == *event_id;
            is_same && Some(stored.sequence) == head.sequence && stored.stream == head.stream
        });
        if !is_there {
            findings.found(format!(
                "the event that was acknowledged at position {} is gone, or elsewhere",
                head.position
            ));
        }
    } else if attempt.is_conflict && seen.contains(event_id) {
        findings.found(format!("the event {event_id} of a conflict is stored"));
    }
}
