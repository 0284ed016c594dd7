//! An open database for the stores: connections for each use.

use std::sync::Arc;

use ironstar_ports::Clock;

use super::clock::DatabaseClock;
use super::connection::{Connector, Use, close};
use super::migrations;
use super::open_error::OpenError;
use super::pool::Pool;
use super::url::PostgresUrl;

/// The number of connections of one process for each use. A session or a read model is changed by
/// one short statement, so few connections are enough.
const READERS: usize = 8;
const WRITERS: usize = 3;
const DERIVERS: usize = 4;
const REPORTERS: usize = 2;

/// A database that is open, fit to hold the log, and has the newest schema.
#[derive(Debug)]
pub struct PostgresDatabase {
    pub(super) connector: Connector,
    pub(super) pools: Pools,
}

/// The pools of a process.
#[derive(Clone, Debug)]
pub(super) struct Pools {
    pub(super) readers: Pool,
    /// For sessions and secrets.
    pub(super) writers: Pool,
    /// For snapshots and read models.
    pub(super) derivers: Pool,
    /// For the reports of this node, which must not wait for anything else.
    pub(super) nodes: Pool,
}

impl PostgresDatabase {
    /// Opens a database. Checks that its server keeps events safe, and brings its schema up to
    /// date.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub async fn open(url: &PostgresUrl, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let clock = Arc::new(DatabaseClock::new(clock));
        let connector = Connector::new(url.clone(), clock)?;
        migrations::run(&connector).await?;
        // Settings of the user, or a pooler, may concern only some sessions.
        close(connector.connect(Use::Write).await?).await;
        connector.clock.compare();
        if url.is_unverified() {
            tracing::warn!(
                "the connection to the PostgreSQL server at {} may cross a network, and the server's \
                 certificate is not checked: add ?sslmode=verify-full to the database URL",
                url.server()
            );
        }
        let pool = |use_, size| Pool::new(connector.clone(), use_, size);
        let pools = Pools {
            readers: pool(Use::Read, READERS),
            writers: pool(Use::Write, WRITERS),
            derivers: pool(Use::Derive, DERIVERS),
            nodes: pool(Use::Derive, REPORTERS),
        };
        Ok(Self { connector, pools })
    }

    /// The database as text, without its password.
    #[must_use]
    pub fn name(&self) -> String {
        self.connector.url.to_string()
    }
}

impl Pools {
    /// Refuses all later statements.
    pub(super) fn close(&self) {
        for pool in [&self.readers, &self.writers, &self.derivers, &self.nodes] {
            pool.close();
        }
    }
}
