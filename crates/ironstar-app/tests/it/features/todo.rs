//! The todo: its documents, its services, and the archiving of lists.

mod access;
mod archiving;
mod audience;
mod contention;
mod documents;
mod guards;
mod keys;
mod many;
