//! Adapters: the ports of ironstar on real technology, one module for each technology.
//!
//! This crate knows nothing of aggregates, HTTP or configuration files. Its caller passes in
//! everything that it needs. Every adapter passes the contract suites of `ironstar-ports`.
//!
//! - [`sqlite`]: the log in one SQLite file, its read models, and sessions.
//! - [`github`]: sign-in with GitHub.
//! - [`zenoh`]: the bus on Zenoh.
//! - [`memory`]: all ports in memory, for tests.
//! - [`system`]: the real clock and real ids.

mod builds;
pub mod github;
pub mod memory;
pub mod sqlite;
pub mod system;
pub mod zenoh;
