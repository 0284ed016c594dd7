//! The ports of ironstar, on real technology: one module each.
//!
//! This crate knows nothing of any aggregate, of HTTP, or of configuration
//! files: it is handed what it needs, and passes the contract suites of
//! `ironstar-ports`.
//!
//! - [`sqlite`]: the log in one SQLite file, and read models.
//! - [`github`]: who people are, by GitHub.
//! - [`zenoh`]: the bus on Zenoh.
//! - [`memory`]: all of it in memory, for tests.
//! - [`system`]: the real clock and real ids.

mod builds;
pub mod github;
pub mod memory;
pub mod sqlite;
pub mod system;
pub mod zenoh;
