//! Writers: each appends one event after the other, and records what it is told.

use std::sync::Arc;
use std::time::Duration;

use ironstar_adapters::system::SystemIdSource;
use ironstar_ports::{
    Append, AppendError, CommandRecord, EventStore, ExpectedSequence, IdSource, Metadata, NewEvent,
    Payload, Sequence, StreamHead, StreamId,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The number of streams that writers compete for.
const CONTESTED: usize = 4;

/// The number of times that a command with a key is sent until it has an answer.
const TRIES: u32 = 200;

/// An append of one event, and what its writer was told.
pub(super) struct Attempt {
    pub(super) event_id: Uuid,
    /// The sequence that the event must get, if the writer expects one.
    pub(super) expected: Option<Sequence>,
    /// The new end of the stream, if the append was acknowledged.
    pub(super) answer: Option<StreamHead>,
    pub(super) is_conflict: bool,
    pub(super) tries: u32,
}

/// A writer, which uses all nodes.
pub(super) struct Writer {
    number: usize,
    nodes: Vec<Arc<dyn EventStore>>,
    random: fastrand::Rng,
    /// The last known sequence of the writer's own stream, and of each contested stream.
    own: Option<Sequence>,
    contested: [Option<Sequence>; CONTESTED],
}

impl Writer {
    pub(super) fn new(
        number: usize,
        nodes: Vec<Arc<dyn EventStore>>,
        random: fastrand::Rng,
    ) -> Self {
        Self {
            number,
            nodes,
            random,
            own: None,
            contested: [None; CONTESTED],
        }
    }

    pub(super) async fn run(mut self, over: CancellationToken) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        while !over.is_cancelled() {
            let attempt = match self.random.u8(0..4) {
                0 => self.compete().await,
                1 => self.insist().await,
                _ => self.extend().await,
            };
            attempts.push(attempt);
        }
        attempts
    }

    /// Appends to the own stream.
    async fn extend(&mut self) -> Attempt {
        let stream = self.number.to_string();
        let (attempt, known) = self.append(&stream, self.own).await;
        self.own = known;
        attempt
    }

    /// Appends to a stream that others append to as well.
    async fn compete(&mut self) -> Attempt {
        let contested = self.random.usize(0..CONTESTED);
        let stream = format!("contested-{contested}");
        let (attempt, known) = self.append(&stream, self.contested[contested]).await;
        self.contested[contested] = known;
        attempt
    }

    /// Appends once to a stream. Returns the sequence that the stream has afterwards.
    async fn append(
        &mut self,
        stream: &str,
        known: Option<Sequence>,
    ) -> (Attempt, Option<Sequence>) {
        let (event_id, event) = event();
        let stream = StreamId::new("Test", stream);
        let expected = ExpectedSequence::after(known);
        let append = Append::to_stream(stream.clone(), expected, vec![event]);
        let mut attempt = Attempt {
            event_id,
            expected: Some(known.map_or(Sequence::FIRST, Sequence::next)),
            answer: None,
            is_conflict: false,
            tries: 1,
        };
        match self.node().append(append).await {
            Ok(appended) => {
                attempt.answer = appended.streams.into_iter().next();
                let known = attempt.answer.as_ref().and_then(|head| head.sequence);
                (attempt, known)
            }
            Err(AppendError::Conflict { actual, .. }) => {
                attempt.is_conflict = true;
                (attempt, actual)
            }
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(self.random.u64(1..20))).await;
                // The append may have happened.
                let events = self.node().load_stream(&stream, known, usize::MAX).await;
                let last = events
                    .ok()
                    .and_then(|events| events.last().map(|it| it.sequence));
                (attempt, last.or(known))
            }
        }
    }

    /// Sends a command with a key until it is answered, and once more, each time to another node.
    async fn insist(&mut self) -> Attempt {
        let (event_id, event) = event();
        let key = event_id.to_string().parse().expect("an id is a key");
        let stream = StreamId::new("Test", format!("with-key-{event_id}"));
        let append = Append {
            command: Some(CommandRecord::new(key, "request".to_owned())),
            ..Append::to_stream(stream, ExpectedSequence::Any, vec![event])
        };
        let mut attempt = Attempt {
            event_id,
            expected: None,
            answer: None,
            is_conflict: false,
            tries: 0,
        };
        let mut answers = 0;
        while answers < 2 && attempt.tries < TRIES {
            attempt.tries += 1;
            match self.node().append(append.clone()).await {
                Ok(appended) => {
                    attempt.answer = appended.streams.into_iter().next();
                    answers += 1;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        attempt
    }

    fn node(&mut self) -> &Arc<dyn EventStore> {
        let node = self.random.usize(0..self.nodes.len());
        &self.nodes[node]
    }
}

fn event() -> (Uuid, NewEvent) {
    let event_id = SystemIdSource.next_id();
    let event = NewEvent {
        event_type: "happened".to_owned(),
        schema_version: 1,
        payload: Payload::from_text("{}".to_owned()).expect("it is JSON"),
        metadata: Metadata::new(event_id),
    };
    (event_id, event)
}
