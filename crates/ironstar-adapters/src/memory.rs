//! The ports in memory, for tests of other parts.
//!
//! These adapters pass the same contract suites as the real ones. Their data is lost when the
//! process ends.

mod event_bus;
mod event_store;
mod lease_store;
mod projection_store;
mod session_store;
mod snapshot_store;

pub use event_bus::MemoryEventBus;
pub use event_store::MemoryEventStore;
pub use lease_store::MemoryLeaseStore;
pub use projection_store::MemoryProjectionStore;
pub use session_store::{MemorySecretStore, MemorySessionStore};
pub use snapshot_store::MemorySnapshotStore;
