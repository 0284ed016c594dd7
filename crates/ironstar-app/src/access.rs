//! The rights of callers: the identity of a caller, its proof, and how long a right lasts.
//!
//! Every caller may use the shared list. Any other list is visible to its owner, and to callers
//! that present one of its links. For all other callers it does not exist. The check reads the
//! log at that very moment, never a read model, because a read model may be behind:
//!
//! - A command on a list, or on a todo of a list, is appended under a condition: the list must
//!   not have changed since its [`Caller`] was checked.
//! - A subscriber of a list holds a [`Permit`], which ends as soon as an event in the log
//!   revokes it ([`Gates`]).
//!
//! [`Audience`] says which callers an event may be sent to.

mod audience;
mod caller;
mod gates;
mod links;

pub use audience::Audience;
pub use caller::Caller;
pub use gates::{Gates, Permit};
pub use links::{LinkToken, LinkTokenError, Links, PresentedLink};
