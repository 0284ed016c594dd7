//! The events of an aggregate with an owner.

use serde::{Deserialize, Deserializer, Serialize};

use super::OwnershipEvent;
use crate::schema::schema_of;
use crate::{DomainEvent, EventSchema};

/// An event of an aggregate with an owner: an event of its own, or an event of its ownership. The
/// JSON form is that of the event. If an event of `E` has a type of an [`OwnershipEvent`], the code
/// does not compile.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum OwnedEvent<E> {
    /// An event of the aggregate's own kind.
    Own(E),
    /// The aggregate got another owner, or its links changed.
    Ownership(OwnershipEvent),
}

impl<E> From<E> for OwnedEvent<E> {
    fn from(event: E) -> Self {
        Self::Own(event)
    }
}

impl<E: DomainEvent> DomainEvent for OwnedEvent<E> {
    const SCHEMAS: &'static [EventSchema] = OwnershipEvent::SCHEMAS;
    const WRAPPED: &'static [EventSchema] = {
        assert!(E::WRAPPED.is_empty(), "an owned event wraps no wrapper");
        assert!(
            are_disjoint(E::SCHEMAS, OwnershipEvent::SCHEMAS),
            "an event of the aggregate has the type of an event of its ownership"
        );
        E::SCHEMAS
    };

    fn event_type(&self) -> &'static str {
        match self {
            Self::Own(event) => event.event_type(),
            Self::Ownership(event) => event.event_type(),
        }
    }

    /// An error names the wrong field, because the stored type selects the event. Serde's
    /// `untagged` would say only that no event fits.
    fn from_payload<'de, D: Deserializer<'de>>(
        event_type: &str,
        payload: D,
    ) -> Result<Self, D::Error> {
        if schema_of::<OwnershipEvent>(event_type).is_some() {
            OwnershipEvent::deserialize(payload).map(Self::Ownership)
        } else {
            E::deserialize(payload).map(Self::Own)
        }
    }
}

/// Returns true if no event type is in both lists.
const fn are_disjoint(some: &[EventSchema], others: &[EventSchema]) -> bool {
    match some {
        [] => true,
        [first, rest @ ..] => !has(others, first.event_type) && are_disjoint(rest, others),
    }
}

const fn has(schemas: &[EventSchema], event_type: &str) -> bool {
    match schemas {
        [] => false,
        [first, rest @ ..] => {
            are_equal(first.event_type.as_bytes(), event_type.as_bytes()) || has(rest, event_type)
        }
    }
}

/// The `==` of slices, which a constant cannot use.
const fn are_equal(left: &[u8], right: &[u8]) -> bool {
    match (left, right) {
        ([], []) => true,
        ([left, lefts @ ..], [right, rights @ ..]) => *left == *right && are_equal(lefts, rights),
        ([], _) | (_, []) => false,
    }
}

#[cfg(test)]
mod tests;
