//! The traits of aggregates, of their events and of their errors.
//!
//! The traits are static on purpose: the application layer is generic over them, and erases types
//! only at the ports.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserializer, Serialize};

use crate::schema::schema_of;
use crate::{EventSchema, Fingerprint};

/// A consistency boundary: a state that is folded from its own events, and decides commands.
///
/// The implementing type is the *state*. Its `Default` is the state before the first event, and
/// its JSON form is the content of snapshots.
pub trait Aggregate:
    Clone + Debug + Default + DeserializeOwned + PartialEq + Send + Serialize + Sync + 'static
{
    /// The type under which the aggregate's streams are stored, such as `Todo`.
    ///
    /// The type is part of every stored event, so changing it orphans the events.
    const TYPE: &'static str;

    /// A hash of the source code of the state and of [`apply`](Self::apply). A snapshot from
    /// before a change of that code has another fingerprint, and is not used.
    const FINGERPRINT: Fingerprint;

    /// The id of one aggregate of this type. `Display` and `FromStr` are inverse to each other,
    /// because the id is stored as text.
    type Id: Clone + Debug + Display + Eq + FromStr + Send + Sync + 'static;
    /// The requests to change the aggregate, named in the imperative.
    type Command: Clone + Debug + Send + Sync + 'static;
    /// The facts about the aggregate, named in the past tense.
    type Event: DomainEvent;
    /// The reasons for refusing a command.
    type Error: DomainError;

    /// Decides a command, and returns the resulting events in order.
    ///
    /// An empty list means that the command changes nothing.
    ///
    /// # Errors
    ///
    /// The aggregate's reason for refusing the command in this state.
    fn handle(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Error>;

    /// Returns the state after an event.
    ///
    /// The function is total: an event that [`handle`](Self::handle) cannot have decided in this
    /// state leaves the state unchanged.
    #[must_use]
    fn apply(self, event: &Self::Event) -> Self;

    /// The aggregate that this one is part of, as a todo is part of a list. A subscriber of the
    /// parent also gets the hints of this aggregate.
    fn parent(&self) -> Option<Parent> {
        None
    }

    /// The parent of aggregates whose events name none, because the events are from before the
    /// aggregate had a parent.
    fn earliest_parent() -> Option<Parent> {
        None
    }

    /// Returns the state after these events, starting from the default state.
    #[must_use]
    fn fold<'a>(events: impl IntoIterator<Item = &'a Self::Event>) -> Self {
        events.into_iter().fold(Self::default(), Self::apply)
    }
}

/// A fact about an aggregate. Its JSON form is the stored payload.
pub trait DomainEvent:
    Clone + Debug + DeserializeOwned + PartialEq + Send + Serialize + Sync + 'static
{
    /// The type's own event types, each with the versions of its shape.
    /// [`schemas_of`](crate::schema::schemas_of) returns all event types: these, and those of
    /// [`WRAPPED`](Self::WRAPPED).
    const SCHEMAS: &'static [EventSchema];

    /// The event types of the events that this type wraps, as
    /// [`OwnedEvent`](crate::OwnedEvent) does. By default it wraps none.
    /// [`schemas_of`](crate::schema::schemas_of) returns them too.
    const WRAPPED: &'static [EventSchema] = &[];

    /// The event type as it is stored, in snake case. It equals the payload's `type` tag, and is
    /// one of [`schemas_of`](crate::schema::schemas_of).
    fn event_type(&self) -> &'static str;

    /// The version of the payload's shape, counted from 1 for each event type.
    fn schema_version(&self) -> u32 {
        schema_of::<Self>(self.event_type()).map_or(1, EventSchema::version)
    }

    /// Reads a payload of the newest version, which is stored under this event type.
    ///
    /// # Errors
    ///
    /// If the payload is no event.
    fn from_payload<'de, D: Deserializer<'de>>(
        _event_type: &str,
        payload: D,
    ) -> Result<Self, D::Error> {
        Self::deserialize(payload)
    }
}

/// The type and the id of an aggregate that has other aggregates as parts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parent {
    /// The type of the aggregate, such as `List`.
    pub aggregate_type: &'static str,
    /// The id of the aggregate, as its `Display` form.
    pub aggregate_id: String,
}

impl Parent {
    /// Returns the parent of type `A` with this id.
    #[must_use]
    pub fn of<A: Aggregate>(id: &A::Id) -> Self {
        Self {
            aggregate_type: A::TYPE,
            aggregate_id: id.to_string(),
        }
    }
}

/// A refusal. `Display` gives a sentence for people; programs read the [`Refusal`].
pub trait DomainError: std::error::Error + Clone + PartialEq + Send + Sync + 'static {
    /// The refusal in the form for programs.
    fn refusal(&self) -> Refusal;
}

/// A refusal in the form for programs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The kind of the refusal. The web layer derives the HTTP status from it.
    pub kind: ErrorKind,
    /// The machine-readable code: stable, in kebab case, such as `todo-not-found`.
    pub code: &'static str,
    /// True if the aggregate may exist, and be hidden from the caller.
    pub may_hide: bool,
}

/// The kinds of refusal, which are the same for all aggregates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorKind {
    /// The command holds a value that is not allowed in any state.
    Invalid,
    /// The aggregate does not exist, or the caller may not know that it exists.
    NotFound,
    /// The caller may know of the aggregate, but may not run this command.
    Forbidden,
    /// The command contradicts the aggregate's current state.
    Conflict,
}

impl Refusal {
    /// A refusal of the kind [`ErrorKind::Invalid`].
    #[must_use]
    pub const fn invalid(code: &'static str) -> Self {
        Self::new(ErrorKind::Invalid, code)
    }

    /// A refusal of the kind [`ErrorKind::NotFound`].
    #[must_use]
    pub const fn not_found(code: &'static str) -> Self {
        Self::new(ErrorKind::NotFound, code)
    }

    /// A refusal of the kind [`ErrorKind::Forbidden`].
    #[must_use]
    pub const fn forbidden(code: &'static str) -> Self {
        Self::new(ErrorKind::Forbidden, code)
    }

    /// A refusal of the kind [`ErrorKind::Conflict`].
    #[must_use]
    pub const fn conflict(code: &'static str) -> Self {
        Self::new(ErrorKind::Conflict, code)
    }

    /// The same refusal, of an aggregate that may exist, and be hidden from the caller.
    #[must_use]
    pub const fn hiding(self) -> Self {
        Self {
            may_hide: true,
            ..self
        }
    }

    const fn new(kind: ErrorKind, code: &'static str) -> Self {
        Self {
            kind,
            code,
            may_hide: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ErrorKind, Refusal};

    #[test]
    fn refusal_hides_nothing_unless_it_says_so() {
        for (refusal, kind) in [
            (Refusal::invalid("code"), ErrorKind::Invalid),
            (Refusal::not_found("code"), ErrorKind::NotFound),
            (Refusal::forbidden("code"), ErrorKind::Forbidden),
            (Refusal::conflict("code"), ErrorKind::Conflict),
        ] {
            let code = "code";
            for (refusal, may_hide) in [(refusal, false), (refusal.hiding(), true)] {
                let expected = Refusal {
                    kind,
                    code,
                    may_hide,
                };
                assert_eq!(refusal, expected);
            }
        }
    }
}
