//! Random appends, a witness of their answers, and the examination of the resulting log.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context;
use ironstar_ports::{
    Append, AppendError, Appended, CommandRecord, Envelope, EventStore, ExpectedSequence, Metadata,
    NewEvent, Payload, Position, Sequence, StreamAppend, StreamId,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The number of streams that each client writes to.
const STREAMS: usize = 4;

/// The time that a client waits after a failure.
const PAUSE: Duration = Duration::from_millis(1);

/// The acknowledged appends, in the order of the answers.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    acknowledged: Mutex<Vec<(Mark, Appended)>>,
    violations: Mutex<Vec<String>>,
    next: AtomicU64,
    failures: AtomicU64,
    is_over: AtomicBool,
}

/// The payload of every event: it identifies the append of the event.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub(crate) struct Mark {
    append: u64,
    events: usize,
    has_key: bool,
}

impl Mark {
    fn record(self) -> Option<CommandRecord> {
        self.has_key.then(|| {
            let key = format!("append-{}", self.append);
            let key = key.parse().expect("a key");
            CommandRecord::new(key, self.append.to_string())
        })
    }
}

impl Witness {
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.lock().len()
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// Tells the clients to end after their next answer.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Relaxed);
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        std::mem::take(&mut *self.violations.lock())
    }

    fn found(&self, violation: String) {
        self.violations.lock().push(violation);
    }
}

/// A client that appends, one append at a time, until the witness tells it to end.
#[derive(Debug)]
pub(crate) struct Client {
    number: usize,
    generation: u64,
    store: Arc<dyn EventStore>,
    witness: Arc<Witness>,
    random: fastrand::Rng,
    streams: Vec<Option<Sequence>>,
}

impl Client {
    pub(crate) fn new(
        number: usize,
        store: Arc<dyn EventStore>,
        witness: Arc<Witness>,
        seed: u64,
    ) -> Self {
        Self {
            number,
            generation: 0,
            store,
            witness,
            random: fastrand::Rng::with_seed(seed),
            streams: vec![None; STREAMS],
        }
    }

    pub(crate) async fn run(mut self) {
        while !self.witness.is_over.load(Relaxed) {
            self.append().await;
        }
    }

    /// Makes an append, and repeats it until there is an answer.
    async fn append(&mut self) {
        let (mark, append) = self.next();
        let mut has_failed = false;
        loop {
            match self.store.append(append.clone()).await {
                Ok(appended) => return self.acknowledge(mark, append, appended).await,
                Err(AppendError::Overloaded) => {}
                Err(AppendError::Store(_)) => {
                    has_failed = true;
                    self.witness.failures.fetch_add(1, Relaxed);
                    if self.witness.is_over.load(Relaxed) {
                        return;
                    }
                }
                // An earlier attempt failed, but its events are in the log. The client
                // continues with new streams, because it does not know where its old ones
                // end.
                Err(AppendError::Conflict { .. })
                    if has_failed && !mark.has_key && self.is_there(mark, &append).await =>
                {
                    self.generation += 1;
                    self.streams = vec![None; STREAMS];
                    return;
                }
                Err(error) => {
                    let append = mark.append;
                    self.witness.found(format!(
                        "append {append} is refused, although no other client uses its streams: {error}"
                    ));
                    self.witness.end();
                    return;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Returns true if an append has left an event in one of its streams.
    async fn is_there(&self, mark: Mark, append: &Append) -> bool {
        for to in &append.streams {
            let events = loop {
                match self.store.load_stream(&to.stream, None, usize::MAX).await {
                    Ok(events) => break events,
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            };
            let is_its = |event: &Envelope| {
                serde_json::from_str::<Mark>(event.payload.as_str()).is_ok_and(|of| of == mark)
            };
            if events.iter().any(is_its) {
                return true;
            }
        }
        false
    }

    async fn acknowledge(&mut self, mark: Mark, append: Append, appended: Appended) {
        self.witness
            .acknowledged
            .lock()
            .push((mark, appended.clone()));
        for head in &appended.streams {
            for index in 0..STREAMS {
                if self.stream(index) == head.stream {
                    self.streams[index] = head.sequence;
                }
            }
        }
        // Sometimes the client repeats the append, as if the answer had been lost.
        if mark.has_key && self.random.u8(0..4) == 0 {
            match self.store.append(append).await {
                Ok(again) if again == appended => {}
                Ok(again) => self.witness.found(format!(
                    "append {} is answered {appended:?}, and then {again:?}",
                    mark.append
                )),
                Err(AppendError::Overloaded | AppendError::Store(_)) => {}
                Err(error) => self.witness.found(format!(
                    "append {}, sent again, is refused: {error}",
                    mark.append
                )),
            }
        }
    }

    fn next(&mut self) -> (Mark, Append) {
        let mut indices: Vec<usize> = (0..STREAMS).collect();
        self.random.shuffle(&mut indices);
        let chosen = &indices[..self.random.usize(1..=2)];
        let counts: Vec<usize> = chosen.iter().map(|_| self.random.usize(1..=3)).collect();
        let mark = Mark {
            append: self.witness.next.fetch_add(1, Relaxed),
            events: counts.iter().sum(),
            has_key: self.random.bool(),
        };
        let streams = chosen
            .iter()
            .zip(counts)
            .map(|(&index, count)| StreamAppend {
                stream: self.stream(index),
                expected: ExpectedSequence::after(self.streams[index]),
                events: vec![event(mark); count],
            })
            .collect();
        let append = Append {
            streams,
            command: mark.record(),
        };
        (mark, append)
    }

    fn stream(&self, index: usize) -> StreamId {
        let (number, generation) = (self.number, self.generation);
        StreamId::new("Torture", format!("{number}-{generation}-{index}"))
    }
}

fn event(mark: Mark) -> NewEvent {
    NewEvent {
        event_type: "appended".to_owned(),
        schema_version: 1,
        payload: Payload::of(&mark).expect("a mark has a JSON form"),
        metadata: Metadata::new(Uuid::nil()),
    }
}

/// Examines a log, and returns all violations. At least the first `acknowledged` appends of
/// the witness must be in the log.
pub(crate) async fn examine(
    store: &dyn EventStore,
    witness: &Witness,
    acknowledged: usize,
) -> anyhow::Result<Vec<String>> {
    let log = read(store).await?;
    let mut violations = Vec::new();
    let mut streams: HashMap<&StreamId, u64> = HashMap::new();
    let mut appends: HashMap<Mark, Vec<Position>> = HashMap::new();
    for (envelope, position) in log.iter().zip(1..) {
        if envelope.position != Position::new(position) {
            violations.push(format!(
                "position {} is where {position} should be",
                envelope.position
            ));
            return Ok(violations);
        }
        let length = streams.entry(&envelope.stream).or_default();
        if envelope.sequence != Sequence::new(*length) {
            violations.push(format!(
                "sequence {} of {} is where {length} should be",
                envelope.sequence, envelope.stream
            ));
        }
        *length += 1;
        let mark: Mark = serde_json::from_str(envelope.payload.as_str())?;
        appends.entry(mark).or_default().push(envelope.position);
    }
    for (mark, positions) in &appends {
        let Mark { append, events, .. } = mark;
        if positions.len() != *events {
            let there = positions.len();
            violations.push(format!(
                "append {append} is there with {there} of {events} events"
            ));
        }
    }
    let (first, last) = (log.first(), log.last());
    for stream in [first, last]
        .into_iter()
        .flatten()
        .map(|event| &event.stream)
    {
        let found = store.load_stream(stream, None, log.len()).await?.len() as u64;
        if Some(&found) != streams.get(stream) {
            violations.push(format!(
                "{stream} has {found} events, and others in the log"
            ));
        }
    }
    examine_answers(
        store,
        witness,
        acknowledged,
        &log,
        &appends,
        &mut violations,
    )
    .await?;
    Ok(violations)
}

/// Compares the log with the answers.
async fn examine_answers(
    store: &dyn EventStore,
    witness: &Witness,
    acknowledged: usize,
    log: &[Envelope],
    appends: &HashMap<Mark, Vec<Position>>,
    violations: &mut Vec<String>,
) -> anyhow::Result<()> {
    let answers = witness.acknowledged.lock()[..acknowledged].to_vec();
    let mut with_key: HashSet<Mark> = appends
        .keys()
        .filter(|mark| mark.has_key)
        .copied()
        .collect();
    for (mark, appended) in &answers {
        let append = mark.append;
        if !appends.contains_key(mark) {
            violations.push(format!("append {append}, which was acknowledged, is gone"));
            continue;
        }
        for head in &appended.streams {
            let index = usize::try_from(head.position.get())?.checked_sub(1);
            let event = index.and_then(|index| log.get(index));
            let is_there = event.is_some_and(|event| {
                event.stream == head.stream && Some(event.sequence) == head.sequence
            });
            if !is_there {
                violations.push(format!("append {append} is not where the answer says"));
            }
        }
        if let Some(record) = mark.record() {
            with_key.remove(mark);
            let known = store.outcome(&record.key).await?;
            if known.map(|known| known.appended).as_ref() != Some(appended) {
                violations.push(format!("the answer to append {append} is forgotten"));
            }
        }
    }
    // These appends have no answer, or their answer is later than the power cut.
    for mark in with_key {
        let record = mark.record().context("an append with a key has a record")?;
        if store.outcome(&record.key).await?.is_none() {
            let append = mark.append;
            violations.push(format!(
                "append {append} is in the log, but its key is not recorded"
            ));
        }
    }
    Ok(())
}

async fn read(store: &dyn EventStore) -> anyhow::Result<Vec<Envelope>> {
    const PAGE: usize = 4_096;

    let mut log: Vec<Envelope> = Vec::new();
    loop {
        let last = log.last().map_or(Position::START, |event| event.position);
        let page = store.load_after(last, PAGE).await?;
        let is_last = page.len() < PAGE;
        log.extend(page);
        if is_last {
            return Ok(log);
        }
    }
}
