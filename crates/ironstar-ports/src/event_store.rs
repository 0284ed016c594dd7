//! The log: all events in order, for ever.

use std::error::Error;
use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    CommandKey, CommandRecord, Envelope, LogPlace, Mark, NewEvent, Position, Sequence, StreamId,
};

/// A durable, ordered log of events, in streams.
///
/// Every adapter passes `contract::event_store`, which states all promises beyond the types.
#[async_trait]
pub trait EventStore: Debug + Send + Sync {
    /// Appends events to one or several streams, all or none of them. The append succeeds only if
    /// each stream has the sequence that the caller expects.
    ///
    /// When the method returns, the events are durable and readable. A future that is dropped
    /// earlier has appended either all events or none.
    ///
    /// An append that carries a [`CommandRecord`] happens once: a caller that
    /// appends with the same key again gets the first answer, and the store appends
    /// nothing. The same holds for the second key of a record, and for an earlier
    /// key that was stored with the same request.
    ///
    /// # Errors
    ///
    /// See [`AppendError`]. Nothing was appended in that case, unless the store broke down while
    /// it confirmed a commit.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// Returns the stored answer to the command with this key, or `None` if the key is unknown.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    async fn outcome(&self, key: &CommandKey) -> Result<Option<Outcome>, StoreError>;

    /// Returns up to `limit` events of one stream, in order, beginning after a sequence (`None`:
    /// from the first). Fewer than `limit` events mean that there are no more. A stream that does
    /// not exist has no events.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or a stored event is damaged.
    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError>;

    /// Returns up to `limit` events of the whole log, in order, beginning after a position. Fewer
    /// than `limit` events mean that there are no more, or that the next one is damaged.
    ///
    /// Positions are contiguous, and an event is never visible before the events with lower
    /// positions.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or the first event is damaged.
    async fn load_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError>;

    /// Returns the position of the last event; [`Position::START`] if there is none.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    async fn head(&self) -> Result<Position, StoreError>;
}

/// Events that are appended together.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    /// The events for each stream. A stream may be named more than once; its events then follow
    /// in this order. Without a command, there is at least one event.
    pub streams: Vec<StreamAppend>,
    /// The command that leads to these events, if the store has to answer its repetitions.
    pub command: Option<CommandRecord>,
}

/// Events for one stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamAppend {
    /// The stream.
    pub stream: StreamId,
    /// The stream's last sequence, as the caller expects it.
    pub expected: ExpectedSequence,
    /// The events, in order. The list is empty if a command changes nothing.
    pub events: Vec<NewEvent>,
}

/// The stored request and answer of a command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// The request as text.
    pub request: String,
    /// The answer.
    pub appended: Appended,
}

/// The last sequence of a stream, as the caller expects it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ExpectedSequence {
    /// The stream has no events.
    NoStream,
    /// The stream's last event has this sequence.
    Exact(Sequence),
    /// Any sequence, or none.
    Any,
}

/// The answer to an append: the new end of each stream.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Appended {
    /// The end of each stream of the append, in the append's order.
    pub streams: Vec<StreamHead>,
}

/// The end of a stream.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StreamHead {
    /// The stream.
    #[serde(flatten)]
    pub stream: StreamId,
    /// The sequence of the last event; `None` if the stream is empty.
    pub sequence: Option<Sequence>,
    /// The position of the last event; [`Position::START`] if the stream is empty.
    pub position: Position,
    /// The mark of the last event. `None` if the stream is empty, or if the answer was stored
    /// before there were marks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
}

/// The reasons why events were not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A stream does not have the expected last sequence.
    #[error("stream {stream} is {}, but {} was expected", actual_words(*.actual), expected_words(*.expected))]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// The sequence that the caller expected.
        expected: ExpectedSequence,
        /// The sequence of the stream's last event, if there is one.
        actual: Option<Sequence>,
    },
    /// The append has neither events nor a command.
    #[error("an append needs at least one event")]
    Empty,
    /// The key belongs to another request.
    #[error("the key of this command was already used for another command")]
    KeyReused,
    /// Too many appends are waiting.
    #[error("the event store is overloaded: too many appends are waiting")]
    Overloaded,
    /// The store is not available.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The reasons why the store cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached, or has failed.
    #[error("the event store is not available")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// A stored event cannot be read. The store never skips it.
    #[error("the event at position {position} is damaged")]
    Damaged {
        /// The position of the event.
        position: Position,
        /// The damage.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl ExpectedSequence {
    /// Expects exactly this last sequence; `None` expects an empty stream.
    #[must_use]
    pub fn after(last: Option<Sequence>) -> Self {
        last.map_or(Self::NoStream, Self::Exact)
    }

    /// Returns true if a stream with the last sequence `actual` is as expected.
    #[must_use]
    pub fn admits(self, actual: Option<Sequence>) -> bool {
        match self {
            Self::NoStream => actual.is_none(),
            Self::Exact(sequence) => actual == Some(sequence),
            Self::Any => true,
        }
    }
}

impl Append {
    /// Events for one stream, without a command.
    #[must_use]
    pub fn to_stream(stream: StreamId, expected: ExpectedSequence, events: Vec<NewEvent>) -> Self {
        Self {
            streams: vec![StreamAppend {
                stream,
                expected,
                events,
            }],
            command: None,
        }
    }

    /// Returns true if there are neither events nor a command.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.command.is_none() && self.streams.iter().all(|append| append.events.is_empty())
    }
}

impl StreamAppend {
    /// Adds a condition without events: the whole append succeeds only if the stream's last event
    /// still is the one in `head`.
    #[must_use]
    pub fn guard(head: &StreamHead) -> Self {
        Self {
            stream: head.stream.clone(),
            expected: ExpectedSequence::after(head.sequence),
            events: Vec::new(),
        }
    }
}

impl Appended {
    /// Returns the latest place of all streams.
    #[must_use]
    pub fn place(&self) -> LogPlace {
        let places = self.streams.iter().map(StreamHead::place);
        places.fold(LogPlace::START, LogPlace::later)
    }
}

impl StreamHead {
    /// The end of a stream without events.
    #[must_use]
    pub fn empty(stream: StreamId) -> Self {
        Self {
            stream,
            sequence: None,
            position: Position::START,
            mark: None,
        }
    }

    /// Returns the place of the last event in the log.
    #[must_use]
    pub fn place(&self) -> LogPlace {
        LogPlace {
            position: self.position,
            mark: self.mark,
        }
    }
}

impl StoreError {
    /// The store is not available, with the cause.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflict_names_the_actual_and_the_expected_sequence() {
        let told = |expected, actual| {
            let stream = StreamId::new("Todo", "1");
            AppendError::Conflict {
                stream,
                expected,
                actual,
            }
            .to_string()
        };
        let at = Sequence::new;
        assert_eq!(
            told(ExpectedSequence::NoStream, Some(at(3))),
            "stream Todo 1 is at sequence 3, but no event was expected"
        );
        assert_eq!(
            told(ExpectedSequence::Exact(at(2)), None),
            "stream Todo 1 is empty, but sequence 2 was expected"
        );
    }
}
