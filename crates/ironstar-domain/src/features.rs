//! The features of the application. Each is one module, and everything outside of this folder
//! works for any of them.

pub mod list;
pub mod todo;
