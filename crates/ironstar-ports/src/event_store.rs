//! The log: what has happened, in order, for ever.

use std::error::Error;
use std::fmt::Debug;
use std::str::FromStr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Envelope, LogPlace, Mark, NewEvent, Position, Sequence, StreamId};

/// A durable, ordered log of events, in streams.
///
/// Every adapter passes `contract::event_store`, which states what these
/// methods promise beyond their types.
#[async_trait]
pub trait EventStore: Debug + Send + Sync {
    /// Appends events to one or several streams, all or none of them, if every
    /// stream is where the caller believes it to be.
    ///
    /// When it returns, the events are durable and readable. A future that is
    /// dropped before that has appended either all of them or none.
    ///
    /// An append that carries a [`CommandRecord`] happens once: a caller that
    /// appends with the same key again gets the first answer, and the store appends
    /// nothing. The same holds for the second key of a record, and for an earlier
    /// key that was stored with the same request.
    ///
    /// # Errors
    ///
    /// See [`AppendError`]; then nothing was appended, unless the store broke
    /// down while it confirmed a commit.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// What was answered to the command with this key, if it is still known.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    async fn outcome(&self, key: &CommandKey) -> Result<Option<Outcome>, StoreError>;

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
    /// position. Fewer than `limit` mean that there are no more, or that the
    /// next one is damaged.
    ///
    /// Positions are contiguous, and an event is never visible before those
    /// below it.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or the first of the events is damaged.
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

/// Events to be appended together.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    /// What goes to which stream. A stream may be named more than once; then
    /// what is named first has happened first. Without a command, there is at
    /// least one event.
    pub streams: Vec<StreamAppend>,
    /// The command that this is the outcome of, if a retry has to be told.
    pub command: Option<CommandRecord>,
}

/// Events to be appended to one stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamAppend {
    /// Whose events they are.
    pub stream: StreamId,
    /// Where the caller believes the stream to be.
    pub expected: ExpectedSequence,
    /// The events, in order. None, if a command has found nothing to change.
    pub events: Vec<NewEvent>,
}

/// A command that is carried out once, however often it is sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CommandRecord {
    /// The key under which the store keeps the command.
    pub key: CommandKey,
    /// A second key, under which the store keeps the command as well.
    pub second: Option<CommandKey>,
    /// What was asked, so that the key is not taken for another command.
    pub request: String,
    /// Keys under which the same command may have been stored before. The store
    /// looks for them, and never writes them.
    pub earlier: Vec<EarlierCommand>,
}

/// A key under which a command may have been stored before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EarlierCommand {
    /// The key. Of a command that asked for something else, it says nothing.
    pub key: CommandKey,
    /// What was asked then, as it was written down then.
    pub request: String,
}

/// Names a command: 1 to [`CommandKey::MAX_BYTES`] visible ASCII characters, as a
/// sender gives them; or such a key together with its sender ([`CommandKey::of`]).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct CommandKey(String);

/// Why a text is not a [`CommandKey`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the key of a command has 1 to {max} visible ASCII characters", max = CommandKey::MAX_BYTES)]
pub struct CommandKeyError;

/// What is known of a command that was carried out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// What was asked.
    pub request: String,
    /// What was answered.
    pub appended: Appended,
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

/// Where an append has left its streams.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Appended {
    /// One for each stream of the append, in its order.
    pub streams: Vec<StreamHead>,
}

/// Where a stream is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StreamHead {
    /// Which stream.
    #[serde(flatten)]
    pub stream: StreamId,
    /// The sequence of its last event; `None` if it has none.
    pub sequence: Option<Sequence>,
    /// The position of that event; [`Position::START`] if there is none.
    pub position: Position,
    /// The mark of that event; `None` if there is none, and in what was stored before
    /// there were marks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
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
    /// There are no events in the append, and no command either.
    #[error("an append needs at least one event")]
    Empty,
    /// The key belongs to another command.
    #[error("the key of this command was used for another one before")]
    KeyReused,
    /// More is waiting to be appended than the store has room for.
    #[error("the event store has more to do than it can take on")]
    Overloaded,
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

impl Append {
    /// Events for one stream.
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

    /// Whether there is nothing to append and nothing to record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.command.is_none() && self.streams.iter().all(|append| append.events.is_empty())
    }
}

impl StreamAppend {
    /// No events: the others are only appended if a stream is still where it
    /// was.
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
    /// Where the last event of all its streams is.
    #[must_use]
    pub fn place(&self) -> LogPlace {
        let places = self.streams.iter().map(StreamHead::place);
        places.fold(LogPlace::START, LogPlace::later)
    }
}

impl StreamHead {
    /// A stream that has no events.
    #[must_use]
    pub fn empty(stream: StreamId) -> Self {
        Self {
            stream,
            sequence: None,
            position: Position::START,
            mark: None,
        }
    }

    /// Where the last event is in the log.
    #[must_use]
    pub fn place(&self) -> LogPlace {
        LogPlace {
            position: self.position,
            mark: self.mark,
        }
    }
}

impl CommandRecord {
    /// A command that has this key and no other.
    #[must_use]
    pub const fn new(key: CommandKey, request: String) -> Self {
        Self {
            key,
            second: None,
            request,
            earlier: Vec::new(),
        }
    }

    /// The keys under which the store keeps the command.
    pub fn keys(&self) -> impl Iterator<Item = &CommandKey> {
        std::iter::once(&self.key).chain(&self.second)
    }
}

impl CommandKey {
    /// The most characters that a sender's key may have.
    pub const MAX_BYTES: usize = 255;

    /// The same key, as the key of one sender. A sender's own key contains no space, so
    /// it never equals the key of another sender, nor a key without a sender.
    #[must_use]
    pub fn of(&self, sender: &str) -> Self {
        Self(format!("{sender} {}", self.0))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CommandKey {
    type Err = CommandKeyError;

    fn from_str(key: &str) -> Result<Self, CommandKeyError> {
        let is_visible = key.bytes().all(|byte| byte.is_ascii_graphic());
        if key.is_empty() || key.len() > Self::MAX_BYTES || !is_visible {
            return Err(CommandKeyError);
        }
        Ok(Self(key.to_owned()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflict_says_what_is_there_and_what_was_expected() {
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

    #[test]
    fn command_key_is_as_long_as_it_may_be() {
        let longest = "k".repeat(CommandKey::MAX_BYTES);
        assert_eq!(
            longest.parse::<CommandKey>().expect("a key").as_str(),
            longest
        );
        assert!(format!("{longest}k").parse::<CommandKey>().is_err());
    }
}
