//! The shape that every aggregate has, and what its events and errors say of
//! themselves.
//!
//! The traits are static on purpose: the application layer is generic over
//! them, and erases types only at the ports.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::schema::schema_of;
use crate::{EventSchema, Fingerprint};

/// A consistency boundary: a state folded from its own events, that decides
/// commands.
///
/// The implementing type is the *state*; its `Default` is the state before the
/// first event, and its JSON form is what snapshots keep.
pub trait Aggregate:
    Clone + Debug + Default + DeserializeOwned + PartialEq + Send + Serialize + Sync + 'static
{
    /// The name under which the aggregate's streams are stored, such as `Todo`.
    ///
    /// It is part of every stored event: changing it orphans them.
    const TYPE: &'static str;

    /// Names the source of the state and of [`apply`](Self::apply), so that a
    /// snapshot from before a change is not taken for one of after it.
    const FINGERPRINT: Fingerprint;

    /// Identifies one aggregate of this type. `Display` and `FromStr` are
    /// inverse to each other, since the text is what is stored.
    type Id: Clone + Debug + Display + Eq + FromStr + Send + Sync + 'static;
    /// What can be asked of the aggregate, in the imperative.
    type Command: Clone + Debug + Send + Sync + 'static;
    /// What has happened to the aggregate, in the past tense.
    type Event: DomainEvent;
    /// Why the aggregate refuses a command.
    type Error: DomainError;

    /// Decides a command: the events that follow from it, in order.
    ///
    /// An empty list means that the command would change nothing.
    ///
    /// # Errors
    ///
    /// The aggregate's reason for refusing the command in this state.
    fn handle(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Error>;

    /// The state after an event.
    ///
    /// Total: an event that [`handle`](Self::handle) cannot have decided in
    /// this state leaves it as it is.
    #[must_use]
    fn apply(self, event: &Self::Event) -> Self;

    /// The aggregate that this one is part of, as a todo is part of a list. Who
    /// follows that one also hears of this one.
    fn parent(&self) -> Option<Parent> {
        None
    }

    /// The state after a history.
    #[must_use]
    fn fold<'a>(events: impl IntoIterator<Item = &'a Self::Event>) -> Self {
        events.into_iter().fold(Self::default(), Self::apply)
    }
}

/// A fact, as it is stored: its JSON form is the payload.
pub trait DomainEvent:
    Clone + Debug + DeserializeOwned + PartialEq + Send + Serialize + Sync + 'static
{
    /// Every event type there is, with the shapes that it has had.
    const SCHEMAS: &'static [EventSchema];

    /// The stored name, in snake case, equal to the payload's `type` tag, and
    /// one of [`SCHEMAS`](Self::SCHEMAS).
    fn event_type(&self) -> &'static str;

    /// The version of the payload's shape, counted from 1 for each event type.
    fn schema_version(&self) -> u32 {
        schema_of::<Self>(self.event_type()).map_or(1, EventSchema::version)
    }
}

/// Names an aggregate that others are part of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parent {
    /// Its type.
    pub aggregate_type: &'static str,
    /// Its id, in its written form.
    pub aggregate_id: String,
}

impl Parent {
    /// The aggregate with this id.
    #[must_use]
    pub fn of<A: Aggregate>(id: &A::Id) -> Self {
        Self {
            aggregate_type: A::TYPE,
            aggregate_id: id.to_string(),
        }
    }
}

/// A refusal: a sentence for people (`Display`), and for programs a kind and a
/// code.
pub trait DomainError: std::error::Error + Clone + PartialEq + Send + Sync + 'static {
    /// What sort of refusal it is; the web layer derives the status from it.
    fn kind(&self) -> ErrorKind;

    /// A stable name in kebab case, such as `todo-not-found`.
    fn code(&self) -> &'static str;
}

/// The sorts of refusal, whatever the aggregate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorKind {
    /// A value is not allowed, whatever the state.
    Invalid,
    /// There is no such aggregate, as far as whoever asks may know.
    NotFound,
    /// Whoever asks may know of the aggregate, and not do that.
    Forbidden,
    /// The aggregate's state rules the command out.
    Conflict,
}
