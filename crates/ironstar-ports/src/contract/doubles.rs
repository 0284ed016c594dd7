//! Test doubles of the ports, for tests that need a faulty store or a wrong clock.
//!
//! A faulty store implements [`AroundEventStore`] or [`AroundProjectionStore`], and states only
//! the calls that differ from those of the store inside it.

mod event_store;
mod manual_clock;
mod projection_store;

pub use event_store::AroundEventStore;
pub use manual_clock::ManualClock;
pub use projection_store::AroundProjectionStore;
