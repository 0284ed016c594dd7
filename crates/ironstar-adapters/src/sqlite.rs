//! The log, its read models, and sessions in one SQLite file.
//!
//! SQLite runs with a write-ahead log and `synchronous=FULL`, so committed data survives a
//! power cut. That includes read models and snapshots, although they could be made again from
//! the events. Otherwise an unsynced read model could stand in the write-ahead log before an
//! event: a failing sync could lose it, and the event with it.
//!
//! One task owns the only connection that writes. Reads have their own connections, which
//! cannot write.

mod archive;
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

pub(crate) use archive::SqliteArchive;
pub use checkpoint::{WalFigures, WalLimits};
pub use database::SqliteDatabase;
pub use event_store::{DEFAULT_COMMAND_RETENTION, SqliteEventStore};
pub use link::WalError;
pub use migrations::{migrate, migration_status};
pub use open_error::OpenError;
pub use path::DatabaseFile;
pub use projection_store::SqliteProjectionStore;
pub use refusal::{Cause, Refusal};
pub use session_store::SqliteSessionStore;
pub use url::{SqliteUrl, UrlError};
