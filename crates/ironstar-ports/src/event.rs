//! Events outside the domain: numbered, named, and with a JSON payload that only the domain can
//! read.

use std::fmt::{self, Debug, Display, Formatter};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;

/// The number of an event in the whole log: from 1, contiguous, in commit order.
///
/// [`Position::START`] (0) is the position before the first event. A consumer that has read
/// nothing is there.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Position(u64);

/// The number of an event in its stream, from 0.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Sequence(u64);

/// The name of one aggregate's stream: the aggregate's type, such as `Todo`, and its id.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct StreamId {
    /// The aggregate's type.
    pub aggregate_type: String,
    /// The aggregate's id, in its text form.
    pub aggregate_id: String,
}

/// An event that is not stored yet.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// The type of the event, in snake case, such as `created`.
    pub event_type: String,
    /// The version of the payload's shape, from 1.
    pub schema_version: u32,
    /// The event itself, as JSON.
    pub payload: Payload,
    /// The id, the origin and the parent of the event.
    pub metadata: Metadata,
}

/// A stored event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Envelope {
    /// The position in the whole log.
    pub position: Position,
    /// The stream of the event.
    #[serde(flatten)]
    pub stream: StreamId,
    /// The sequence in the stream.
    pub sequence: Sequence,
    /// The type of the event, in snake case.
    pub event_type: String,
    /// The version of the payload's shape, from 1.
    pub schema_version: u32,
    /// The event itself, as JSON.
    pub payload: Payload,
    /// The id, the origin and the parent of the event.
    pub metadata: Metadata,
    /// The time at which the store accepted the event, in UTC. In JSON, RFC 3339.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// Data about an event that is not part of its payload. Its JSON form is flat.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "FlatMetadata")]
pub struct Metadata {
    /// The globally unique id of the event: a UUID of version 7.
    pub event_id: Uuid,
    /// The cause of the event.
    #[serde(flatten)]
    pub origin: Origin,
    /// The parent of the event's aggregate, if there is one, as a list is the parent of its
    /// todos. In JSON, it is a text such as `List/shared`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "parent")]
    pub parent: Option<StreamId>,
}

/// The cause of an event: the request, its sender, and the preceding command or event.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Origin {
    /// The id that is common to all results of one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The command or event that directly caused this event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    /// The caller that sent the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The step of a process manager that caused this event, if there is one. Callers cannot set
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The trace of the request, in the format of W3C Trace Context's `traceparent`
    /// (<https://www.w3.org/TR/trace-context/#traceparent-header>).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// The flat JSON form of [`Metadata`], for reading: serde is much slower with `flatten`.
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

/// One JSON value, kept as its original text.
#[derive(Clone, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Payload(Box<RawValue>);

/// The error for a text that is not JSON, or a value that has no JSON form.
#[derive(Debug, thiserror::Error)]
#[error("the payload is not JSON")]
pub struct PayloadError(#[source] serde_json::Error);

impl Position {
    /// The position before the first event.
    pub const START: Self = Self(0);

    /// The position with this number, counted from 1; 0 is [`START`](Self::START).
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The position as a number.
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
    /// The sequence of the first event in a stream.
    pub const FIRST: Self = Self(0);

    /// The sequence with this number, counted from 0.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The sequence as a number.
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
    /// Metadata with this id, without an origin and a parent.
    #[must_use]
    pub fn new(event_id: Uuid) -> Self {
        Self {
            event_id,
            origin: Origin::default(),
            parent: None,
        }
    }
}

/// The text form of a parent: its type and its id, joined by `/`.
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
    /// Writes a value as JSON.
    ///
    /// # Errors
    ///
    /// If the value has no JSON form, such as a map whose keys are not text.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, PayloadError> {
        serde_json::value::to_raw_value(value)
            .map(Self)
            .map_err(PayloadError)
    }

    /// Takes a JSON text as a payload, unchanged.
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
    fn positions_and_sequences_print_as_numbers_and_have_successors() {
        assert_eq!(Position::new(17).to_string(), "17");
        assert_eq!(Position::new(17).next().get(), 18);
        assert_eq!(Sequence::new(17).to_string(), "17");
        assert_eq!(Sequence::new(17).next().get(), 18);
    }
}
