//! New connections, with their settings.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::time::timeout;

use super::clock::DatabaseClock;
use super::fitness::{self, SESSION_SETTING};
use super::open_error::OpenError;
use super::schema;
use super::seen::Seen;
use super::url::PostgresUrl;

/// The time limit for a new connection.
const CONNECT: Duration = Duration::from_secs(5);

/// The time limit for an answer of the server. A connection without an answer is given up.
pub(super) const ANSWER: Duration = Duration::from_secs(15);

/// The settings of every session. A server sends the statements of an append without a pause.
/// So a session that is idle between them belongs to a server that has stopped or is cut off, and
/// PostgreSQL ends it.
const SETTINGS: [(&str, &str); 5] = [
    ("default_transaction_isolation", "read committed"),
    ("idle_in_transaction_session_timeout", "2s"),
    ("lock_timeout", "5s"),
    ("statement_timeout", "14s"),
    ("jit", "off"),
];

/// The use of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Use {
    /// Statements that only read.
    Read,
    /// Data that cannot be made again.
    Write,
    /// Data that can be made again from the log. A commit does not wait for the disk.
    Derive,
    /// Changes of the schema, which may take long.
    Migrate,
}

/// Connects to a database for one use.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    pub(super) url: PostgresUrl,
    pub(super) seen: Seen,
    pub(super) clock: Arc<DatabaseClock>,
    /// The value of [`SESSION_SETTING`].
    session: Arc<str>,
}

impl Connector {
    pub(super) fn new(
        url: PostgresUrl,
        clock: Arc<DatabaseClock>,
    ) -> Result<Self, getrandom::Error> {
        Ok(Self {
            url,
            seen: Seen::default(),
            clock,
            session: format!("{:016x}", getrandom::u64()?).into(),
        })
    }

    /// Opens a connection, examines the server, and compares its log with what this process has
    /// seen.
    pub(super) async fn connect(&self, use_: Use) -> Result<PgConnection, OpenError> {
        self.seen.check()?;
        match timeout(CONNECT, self.open(use_)).await {
            Ok(opened) => opened,
            Err(_) => Err(OpenError::unanswered(&self.url)),
        }
    }

    async fn open(&self, use_: Use) -> Result<PgConnection, OpenError> {
        let failed = |source| OpenError::of(&self.url, source);
        let mut connection = self.options(use_).connect().await.map_err(failed)?;
        let before = self.clock.uptime_micros();
        let examined = fitness::examine(&mut connection, &self.session, use_ != Use::Derive).await;
        match examined.map_err(failed)? {
            Ok(time) => self.clock.set(time, before),
            Err(reason) => return Err(OpenError::unfit(&self.url, reason)),
        }
        if use_ != Use::Migrate {
            let lacking = schema::lacking(&mut connection).await;
            if let Some(version) = lacking.map_err(failed)? {
                let database = self.url.database().to_owned();
                return Err(OpenError::NewerSchema { database, version });
            }
            let compared = self.seen.compare(&mut connection).await;
            compared.map_err(failed)??;
        }
        Ok(connection)
    }

    fn options(&self, use_: Use) -> PgConnectOptions {
        let session = [(SESSION_SETTING, &*self.session)];
        let of_use: &[(&str, &str)] = match use_ {
            Use::Read => &[("default_transaction_read_only", "on")],
            Use::Write => &[],
            Use::Derive => &[("synchronous_commit", "off")],
            // Without the notice that the table of migrations exists already.
            Use::Migrate => &[
                ("lock_timeout", "60s"),
                ("statement_timeout", "0"),
                ("client_min_messages", "warning"),
            ],
        };
        let options = self.url.options().clone();
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name("ironstar"),
        };
        options
            .options(SETTINGS)
            .options(of_use.iter().copied())
            .options(session)
            .disable_statement_logging()
    }
}

/// Closes a connection without waiting for long.
pub(super) async fn close(connection: PgConnection) {
    // The server also notices that the connection is gone.
    let _ = timeout(Duration::from_millis(200), connection.close()).await;
}
