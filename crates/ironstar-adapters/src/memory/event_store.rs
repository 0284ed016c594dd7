//! An event log in a vector.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use ironstar_ports::{
    Append, AppendError, Appended, Clock, CommandKey, Envelope, EventStore, Mark, Outcome,
    Position, Sequence, StoreError, StreamAppend, StreamHead, StreamId,
};
use parking_lot::Mutex;
use time::OffsetDateTime;

/// A log that is lost when the process ends.
#[derive(Debug)]
pub struct MemoryEventStore {
    clock: Arc<dyn Clock>,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    /// The event at position n has the index n − 1.
    events: Vec<Envelope>,
    /// The indices of the events of each stream, in order.
    streams: HashMap<StreamId, Vec<usize>>,
    commands: HashMap<CommandKey, Outcome>,
}

impl MemoryEventStore {
    /// Creates an empty log.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            log: Mutex::default(),
        }
    }
}

#[async_trait]
impl EventStore for MemoryEventStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.is_empty() {
            return Err(AppendError::Empty);
        }
        let created_at = self.clock.now();
        let mut log = self.log.lock();
        if let Some(answer) = log.answer_again(&append) {
            return answer;
        }
        let length = log.events.len();
        let outcome = append
            .streams
            .into_iter()
            .map(|append| log.append(append, created_at))
            .collect::<Result<_, _>>()
            .map(|streams| Appended { streams });
        match &outcome {
            Ok(appended) => {
                if let Some(command) = append.command {
                    let known = Outcome {
                        request: command.request,
                        appended: appended.clone(),
                    };
                    let keys = command.second.into_iter().chain([command.key]);
                    log.commands.extend(keys.map(|key| (key, known.clone())));
                }
            }
            Err(_) => log.truncate(length),
        }
        outcome
    }

    async fn outcome(&self, key: &CommandKey) -> Result<Option<Outcome>, StoreError> {
        Ok(self.log.lock().commands.get(key).cloned())
    }

    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let log = self.log.lock();
        let from = after.map_or(Sequence::FIRST, Sequence::next);
        Ok(log
            .streams
            .get(stream)
            .into_iter()
            .flatten()
            .map(|&index| &log.events[index])
            .filter(|envelope| envelope.sequence >= from)
            .take(limit)
            .cloned()
            .collect())
    }

    async fn load_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let read = usize::try_from(position.get()).unwrap_or(usize::MAX);
        let log = self.log.lock();
        Ok(log.events.iter().skip(read).take(limit).cloned().collect())
    }

    async fn head(&self) -> Result<Position, StoreError> {
        Ok(self.log.lock().head())
    }
}

impl Log {
    fn head(&self) -> Position {
        Position::new(self.events.len() as u64)
    }

    fn stream_head(&self, stream: StreamId) -> StreamHead {
        let last = self.streams.get(&stream).and_then(|indices| indices.last());
        match last.map(|&index| &self.events[index]) {
            None => StreamHead::empty(stream),
            Some(event) => StreamHead {
                stream,
                sequence: Some(event.sequence),
                position: event.position,
                mark: event.place().mark,
            },
        }
    }

    /// Returns the stored answer of a command that is sent again.
    fn answer_again(&self, append: &Append) -> Option<Result<Appended, AppendError>> {
        let command = append.command.as_ref()?;
        if let Some(known) = command.keys().find_map(|key| self.commands.get(key)) {
            return Some(if known.request == command.request {
                Ok(known.appended.clone())
            } else {
                Err(AppendError::KeyReused)
            });
        }
        let earlier = command.earlier.iter().find_map(|earlier| {
            let known = self.commands.get(&earlier.key)?;
            (known.request == earlier.request).then(|| known.appended.clone())
        });
        earlier.map(Ok)
    }

    fn append(
        &mut self,
        append: StreamAppend,
        created_at: OffsetDateTime,
    ) -> Result<StreamHead, AppendError> {
        let mut head = self.stream_head(append.stream);
        if !append.expected.admits(head.sequence) {
            return Err(AppendError::Conflict {
                stream: head.stream,
                expected: append.expected,
                actual: head.sequence,
            });
        }
        for event in append.events {
            head.position = self.head().next();
            let sequence = head.sequence.map_or(Sequence::FIRST, Sequence::next);
            head.sequence = Some(sequence);
            head.mark = Some(Mark::of(event.metadata.event_id));
            self.push(Envelope {
                position: head.position,
                stream: head.stream.clone(),
                sequence,
                event_type: event.event_type,
                schema_version: event.schema_version,
                payload: event.payload,
                metadata: event.metadata,
                created_at,
            });
        }
        Ok(head)
    }

    fn push(&mut self, envelope: Envelope) {
        self.streams
            .entry(envelope.stream.clone())
            .or_default()
            .push(self.events.len());
        self.events.push(envelope);
    }

    /// Removes the events of an append that is refused in the end.
    fn truncate(&mut self, length: usize) {
        for event in self.events.drain(length..) {
            if let Some(indices) = self.streams.get_mut(&event.stream) {
                indices.pop();
            }
        }
    }
}
