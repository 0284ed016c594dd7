//! The pure heart of ironstar: what a todo is, what may be asked of it, and
//! what then happens.
//!
//! This crate knows nothing of storage, the network, tasks, clocks or
//! randomness. Everything in it is a value or a pure function, so every
//! decision is tested without a mock.
//!
//! - [`Aggregate`] is the shape of a decision: `handle` and `apply`.
//! - [`mod@schema`] reads events of any age.
//! - [`mod@todo`] and [`mod@list`] are the aggregates of the application. A new one
//!   is one more module beside them.
//! - [`mod@step`] is what becomes of what a process manager asks for.
//! - [`test_kit`] is given/when/then for any aggregate.

mod aggregate;
mod fingerprint;
mod line;
pub mod list;
pub mod schema;
pub mod step;
pub mod test_kit;
pub mod todo;

pub use aggregate::{Aggregate, DomainError, DomainEvent, ErrorKind, Parent};
pub use fingerprint::Fingerprint;
pub use line::LineError;
pub use list::{
    ListCommand, ListError, ListEvent, ListId, ListIdError, ListName, ListNameError, ListState,
};
pub use schema::{EventError, EventSchema, UpcastError};
pub use step::{StepCommand, StepError, StepEvent, StepId, StepIdError, StepState};
pub use todo::{
    TodoCommand, TodoError, TodoEvent, TodoId, TodoIdError, TodoState, TodoText, TodoTextError,
};
