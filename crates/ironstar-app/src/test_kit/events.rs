//! The given events.

use std::fmt::Display;

use ironstar_domain::{Aggregate, DomainEvent, StepId};
use ironstar_ports::{Envelope, Metadata, NewEvent, Payload, Position, Sequence, StreamId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Plan, View};
use crate::codec::encode;
use crate::process::ProcessManager;
use crate::projection::Projection;

/// An event of a stream. It gets its place in the log when it is given.
#[derive(Clone, Debug)]
pub struct Happened {
    stream: StreamId,
    event: NewEvent,
    at: OffsetDateTime,
}

impl Happened {
    /// Sets the time of the event. The default is the start of 1970.
    #[must_use]
    pub fn at(self, at: OffsetDateTime) -> Self {
        Self { at, ..self }
    }

    /// Sets the parent of the event's aggregate.
    #[must_use]
    pub fn part_of<A: Aggregate>(mut self, parent: A::Id) -> Self {
        self.event.metadata.parent = Some(StreamId::new(A::TYPE, parent.to_string()));
        self
    }

    /// Sets the step of a process manager that caused the event.
    #[must_use]
    pub fn because_of(mut self, step: &StepId) -> Self {
        self.event.metadata.origin.step = Some(step.to_string());
        self
    }
}

/// The given events, in order.
#[derive(Clone, Debug, Default)]
pub struct Given {
    pub(super) log: Vec<Envelope>,
}

/// An event of an aggregate.
///
/// # Panics
///
/// If the event has no stored form.
#[must_use]
pub fn happened<A: Aggregate>(id: A::Id, event: impl Into<A::Event>) -> Happened {
    let event = event.into();
    let stored = encode(&event, Metadata::new(Uuid::nil()));
    Happened {
        stream: StreamId::new(A::TYPE, id.to_string()),
        event: stored.unwrap_or_else(|error| panic!("{}: {error}", event.event_type())),
        at: OffsetDateTime::UNIX_EPOCH,
    }
}

/// An event of an aggregate as it was stored. The payload is a `serde_json::Value` or the text
/// of one.
///
/// # Panics
///
/// If the text is not JSON.
#[must_use]
pub fn stored<A: Aggregate>(
    id: A::Id,
    event_type: &str,
    schema_version: u32,
    payload: impl Display,
) -> Happened {
    let payload = Payload::from_text(payload.to_string());
    Happened {
        stream: StreamId::new(A::TYPE, id.to_string()),
        event: NewEvent {
            event_type: event_type.to_owned(),
            schema_version,
            payload: payload.unwrap_or_else(|error| panic!("{event_type}: {error}")),
            metadata: Metadata::new(Uuid::nil()),
        },
        at: OffsetDateTime::UNIX_EPOCH,
    }
}

/// The start of a test: these events. The first event is at position 1.
#[must_use]
pub fn given(events: impl IntoIterator<Item = Happened>) -> Given {
    Given::default().and(events)
}

impl Given {
    /// Adds further events.
    #[must_use]
    pub fn and(mut self, events: impl IntoIterator<Item = Happened>) -> Self {
        for event in events {
            let envelope = self.place(event);
            self.log.push(envelope);
        }
        self
    }

    /// The events, as a store returns them.
    #[must_use]
    pub fn log(&self) -> &[Envelope] {
        &self.log
    }

    /// The documents that a projection makes from the events.
    ///
    /// # Panics
    ///
    /// If the result depends on which documents are in memory.
    #[must_use]
    #[track_caller]
    pub fn view<P: Projection>(self) -> View<P> {
        View::of(self)
    }

    /// The commands that a process manager asks for after the events.
    ///
    /// # Panics
    ///
    /// If the result depends on which parts of its state are in memory.
    #[must_use]
    #[track_caller]
    pub fn process<M: ProcessManager>(self) -> Plan<M> {
        Plan::of(self)
    }

    fn place(&self, happened: Happened) -> Envelope {
        let mut before = self.log.iter().rev();
        let last = before
            .find(|event| event.stream == happened.stream)
            .map(|event| event.sequence);
        let position = Position::new(self.log.len() as u64).next();
        let metadata = Metadata {
            event_id: Uuid::from_u128(position.get().into()),
            ..happened.event.metadata
        };
        Envelope {
            position,
            stream: happened.stream,
            sequence: last.map_or(Sequence::FIRST, Sequence::next),
            event_type: happened.event.event_type,
            schema_version: happened.event.schema_version,
            payload: happened.event.payload,
            metadata,
            created_at: happened.at,
        }
    }
}
