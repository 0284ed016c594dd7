//! Proves that the contract suites can fail. For each rule there is a mutant: an adapter that
//! is broken in one way. It must break that rule and no other.

mod event_bus;
mod event_store;
mod projection_store;
mod secret_store;
mod session_store;
mod snapshot_store;
