//! Reads stored events of any version.
//!
//! Stored events never change, so the code must read their old shapes for ever. The shapes of
//! each event type are numbered from 1, and an upcaster leads from each version to the next.
//! [`read`] lifts an event one version at a time, until it has the newest shape.

use serde_json::{Map, Value};

use crate::DomainEvent;

/// The versions of an event type's shape.
#[derive(Clone, Copy, Debug)]
pub struct EventSchema {
    /// The event type as it is stored, in snake case.
    pub event_type: &'static str,
    /// The upcasters in order. The first one lifts version 1 to version 2.
    pub upcasters: &'static [Upcaster],
}

/// Lifts a payload, which is a JSON object, from one version to the next.
pub type Upcaster = fn(&mut Map<String, Value>) -> Result<(), UpcastError>;

/// The reason why a payload cannot be lifted, as a sentence.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct UpcastError(pub String);

/// The reasons why a stored event cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The code knows no such event type.
    #[error("no event of this type is known")]
    UnknownType,
    /// The version is newer than the code: a later ironstar has stored the event.
    #[error("the newest known version is {newest}; run a newer ironstar")]
    NewerVersion {
        /// The newest version that the code knows.
        newest: u32,
    },
    /// The version is 0, but versions are counted from 1.
    #[error("there is no version 0")]
    NoVersion,
    /// An upcaster has failed.
    #[error("it cannot be lifted from version {from} to the next")]
    NotLifted {
        /// The version that the upcaster should have lifted.
        from: u32,
        /// The upcaster's error.
        source: UpcastError,
    },
    /// The payload does not have the shape of its version.
    #[error("its payload does not have the shape of this version")]
    NotAnEvent(#[source] serde_json::Error),
    /// The payload is an event of another type than the one it is stored under.
    #[error("its payload is a {found:?} event")]
    OtherType {
        /// The type of the payload.
        found: &'static str,
    },
}

impl EventError {
    /// Returns true if a newer version of the program may be able to read the event.
    #[must_use]
    pub fn is_of_newer_version(&self) -> bool {
        match self {
            Self::UnknownType | Self::NewerVersion { .. } => true,
            Self::NoVersion
            | Self::NotLifted { .. }
            | Self::NotAnEvent(_)
            | Self::OtherType { .. } => false,
        }
    }
}

impl EventSchema {
    /// An event type with a single version.
    #[must_use]
    pub const fn new(event_type: &'static str) -> Self {
        Self::lifted(event_type, &[])
    }

    /// An event type with one version more than it has upcasters.
    #[must_use]
    pub const fn lifted(event_type: &'static str, upcasters: &'static [Upcaster]) -> Self {
        Self {
            event_type,
            upcasters,
        }
    }

    /// The newest version, counted from 1.
    #[must_use]
    pub const fn version(&self) -> u32 {
        // No event type changes its shape four billion times.
        self.upcasters.len() as u32 + 1
    }
}

/// Returns the schema of an event type, or `None` if the type is unknown.
#[must_use]
pub fn schema_of<E: DomainEvent>(event_type: &str) -> Option<&'static EventSchema> {
    schemas_of::<E>().find(|schema| schema.event_type == event_type)
}

/// Returns the schemas of all event types of `E`, with those of the events that it wraps.
pub fn schemas_of<E: DomainEvent>() -> impl Iterator<Item = &'static EventSchema> {
    E::SCHEMAS.iter().chain(E::WRAPPED)
}

/// Reads a stored event of any version.
///
/// # Errors
///
/// If the event type or the version is unknown, or if the payload does not have the version's
/// shape.
pub fn read<E: DomainEvent>(
    event_type: &str,
    schema_version: u32,
    payload: &str,
) -> Result<E, EventError> {
    let schema = schema_of::<E>(event_type).ok_or(EventError::UnknownType)?;
    let newest = schema.version();
    let event: E = match schema_version {
        0 => return Err(EventError::NoVersion),
        version if version > newest => return Err(EventError::NewerVersion { newest }),
        version if version == newest => {
            let mut text = serde_json::Deserializer::from_str(payload);
            E::from_payload(event_type, &mut text).and_then(|event| text.end().map(|()| event))
        }
        version => E::from_payload(event_type, lift(schema, version, payload)?),
    }
    .map_err(EventError::NotAnEvent)?;
    if event.event_type() != event_type {
        let found = event.event_type();
        return Err(EventError::OtherType { found });
    }
    Ok(event)
}

/// Lifts a payload from an older version to the newest.
fn lift(schema: &EventSchema, version: u32, payload: &str) -> Result<Value, EventError> {
    let mut fields: Map<String, Value> =
        serde_json::from_str(payload).map_err(EventError::NotAnEvent)?;
    let upcasters = (1..).zip(schema.upcasters);
    for (from, upcaster) in upcasters.filter(|(from, _)| *from >= version) {
        upcaster(&mut fields).map_err(|source| EventError::NotLifted { from, source })?;
    }
    Ok(Value::Object(fields))
}

#[cfg(test)]
mod tests;
