//! Adapters: the ports of ironstar on real technology, one module for each technology.
//!
//! This crate knows nothing of aggregates, HTTP or configuration files. Its caller passes in
//! everything that it needs. Every adapter passes the contract suites of `ironstar-ports`.
//!
//! - [`archive`]: the content of a database, for a move to another one.
//! - [`database`]: SQLite or PostgreSQL, as the URL of the database says.
//! - [`sqlite`]: the log in one SQLite file, its read models, and sessions.
//! - [`postgres`]: the same in a PostgreSQL database, which several servers share.
//! - [`github`]: sign-in with GitHub.
//! - [`zenoh`]: the bus on Zenoh.
//! - [`memory`]: all ports in memory, for tests.
//! - [`system`]: the real clock and real ids.

pub mod archive;
mod builds;
pub mod database;
mod documents;
pub mod github;
mod leases;
mod log;
pub mod memory;
pub mod migration;
pub mod postgres;
mod sessions;
pub mod sqlite;
pub mod system;
pub mod zenoh;
