//! The ports: all that ironstar needs from the outside world, as traits.
//!
//! This crate knows nothing of SQL, Zenoh, HTTP, or any particular aggregate. Events pass through
//! it as JSON payloads, and get their types in the application layer.
//!
//! - [`EventStore`]: the log, which is the source of truth.
//! - [`SnapshotStore`]: snapshots of states, so that a long stream need not be read from its
//!   start.
//! - [`ProjectionStore`]: read models and their checkpoints.
//! - [`LeaseStore`]: the nodes that share a database, and what only one of them may do.
//! - [`SessionStore`] and [`SecretStore`]: the sessions of visitors, and the secrets of the
//!   installation.
//! - [`IdentityProvider`]: a service, such as GitHub, that identifies users at sign-in.
//! - [`EventBus`]: hints that the log has new events. A hint is never a source of truth.
//! - [`Clock`] and [`IdSource`]: time and randomness, which tests replace.
//! - `contract` (feature `contract`): the rules that every adapter must pass, and test doubles.

mod command_record;
mod event;
mod event_bus;
mod event_store;
mod identity_provider;
mod key;
mod lease_store;
mod log_place;
mod projection_store;
mod secret_store;
mod session_store;
mod snapshot_store;
mod system;

#[cfg(feature = "contract")]
pub mod contract;

pub use command_record::{CommandKey, CommandKeyError, CommandRecord, EarlierCommand};
pub use event::{
    Envelope, Metadata, NewEvent, Origin, Payload, PayloadError, Position, Sequence, StreamId,
};
pub use event_bus::{BusError, BusMessage, EventBus, Subscription};
pub use event_store::{
    Append, AppendError, Appended, EventStore, ExpectedSequence, Outcome, StoreError, StreamAppend,
    StreamHead,
};
pub use identity_provider::{
    IdentityError, IdentityProfile, IdentityProvider, PkceVerifier, SignInRequest,
};
pub use key::{Key, KeyExpr, KeyExprError};
pub use lease_store::{Lease, LeaseStore, NodeAbout, NodeId, NodeReport, NodeStatus};
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
