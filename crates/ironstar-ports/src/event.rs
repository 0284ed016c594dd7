//! Events as the outside world sees them: numbered, named, and with a JSON
//! payload that only the domain can read.

use std::fmt::{self, Debug, Display, Formatter};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;

/// An event's number in the whole log: from 1, contiguous, in commit order.
///
/// [`Position::START`] (0) is the place before the first event, which is where
/// a consumer that has seen nothing stands.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Position(u64);

/// An event's number within its stream, from 0.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Sequence(u64);

/// Names one aggregate's events: its type, such as `Todo`, and its id.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct StreamId {
    /// The aggregate's type.
    pub aggregate_type: String,
    /// The aggregate's id, in its written form.
    pub aggregate_id: String,
}

/// An event that is not stored yet.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// What happened, in snake case, such as `created`.
    pub event_type: String,
    /// The version of the payload's shape, from 1.
    pub schema_version: u32,
    /// The event itself.
    pub payload: Payload,
    /// What else is known of it.
    pub metadata: Metadata,
}

/// A stored event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Envelope {
    /// Where it is in the whole log.
    pub position: Position,
    /// Whose event it is.
    #[serde(flatten)]
    pub stream: StreamId,
    /// Where it is in its stream.
    pub sequence: Sequence,
    /// What happened, in snake case.
    pub event_type: String,
    /// The version of the payload's shape, from 1.
    pub schema_version: u32,
    /// The event itself.
    pub payload: Payload,
    /// What else is known of it.
    pub metadata: Metadata,
    /// When the store took it, in UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// What is known of an event beside what happened. Its JSON form is flat.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "FlatMetadata")]
pub struct Metadata {
    /// Identifies the event everywhere: a UUID of version 7.
    pub event_id: Uuid,
    /// Where the event comes from.
    #[serde(flatten)]
    pub origin: Origin,
    /// The aggregate that the event's own is part of, if it is, as a todo is
    /// part of a list. Written as `List/shared`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "parent")]
    pub parent: Option<StreamId>,
}

/// Where events come from: what was asked, by whom, and because of what.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Origin {
    /// Shared by all that follows from one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The command or event that led to this one directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The step of a process manager that led to this, if one did. Nobody from
    /// outside has a say in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The trace that the request was part of, as W3C Trace Context's
    /// `traceparent` (<https://www.w3.org/TR/trace-context/#traceparent-header>).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// [`Metadata`], to be read: serde reads what it flattens much more slowly.
#[derive(Deserialize)]
struct FlatMetadata {
    event_id: Uuid,
    correlation_id: Option<String>,
    causation_id: Option<String>,
    actor: Option<String>,
    step: Option<String>,
    traceparent: Option<String>,
    #[serde(default, with = "parent")]
    parent: Option<StreamId>,
}

/// One JSON value, kept as the text it was written as.
#[derive(Clone, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Payload(Box<RawValue>);

/// A text that is not a [`Payload`], or a value that cannot be made one.
#[derive(Debug, thiserror::Error)]
#[error("the payload is not JSON")]
pub struct PayloadError(#[source] serde_json::Error);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// The `number`th position, counted from 1; 0 is [`START`](Self::START).
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Sequence {
    /// The first event of a stream.
    pub const FIRST: Self = Self(0);

    /// The sequence with this number, counted from 0.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sequence after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl StreamId {
    /// The stream of one aggregate.
    pub fn new(aggregate_type: impl Into<String>, aggregate_id: impl Into<String>) -> Self {
        Self {
            aggregate_type: aggregate_type.into(),
            aggregate_id: aggregate_id.into(),
        }
    }
}

impl From<FlatMetadata> for Metadata {
    fn from(flat: FlatMetadata) -> Self {
        Self {
            event_id: flat.event_id,
            origin: Origin {
                correlation_id: flat.correlation_id,
                causation_id: flat.causation_id,
                actor: flat.actor,
                step: flat.step,
                traceparent: flat.traceparent,
            },
            parent: flat.parent,
        }
    }
}

impl Metadata {
    /// What is known of an event that comes from nowhere in particular.
    #[must_use]
    pub fn new(event_id: Uuid) -> Self {
        Self {
            event_id,
            origin: Origin::default(),
            parent: None,
        }
    }
}

/// How a parent is written.
mod parent {
    use std::borrow::Cow;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::StreamId;

    pub(super) fn serialize<S: Serializer>(
        parent: &Option<StreamId>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let written = parent
            .as_ref()
            .map(|parent| format!("{}/{}", parent.aggregate_type, parent.aggregate_id));
        written.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<StreamId>, D::Error> {
        let written: Option<Cow<'_, str>> = Option::deserialize(deserializer)?;
        let parent = |written: &str| {
            let (aggregate_type, aggregate_id) = written.split_once('/')?;
            Some(StreamId::new(aggregate_type, aggregate_id))
        };
        let Some(written) = written else {
            return Ok(None);
        };
        match parent(&written) {
            Some(parent) => Ok(Some(parent)),
            None => Err(D::Error::custom(
                "a parent is a type and an id, joined by '/'",
            )),
        }
    }
}

impl Payload {
    /// A value's JSON form.
    ///
    /// # Errors
    ///
    /// If the value has no JSON form, such as a map whose keys are not text.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, PayloadError> {
        serde_json::value::to_raw_value(value)
            .map(Self)
            .map_err(PayloadError)
    }

    /// The payload that was stored as this text.
    ///
    /// # Errors
    ///
    /// If the text is not one JSON value.
    pub fn from_text(text: String) -> Result<Self, PayloadError> {
        RawValue::from_string(text).map(Self).map_err(PayloadError)
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Debug for Payload {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Display for Position {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, f)
    }
}

impl Display for Sequence {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, f)
    }
}

impl Display for StreamId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.aggregate_type, self.aggregate_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_shown_by_their_numbers_and_have_successors() {
        assert_eq!(Position::new(17).to_string(), "17");
        assert_eq!(Position::new(17).next().get(), 18);
        assert_eq!(Sequence::new(17).to_string(), "17");
        assert_eq!(Sequence::new(17).next().get(), 18);
    }
}
