//! The log: what has happened, in order, for ever.

use std::error::Error;
use std::fmt::Debug;

use async_trait::async_trait;

use crate::{Envelope, NewEvent, Position, Sequence, StreamId};

/// A durable, ordered log of events, in streams.
///
/// Every adapter passes `contract::event_store`, which states what these
/// methods promise beyond their types.
#[async_trait]
pub trait EventStore: Debug + Send + Sync {
    /// Appends events to one stream, all or none of them, if the stream is
    /// where the caller believes it to be.
    ///
    /// When it returns, the events are durable and readable. A future that is
    /// dropped before that has appended either all of them or none.
    ///
    /// # Errors
    ///
    /// [`AppendError::Conflict`] if the stream is elsewhere,
    /// [`AppendError::Empty`] if there are no events, and otherwise
    /// [`AppendError::Store`]; then nothing was appended, unless the store
    /// broke down while it confirmed a commit.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// Up to `limit` events of one stream, in order, beginning after a
    /// sequence (`None`: from the first). Fewer than `limit` mean that there
    /// are no more. A stream that does not exist has no events.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or an event in it is damaged.
    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError>;

    /// Up to `limit` events of the whole log, in order, beginning after a
    /// position. Fewer than `limit` mean that there are no more.
    ///
    /// Positions are contiguous, and an event is never visible before those
    /// below it.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or an event in it is damaged.
    async fn load_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError>;

    /// The last event's position; [`Position::START`] if there is none.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    async fn head(&self) -> Result<Position, StoreError>;
}

/// Events to be appended to one stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    /// Whose events they are.
    pub stream: StreamId,
    /// Where the caller believes the stream to be.
    pub expected: ExpectedSequence,
    /// The events, in order; at least one.
    pub events: Vec<NewEvent>,
}

/// Where a caller believes a stream to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ExpectedSequence {
    /// The stream has no events.
    NoStream,
    /// The stream's last event has this sequence.
    Exact(Sequence),
    /// The caller does not care.
    Any,
}

/// Where appended events have landed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Appended {
    /// The sequence of the last of them.
    pub sequence: Sequence,
    /// The position of the last of them; the others are right below it.
    pub position: Position,
}

/// Why events were not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The stream is not where the caller believed it to be.
    #[error("stream {stream} is {}, but {} was expected", actual_words(*.actual), expected_words(*.expected))]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// Where it was believed to be.
        expected: ExpectedSequence,
        /// The sequence of its last event, if it has any.
        actual: Option<Sequence>,
    },
    /// There are no events in the append.
    #[error("an append needs at least one event")]
    Empty,
    /// The store cannot do it now.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the store cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached or does not work.
    #[error("the event store is not available")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// A stored event cannot be read. It is never skipped.
    #[error("the event at position {position} is damaged")]
    Damaged {
        /// Which event.
        position: Position,
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl ExpectedSequence {
    /// Exactly after these events: after none of them, no stream.
    #[must_use]
    pub fn after(last: Option<Sequence>) -> Self {
        last.map_or(Self::NoStream, Self::Exact)
    }

    /// Whether a stream whose last event is `actual` is where it was expected.
    #[must_use]
    pub fn admits(self, actual: Option<Sequence>) -> bool {
        match self {
            Self::NoStream => actual.is_none(),
            Self::Exact(sequence) => actual == Some(sequence),
            Self::Any => true,
        }
    }
}

impl StoreError {
    /// A store that does not work, and why.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }
}

fn actual_words(actual: Option<Sequence>) -> String {
    actual.map_or_else(
        || "empty".to_owned(),
        |sequence| format!("at sequence {sequence}"),
    )
}

fn expected_words(expected: ExpectedSequence) -> String {
    match expected {
        ExpectedSequence::NoStream => "no event".to_owned(),
        ExpectedSequence::Exact(sequence) => format!("sequence {sequence}"),
        ExpectedSequence::Any => "anything".to_owned(),
    }
}
