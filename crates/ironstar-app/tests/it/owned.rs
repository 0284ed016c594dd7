//! The engine protects any aggregate with an owner. The tests run on lists, and on a note that
//! exists only here and declares nothing but its owner and its links.

mod history;
mod model;
mod note;
mod notes;
mod privacy;
mod sign_in;
mod specimen;
mod trial;
