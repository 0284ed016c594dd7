//! Conversion between the domain's events and the store's: the only place where payloads get
//! their types.

use std::error::Error;

use ironstar_domain::schema::EventError;
use ironstar_domain::{Aggregate, DomainEvent, schema};
use ironstar_ports::{Envelope, Metadata, NewEvent, Payload, PayloadError, Position};

/// A stored event does not have the shape that its name and version promise. It is never
/// skipped.
#[derive(Debug, thiserror::Error)]
#[error(
    "the {event_type:?} event (schema version {schema_version}) at position {position} cannot be read"
)]
pub struct DecodeError {
    /// The position of the event.
    pub position: Position,
    /// The stored type of the event.
    pub event_type: String,
    /// The stored version of its shape.
    pub schema_version: u32,
    /// The reason why it cannot be read.
    source: Box<dyn Error + Send + Sync>,
}

impl DecodeError {
    /// Returns true if a newer version of the program may be able to read the event.
    #[must_use]
    pub fn is_of_newer_version(&self) -> bool {
        let error = self.source.downcast_ref::<EventError>();
        error.is_some_and(EventError::is_of_newer_version)
    }
}

/// Reads a stored event of any age as an event of the aggregate `A`. Returns the aggregate's id
/// with the event.
///
/// # Errors
///
/// If the stream's id or the payload has a shape that no version of the aggregate has written.
pub fn decode<A: Aggregate>(envelope: &Envelope) -> Result<(A::Id, A::Event), DecodeError> {
    let error = |source| DecodeError {
        position: envelope.position,
        event_type: envelope.event_type.clone(),
        schema_version: envelope.schema_version,
        source,
    };
    let id = envelope
        .stream
        .aggregate_id
        .parse()
        .map_err(|_| error(format!("not an id: {:?}", envelope.stream.aggregate_id).into()))?;
    let event = schema::read(
        &envelope.event_type,
        envelope.schema_version,
        envelope.payload.as_str(),
    )
    .map_err(|source| error(source.into()))?;
    Ok((id, event))
}

/// Makes an aggregate's event ready to be stored.
pub(crate) fn encode<E: DomainEvent>(
    event: &E,
    metadata: Metadata,
) -> Result<NewEvent, PayloadError> {
    Ok(NewEvent {
        event_type: event.event_type().to_owned(),
        schema_version: event.schema_version(),
        payload: Payload::of(event)?,
        metadata,
    })
}
