//! The ports in memory: for tests that are about something else.
//!
//! They pass the same contract suites as the real adapters, and forget
//! everything with the process.

mod event_bus;
mod event_store;
mod projection_store;
mod session_store;
mod snapshot_store;

pub use event_bus::MemoryEventBus;
pub use event_store::MemoryEventStore;
pub use projection_store::MemoryProjectionStore;
pub use session_store::{MemorySecretStore, MemorySessionStore};
pub use snapshot_store::MemorySnapshotStore;
