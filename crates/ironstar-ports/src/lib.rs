//! What ironstar needs from the outside world, and nothing about who provides
//! it.
//!
//! This crate knows nothing of SQL, of Zenoh, of HTTP, or of any particular
//! aggregate: events pass through it as JSON payloads, and get their types in the
//! application layer.
//!
//! - [`EventStore`]: the log. The truth.
//! - [`SnapshotStore`]: states, so that long streams need not be read whole.
//! - [`ProjectionStore`]: read models, and how far each has got.
//! - [`SessionStore`] and [`SecretStore`]: who comes back, and what nobody may know.
//! - [`IdentityProvider`]: somebody else who knows who people are.
//! - [`EventBus`]: hints that something is new. Never the truth.
//! - [`Clock`] and [`IdSource`]: time and randomness, injected.
//! - `contract` (feature `contract`): what every adapter must prove.

mod event;
mod event_bus;
mod event_store;
mod identity_provider;
mod key;
mod log_place;
mod projection_store;
mod secret_store;
mod session_store;
mod snapshot_store;
mod system;

#[cfg(feature = "contract")]
pub mod contract;

pub use event::{
    Envelope, Metadata, NewEvent, Origin, Payload, PayloadError, Position, Sequence, StreamId,
};
pub use event_bus::{BusError, BusMessage, EventBus, Subscription};
pub use event_store::{
    Append, AppendError, Appended, CommandKey, CommandKeyError, CommandRecord, EarlierCommand,
    EventStore, ExpectedSequence, Outcome, StoreError, StreamAppend, StreamHead,
};
pub use identity_provider::{
    IdentityError, IdentityProfile, IdentityProvider, PkceVerifier, SignInRequest,
};
pub use key::{Key, KeyExpr, KeyExprError};
pub use log_place::{LogPlace, LogPlaceError, Mark};
pub use projection_store::{
    Build, BuildId, BuildState, BuildUpdate, CommitError, Document, DocumentBatch, DocumentChange,
    DocumentPage, DocumentQuery, DocumentSource, Failure, Found, Place, ProjectionStore, Skipped,
    UpdateError,
};
pub use secret_store::SecretStore;
pub use session_store::{SessionHash, SessionStore, StoredSession};
pub use snapshot_store::{Snapshot, SnapshotStore};
pub use system::{Clock, IdSource};
