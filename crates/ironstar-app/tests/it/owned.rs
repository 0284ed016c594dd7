//! The engine protects any aggregate with an owner. The tests run on notes, which declare nothing
//! but their owners and links. A feature with such an aggregate runs them on it, too.

mod history;
mod letter;
mod model;
pub(crate) mod privacy;
pub(crate) mod sign_in;
pub(crate) mod specimen;
mod trial;
