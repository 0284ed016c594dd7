//! The reasons why a database cannot be opened, as sentences for its operator.

use ironstar_ports::StoreError;
use sqlx::migrate::MigrateError;

use super::fitness::Unfit;
use super::seen::LostEvents;
use super::url::PostgresUrl;

/// SQLSTATE codes (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
mod code {
    pub(super) const INVALID_AUTHORIZATION: &str = "28000";
    pub(super) const INVALID_PASSWORD: &str = "28P01";
    pub(super) const NO_DATABASE: &str = "3D000";
    pub(super) const NO_PRIVILEGE: &str = "42501";
    pub(super) const PROTOCOL_VIOLATION: &str = "08P01";
    pub(super) const TOO_MANY_CONNECTIONS: &str = "53300";
    pub(super) const CANNOT_CONNECT_NOW: &str = "57P03";
    pub(super) const LOCK_NOT_AVAILABLE: &str = "55P03";
    /// The classes of errors about data: invalid values, constraints, exceptions of triggers, and
    /// exceeded limits.
    pub(super) const DATA: [&str; 4] = ["22", "23", "P0001", "54"];
    /// The classes of errors after which a connection is useless.
    pub(super) const LOST: [&str; 2] = ["08", "57P"];
}

/// The reasons why a PostgreSQL database cannot be used. No text shows a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nothing answers at the address, or not yet.
    #[error(
        "cannot reach the PostgreSQL server at {server}. Start it, or correct the database URL"
    )]
    Unreachable {
        /// The address of the server.
        server: String,
        /// The error of the connection.
        source: sqlx::Error,
    },
    /// The server does not answer in time.
    #[error(
        "the PostgreSQL server at {server} does not answer. Check its load, and the network to it"
    )]
    Unanswered {
        /// The address of the server.
        server: String,
    },
    /// The server does not admit the user.
    #[error(
        "the PostgreSQL server at {server} does not admit the user {user}. Check the user name and \
         the password of the database URL"
    )]
    Login {
        /// The address of the server.
        server: String,
        /// The name of the user.
        user: String,
        /// The error of the server.
        source: sqlx::Error,
    },
    /// The database does not exist.
    #[error(
        "the PostgreSQL server at {server} has no database {database}. Create it, for example with \
         createdb, or correct the database URL"
    )]
    NoDatabase {
        /// The address of the server.
        server: String,
        /// The name of the database.
        database: String,
    },
    /// An encrypted connection cannot be made.
    #[error("cannot make an encrypted connection to the PostgreSQL server at {server}")]
    Tls {
        /// The address of the server.
        server: String,
        /// The error of TLS.
        source: sqlx::Error,
    },
    /// The server would break the promises of the log.
    #[error("the PostgreSQL server at {server} cannot hold the log")]
    Unfit {
        /// The address of the server.
        server: String,
        /// The reason.
        source: Unfit,
    },
    /// The log lacks events that this process has seen.
    #[error(transparent)]
    Lost(#[from] LostEvents),
    /// The user may not do what is needed.
    #[error(
        "the user {user} lacks a permission in the database {database}. Make it the owner of the \
         database"
    )]
    Permission {
        /// The name of the user.
        user: String,
        /// The name of the database.
        database: String,
        /// The error of the server.
        source: sqlx::Error,
    },
    /// The database has another error.
    #[error("cannot use the PostgreSQL database {database} on {server}")]
    Unusable {
        /// The address of the server.
        server: String,
        /// The name of the database.
        database: String,
        /// The error of the server.
        source: sqlx::Error,
    },
    /// A newer program has changed the schema so that this one cannot use it.
    #[error(
        "the database {database} can only be used by programs that know its migration \
         {version:04}, and this program is older. Start a newer version"
    )]
    NewerSchema {
        /// The name of the database.
        database: String,
        /// The number of the migration.
        version: i64,
    },
    /// A migration failed.
    #[error("cannot bring the schema of the database {database} up to date")]
    Migration {
        /// The name of the database.
        database: String,
        /// The error of the migration.
        source: MigrateError,
    },
    /// The operating system has no random numbers.
    #[error("the operating system gives no random numbers")]
    Random(#[from] getrandom::Error),
    /// The pool has been closed.
    #[error("the database was closed, because this server stops")]
    Closed,
    /// All connections of the pool are in use.
    #[error(
        "all connections to the PostgreSQL server at {server} are in use. Stop what holds them"
    )]
    Busy {
        /// The address of the server.
        server: String,
    },
}

impl OpenError {
    /// Converts an error of a connection.
    pub(super) fn of(url: &PostgresUrl, source: sqlx::Error) -> Self {
        let (server, database) = (url.server(), url.database().to_owned());
        let user = url.user().to_owned();
        if matches!(source, sqlx::Error::Io(_)) {
            return Self::Unreachable { server, source };
        }
        if matches!(source, sqlx::Error::Tls(_)) {
            return Self::Tls { server, source };
        }
        match sql_state(&source).as_deref() {
            Some(code::INVALID_AUTHORIZATION | code::INVALID_PASSWORD) => Self::Login {
                server,
                user,
                source,
            },
            Some(code::NO_DATABASE) => Self::NoDatabase { server, database },
            Some(code::NO_PRIVILEGE) => Self::Permission {
                user,
                database,
                source,
            },
            Some(code::CANNOT_CONNECT_NOW | code::TOO_MANY_CONNECTIONS) => {
                Self::Unreachable { server, source }
            }
            // PgBouncer refuses the settings that a session begins with.
            Some(code::PROTOCOL_VIOLATION) if source.to_string().contains("startup parameter") => {
                Self::unfit(url, Unfit::Pooler)
            }
            _ => Self::Unusable {
                server,
                database,
                source,
            },
        }
    }

    pub(super) fn unfit(url: &PostgresUrl, source: Unfit) -> Self {
        let server = url.server();
        Self::Unfit { server, source }
    }

    pub(super) fn unanswered(url: &PostgresUrl) -> Self {
        let server = url.server();
        Self::Unanswered { server }
    }

    /// Converts an error of migrations.
    pub(super) fn migration(url: &PostgresUrl, source: MigrateError) -> Self {
        let database = url.database().to_owned();
        let has_no_privilege = sources(&source).any(|error| {
            let error = error.downcast_ref::<sqlx::Error>();
            error.and_then(sql_state).as_deref() == Some(code::NO_PRIVILEGE)
        });
        if has_no_privilege {
            let (user, source) = (url.user().to_owned(), sqlx::Error::Migrate(source.into()));
            return Self::Permission {
                user,
                database,
                source,
            };
        }
        Self::Migration { database, source }
    }

    /// Returns true if the same attempt may succeed later, without an operator.
    #[must_use]
    pub fn may_heal(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Unanswered { .. } => true,
            Self::Unfit { source, .. } => *source == Unfit::Replica,
            Self::Unusable { source, .. } => is_temporary(source),
            Self::Migration { source, .. } => sources(source)
                .chain([source as &(dyn std::error::Error + 'static)])
                .any(|error| error.downcast_ref().is_some_and(is_temporary)),
            Self::Login { .. }
            | Self::NoDatabase { .. }
            | Self::Tls { .. }
            | Self::Lost(_)
            | Self::Permission { .. }
            | Self::NewerSchema { .. }
            | Self::Random(_)
            | Self::Closed
            | Self::Busy { .. } => false,
        }
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        Self::unavailable(error)
    }
}

/// Returns true if the connection is useless after this error.
pub(super) fn is_connection_lost(error: &sqlx::Error) -> bool {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the errors of sqlx are too many to list, and may get more"
    )]
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(_) => sql_state(error).is_some_and(|state| {
            code::LOST.iter().any(|class| state.starts_with(class)) || state == "25P03"
        }),
        _ => false,
    }
}

/// Returns true if the connection was lost, or another session has held a lock for long.
fn is_temporary(error: &sqlx::Error) -> bool {
    is_connection_lost(error) || sql_state(error).as_deref() == Some(code::LOCK_NOT_AVAILABLE)
}

/// Returns true if the database has refused the data of a statement, and not the statement as
/// such.
pub(super) fn is_caused_by_data(error: &sqlx::Error) -> bool {
    let state = sql_state(error).unwrap_or_default();
    code::DATA.iter().any(|class| state.starts_with(class))
}

/// Returns the SQLSTATE code of an error of the server.
fn sql_state(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    Some(code.into_owned())
}

fn sources<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |error| (*error).source())
}
