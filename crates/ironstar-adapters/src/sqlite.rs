//! The log in one SQLite file, the read models that are made of it, and sessions.
//!
//! SQLite runs with a write-ahead log and `synchronous=FULL`, so what has been
//! committed survives a power cut. That goes for read models and snapshots too,
//! although they could be made anew: what is in the log unsynced before an event
//! can be lost when a sync fails, and takes the event with it.
//!
//! One task owns the one connection that writes; reads have connections of their
//! own, which cannot write.

mod batch;
mod builds;
mod checkpoint;
mod code;
mod connection;
mod course;
mod database;
mod documents;
mod event_store;
mod file;
mod foresight;
mod link;
mod migrations;
mod open_error;
mod path;
mod projection_store;
mod readers;
mod recognition;
mod refusal;
mod rows;
mod session_store;
mod sessions;
mod snapshots;
mod transaction;
mod url;
mod writer;

pub use checkpoint::{WalFigures, WalLimits};
pub use database::SqliteDatabase;
pub use event_store::{DEFAULT_COMMAND_RETENTION, SqliteEventStore};
pub use link::WalError;
pub use migrations::{Migration, migrate, migration_status};
pub use open_error::OpenError;
pub use path::DatabaseFile;
pub use projection_store::SqliteProjectionStore;
pub use refusal::{Cause, Refusal};
pub use session_store::SqliteSessionStore;
pub use url::{SqliteUrl, UrlError};
