//! The right to see an aggregate with an owner, and how long the right lasts.
//!
//! An aggregate with an owner ([`Owned`](ironstar_domain::Owned)) is visible to its owner, and to
//! callers that present one of its links. For all other callers it does not exist. The check
//! reads the log at that very moment, never a read model, because a read model may be behind:
//!
//! - A command on the aggregate, or on a part of it, is appended under a condition: the aggregate
//!   must not have changed since its [`Caller`](crate::Caller) was checked.
//! - A subscriber holds a [`Permit`], which ends as soon as an event in the log revokes it
//!   ([`Gates`]).
//! - [`Audition`] decides which events of the log a caller may receive, by the [`Audiences`]
//!   that the features declare.

mod audience;
mod audition;
mod gates;
mod resource;

pub use audience::{Audience, AudienceRule, Audiences, parent_of};
pub use audition::{Audition, Unknown};
pub use gates::{Gates, Permit};
pub use resource::{NoRefusal, Resource};
