//! How events of any age are read.
//!
//! What was stored is never changed, so when the shape of an event changes, the
//! old shapes have to be read for ever. Each event type counts its shapes from 1,
//! and has an upcaster from each to the next. An event is lifted one version at
//! a time until it has the shape that the code knows.

use serde_json::{Map, Value};

use crate::DomainEvent;

/// The shapes that an event type has had.
#[derive(Clone, Copy, Debug)]
pub struct EventSchema {
    /// The stored name, in snake case.
    pub event_type: &'static str,
    /// From each version to the next: the first lifts version 1 to version 2.
    pub upcasters: &'static [Upcaster],
}

/// Lifts a payload, a JSON object, from one version to the next.
pub type Upcaster = fn(&mut Map<String, Value>) -> Result<(), UpcastError>;

/// Why a payload cannot be lifted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct UpcastError(pub String);

/// Why a stored event cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// There is no such event type, as far as the code knows.
    #[error("no event of this type is known")]
    UnknownType,
    /// Later code has stored it.
    #[error("version {newest} is the newest that is known; run a newer ironstar")]
    NewerVersion {
        /// The newest version that the code knows.
        newest: u32,
    },
    /// Versions are counted from 1.
    #[error("there is no version 0")]
    NoVersion,
    /// It cannot be lifted.
    #[error("it cannot be lifted from version {from} to the next")]
    NotLifted {
        /// The version that it has been lifted to.
        from: u32,
        /// Why not further.
        source: UpcastError,
    },
    /// The payload is not what the version says.
    #[error("its payload is not what it should be")]
    NotAnEvent(#[source] serde_json::Error),
    /// The payload is an event, but another one.
    #[error("its payload is a {found:?} event")]
    OtherType {
        /// What it is.
        found: &'static str,
    },
}

impl EventSchema {
    /// An event type that has always had the same shape.
    #[must_use]
    pub const fn new(event_type: &'static str) -> Self {
        Self::lifted(event_type, &[])
    }

    /// An event type whose older shapes are lifted by these upcasters.
    #[must_use]
    pub const fn lifted(event_type: &'static str, upcasters: &'static [Upcaster]) -> Self {
        Self {
            event_type,
            upcasters,
        }
    }

    /// The version of the shape that the code knows.
    #[must_use]
    pub const fn version(&self) -> u32 {
        // No event type changes its shape four billion times.
        self.upcasters.len() as u32 + 1
    }
}

/// The schema of an event type.
#[must_use]
pub fn schema_of<E: DomainEvent>(event_type: &str) -> Option<&'static EventSchema> {
    E::SCHEMAS
        .iter()
        .find(|schema| schema.event_type == event_type)
}

/// Reads an event as it was stored, whatever its age.
///
/// # Errors
///
/// If it is not one of these events, or its shape is not what it should be.
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
        version if version == newest => serde_json::from_str(payload),
        version => serde_json::from_value(lift(schema, version, payload)?),
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
