//! A log in a vector.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ironstar_ports::{
    Append, AppendError, Appended, Clock, Envelope, EventStore, Position, Sequence, StoreError,
    StreamId,
};

/// A log that lives as long as the process.
#[derive(Debug)]
pub struct MemoryEventStore {
    clock: Arc<dyn Clock>,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    /// The event at position n is at index n − 1.
    events: Vec<Envelope>,
    /// The indices of each stream's events, in order.
    streams: HashMap<StreamId, Vec<usize>>,
}

impl MemoryEventStore {
    /// An empty log.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            log: Mutex::default(),
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        // Nothing panics while the lock is held and the log half changed.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventStore for MemoryEventStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.events.is_empty() {
            return Err(AppendError::Empty);
        }
        let created_at = self.clock.now();
        let mut log = self.log();
        let actual = log.last_sequence(&append.stream);
        if !append.expected.admits(actual) {
            return Err(AppendError::Conflict {
                stream: append.stream,
                expected: append.expected,
                actual,
            });
        }
        let mut sequence = actual.map_or(Sequence::FIRST, Sequence::next);
        let mut appended = None;
        for event in append.events {
            let position = log.head().next();
            log.push(Envelope {
                position,
                stream: append.stream.clone(),
                sequence,
                event_type: event.event_type,
                schema_version: event.schema_version,
                payload: event.payload,
                metadata: event.metadata,
                created_at,
            });
            appended = Some(Appended { sequence, position });
            sequence = sequence.next();
        }
        appended.ok_or(AppendError::Empty)
    }

    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let log = self.log();
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
        let log = self.log();
        Ok(log.events.iter().skip(read).take(limit).cloned().collect())
    }

    async fn head(&self) -> Result<Position, StoreError> {
        Ok(self.log().head())
    }
}

impl Log {
    fn head(&self) -> Position {
        Position::new(self.events.len() as u64)
    }

    fn last_sequence(&self, stream: &StreamId) -> Option<Sequence> {
        let last = self.streams.get(stream)?.last()?;
        Some(self.events[*last].sequence)
    }

    fn push(&mut self, envelope: Envelope) {
        self.streams
            .entry(envelope.stream.clone())
            .or_default()
            .push(self.events.len());
        self.events.push(envelope);
    }
}
