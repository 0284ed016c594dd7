//! Proves that the contract suites can fail: for each rule there is an adapter
//! that is broken in one way, and breaks that rule and no other.

mod event_bus;
mod event_store;
mod projection_store;
mod secret_store;
mod session_store;
mod snapshot_store;
