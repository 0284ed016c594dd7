//! Hints that are lost, doubled, delayed and reordered.
//!
//! With any such bus, every consumer of the feed must see every event once and in order. Some
//! consumers follow live, some start late, and some read slowly.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use ironstar_adapters::memory::{MemoryEventBus, MemoryEventStore};
use ironstar_adapters::system::SystemClock;
use ironstar_app::{EventFeed, FeedOptions};
use ironstar_ports::{
    Append, BusError, EventBus, EventStore, ExpectedSequence, Key, KeyExpr, Metadata, NewEvent,
    Payload, Position, StreamId, Subscription,
};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::bug::plant;
use crate::{Bug, Findings, Plan};

/// The number of events in one log, and of the clients that write them.
const EVENTS: u64 = 2_000;
const WRITERS: u64 = 4;

/// The consumers: the length of the log at which each begins, and the position after which it
/// reads.
const STARTS: [(u64, u64); 6] = [
    (0, 0),
    (0, 1),
    (500, 500),
    (700, 0),
    (1_500, 1_200),
    (EVENTS - 1, EVENTS - 1),
];

/// The longest acceptable time for an event, which is many times the poll interval.
const PATIENCE: Duration = Duration::from_secs(5);

/// Small limits, so that consumers fall behind the events in memory.
const OPTIONS: FeedOptions = FeedOptions {
    tail: 64,
    page: 16,
    poll: Duration::from_millis(20),
    quick_poll: Duration::from_millis(20),
};

/// Runs the check.
///
/// # Errors
///
/// The check itself does not work.
pub async fn check(plan: &Plan) -> anyhow::Result<Findings> {
    let mut findings = Findings::new(plan);
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let end = Instant::now() + plan.time;
    while Instant::now() < end && !findings.is_enough() {
        let log = Arc::new(MemoryEventStore::new(Arc::new(SystemClock)));
        let store = plant(plan.bug, log).await?;
        let bus = Arc::new(FaultyBus::new(random.u64(..)));
        let mut options = OPTIONS;
        if plan.bug == Some(Bug::TrustsHints) {
            options.poll = Duration::from_secs(3_600);
        }
        let feed = EventFeed::start(Arc::clone(&store), &*bus, options).await?;
        let mut consumers = JoinSet::new();
        for (begin, after) in STARTS {
            consumers.spawn(consume(feed.clone(), begin, after, random.fork()));
        }
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            writers.spawn(write(Arc::clone(&store), Arc::clone(&bus), random.fork()));
        }
        while let Some(written) = writers.join_next().await {
            written??;
        }
        while let Some(consumed) = consumers.join_next().await {
            match consumed? {
                Ok(events) => findings.did("events delivered", events),
                Err(violation) => findings.found(violation),
            }
        }
        feed.stop();
        let faults = bus.faults();
        findings.did("hints lost", faults.lost);
        findings.did("hints doubled", faults.doubled);
        findings.did("hints held back and reordered", faults.held_back);
    }
    Ok(findings)
}

/// Appends events, with a pause now and then, in which the feed catches up.
async fn write(
    store: Arc<dyn EventStore>,
    bus: Arc<FaultyBus>,
    mut random: fastrand::Rng,
) -> anyhow::Result<()> {
    let stream = StreamId::new("Torture", "1");
    let event = NewEvent {
        event_type: "happened".to_owned(),
        schema_version: 1,
        payload: Payload::of(&())?,
        metadata: Metadata::new(Uuid::nil()),
    };
    let key = Key::of_stream(&stream);
    for _ in 0..EVENTS / WRITERS {
        let events = vec![event.clone()];
        let append = Append::to_stream(stream.clone(), ExpectedSequence::Any, events);
        let appended = store.append(append).await?;
        bus.publish(&key, appended.place().position.to_string().as_bytes())
            .await?;
        if random.u8(0..32) == 0 {
            tokio::time::sleep(Duration::from_millis(random.u64(1..4))).await;
        }
    }
    Ok(())
}

/// Reads the events after a position, once the log has the length `begin`. Some consumers
/// pause now and then. Returns the number of events, or a violation.
async fn consume(
    feed: EventFeed,
    begin: u64,
    after: u64,
    mut random: fastrand::Rng,
) -> Result<u64, String> {
    let start = Instant::now();
    while feed.head() < Position::new(begin) {
        if start.elapsed() > PATIENCE {
            return Err(format!("event {begin} does not come within {PATIENCE:?}"));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let dawdles = random.bool();
    let mut events = feed.subscribe(Position::new(after));
    for expected in after + 1..=EVENTS {
        let event = tokio::time::timeout(PATIENCE, events.next())
            .await
            .map_err(|_| format!("event {expected} does not come within {PATIENCE:?}"))?
            .ok_or_else(|| format!("the feed ends before event {expected}"))?
            .map_err(|error| format!("instead of event {expected}: {error}"))?;
        if event.position != Position::new(expected) {
            return Err(format!(
                "event {} comes instead of {expected}",
                event.position
            ));
        }
        if dawdles && random.u8(..) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    match tokio::time::timeout(2 * OPTIONS.poll, events.next()).await {
        Err(_) => Ok(EVENTS - after),
        Ok(more) => Err(format!("after the last event comes {more:?}")),
    }
}

/// A bus that loses, doubles, delays and reorders messages at random.
#[derive(Debug)]
struct FaultyBus {
    inner: MemoryEventBus,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: fastrand::Rng,
    held_back: Vec<(Key, Vec<u8>)>,
    faults: Faults,
}

/// The counts of the faults.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    lost: u64,
    doubled: u64,
    held_back: u64,
}

impl FaultyBus {
    fn new(seed: u64) -> Self {
        Self {
            inner: MemoryEventBus::new(),
            state: Mutex::new(State {
                random: fastrand::Rng::with_seed(seed),
                held_back: Vec::new(),
                faults: Faults::default(),
            }),
        }
    }

    fn faults(&self) -> Faults {
        self.state.lock().faults
    }

    /// Returns the messages to send instead of a message.
    fn distort(&self, key: &Key, payload: &[u8]) -> Vec<(Key, Vec<u8>)> {
        let mut state = self.state.lock();
        let message = (key.clone(), payload.to_vec());
        let mut messages = match state.random.u8(0..4) {
            0 => {
                state.faults.lost += 1;
                vec![]
            }
            1 => {
                state.faults.doubled += 1;
                vec![message.clone(), message]
            }
            2 => {
                state.faults.held_back += 1;
                state.held_back.push(message);
                vec![]
            }
            _ => vec![message],
        };
        if state.random.u8(0..8) == 0 {
            let mut late = std::mem::take(&mut state.held_back);
            state.random.shuffle(&mut late);
            messages.extend(late);
        }
        messages
    }
}

#[async_trait]
impl EventBus for FaultyBus {
    async fn publish(&self, key: &Key, payload: &[u8]) -> Result<(), BusError> {
        for (key, payload) in self.distort(key, payload) {
            self.inner.publish(&key, &payload).await?;
        }
        Ok(())
    }

    async fn subscribe(&self, keys: &KeyExpr) -> Result<Subscription, BusError> {
        self.inner.subscribe(keys).await
    }
}
