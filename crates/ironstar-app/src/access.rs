//! Who may do what: who asks, what proves it, and for how long it holds.
//!
//! Everybody has the shared list. Any other is known to its owner, and to whoever
//! comes by one of its links; to everyone else it does not exist. That is decided
//! on what the log says at that very moment, never on a read model, which may be
//! behind:
//!
//! - a command on a list, or on a todo of one, is stored together with the demand
//!   that nothing has happened to the list since its [`Caller`] was let in;
//! - whoever watches a list holds a [`Permit`], which ends as soon as the log says
//!   so ([`Gates`]).
//!
//! Which events tell of what is for [`Audience`] to say.

mod audience;
mod caller;
mod gates;
mod links;

pub use audience::Audience;
pub use caller::Caller;
pub use gates::{Gates, Permit};
pub use links::{LinkToken, LinkTokenError, Links, PresentedLink};
