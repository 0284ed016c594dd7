//! The log in one SQLite file.
//!
//! SQLite runs with a write-ahead log and `synchronous=FULL`, so what has been
//! committed survives a power cut. One task owns the one connection that
//! writes; reads have connections of their own, which cannot write.

mod batch;
mod connection;
mod database;
mod event_store;
mod file;
mod migrations;
mod rows;
mod snapshots;
mod url;
mod writer;

pub use connection::OpenError;
pub use database::SqliteDatabase;
pub use event_store::{DEFAULT_COMMAND_RETENTION, SqliteEventStore};
pub use migrations::{Migration, migrate, migration_status};
pub use url::{SqliteUrl, UrlError};
