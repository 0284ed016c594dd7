//! The pure heart of ironstar: aggregates that turn commands into events.
//!
//! This crate knows nothing of storage, the network, tasks, clocks or randomness. Everything in
//! it is a value or a pure function, so every decision is tested without a mock.
//!
//! - [`Aggregate`] is the trait of all aggregates: `handle` decides a command, `apply` folds an
//!   event.
//! - [`mod@schema`] reads stored events of any version.
//! - [`mod@todo`] and [`mod@list`] are the aggregates of the application. A new aggregate is one
//!   more module beside them.
//! - [`mod@user`] and [`mod@identity`] record sign-ins. A [`Principal`] is a user or a guest, and
//!   can own aggregates.
//! - [`mod@step`] records the outcome of each step of a process manager.
//! - [`mod@characters`] classifies characters by their Unicode properties. [`tidied`] and
//!   [`in_one_direction`] prepare a text for parsing.
//! - [`test_kit`] is given/when/then for any aggregate.

mod access;
mod aggregate;
pub mod characters;
pub mod features;
mod fingerprint;
pub mod identity;
mod line;
mod principal;
pub mod schema;
pub mod step;
pub mod test_kit;
mod text;
pub mod user;

pub use access::{
    Access, Link, LinkAccess, LinkId, LinkIdError, Owned, OwnedEvent, Ownership, OwnershipCommand,
    OwnershipError, OwnershipEvent,
};
pub use aggregate::{Aggregate, DomainError, DomainEvent, ErrorKind, Parent, Refusal};
pub use features::{list, todo};
pub use fingerprint::Fingerprint;
pub use identity::{
    IdentityCommand, IdentityError, IdentityEvent, IdentityId, IdentityIdError, IdentityState,
};
pub use line::{LineError, in_one_direction, tidied, typed};
pub use principal::{GuestId, Principal, PrincipalError};
pub use schema::{EventError, EventSchema, UpcastError};
pub use step::{StepCommand, StepError, StepEvent, StepId, StepIdError, StepState};
pub use user::{
    Profile, UserCommand, UserDetails, UserError, UserEvent, UserId, UserIdError, UserName,
    UserNameError, UserState,
};
