//! The pure heart of ironstar: what a todo is, what may be asked of it, and
//! what then happens.
//!
//! This crate knows nothing of storage, the network, tasks, clocks or
//! randomness. Everything in it is a value or a pure function, so every
//! decision is tested without a mock.
//!
//! - [`Aggregate`] is the shape of a decision: `handle` and `apply`.
//! - [`mod@todo`] is the aggregate of the application. A new aggregate is one more
//!   module beside it.
//! - [`test_kit`] is given/when/then for any aggregate.

mod aggregate;
mod fingerprint;
pub mod test_kit;
pub mod todo;

pub use aggregate::{Aggregate, DomainError, DomainEvent, ErrorKind};
pub use fingerprint::Fingerprint;
pub use todo::{
    TodoCommand, TodoError, TodoEvent, TodoId, TodoIdError, TodoState, TodoText, TodoTextError,
};
