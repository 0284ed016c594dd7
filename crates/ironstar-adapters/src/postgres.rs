//! The log, its read models, and sessions in a PostgreSQL database, which several servers share.
//!
//! Positions are contiguous and in commit order: each append locks one row until its commit, and
//! its events continue from the last committed event. So a reader never has to wait for a gap
//! (docs/adr/0017).
//!
//! One task of each server appends, many callers' events in one transaction. Reads, sessions, and
//! read models have pools of connections of their own, so slow reads never delay an append.
//! Each new connection is examined before it is used ([`Unfit`]).

mod archive;
mod batch;
mod builds;
mod clock;
mod connection;
mod database;
mod documents;
mod event_store;
mod events;
mod fitness;
mod lease_store;
mod leases;
mod migrations;
mod open_error;
mod pool;
mod projection_store;
mod schema;
mod seen;
mod session_store;
mod transaction;
mod url;
mod writer;

pub(crate) use archive::PostgresArchive;
pub use database::PostgresDatabase;
pub use event_store::PostgresEventStore;
pub use fitness::Unfit;
pub use lease_store::PostgresLeaseStore;
pub use migrations::{migrate, migration_status};
pub use open_error::OpenError;
pub use projection_store::PostgresProjectionStore;
pub use seen::LostEvents;
pub use session_store::PostgresSessionStore;
pub use url::{PostgresUrl, UrlError};
