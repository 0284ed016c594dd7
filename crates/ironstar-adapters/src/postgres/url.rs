//! The address of a PostgreSQL database.

use std::fmt::{self, Debug, Display};
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

/// The parameters that a URL may have. PostgreSQL's own tools know more, which would change
/// settings that the log depends on.
const PARAMETERS: [&str; 8] = [
    "application_name",
    "host",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// The address of a PostgreSQL database: `postgres://USER@HOST/DATABASE`, with or without a
/// password and parameters such as `sslmode=verify-full`. No text form shows the password.
#[derive(Clone)]
pub struct PostgresUrl {
    options: Box<PgConnectOptions>,
    database: String,
}

/// Reasons why a text is not a [`PostgresUrl`]. None of them shows the text, which may hold a
/// password.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UrlError {
    /// The text is not a URL of a PostgreSQL database.
    #[error(
        "the PostgreSQL URL is invalid. Write postgres://user@host/database; in a user name or a \
         password, write %40 for @, %2F for / and %3A for :"
    )]
    Malformed,
    /// The URL names no database.
    #[error(
        "the PostgreSQL URL names no database. Write its name after the host, as in \
         postgres://user@host/ironstar"
    )]
    NoDatabase,
    /// The URL has an unknown parameter.
    #[error(
        "the PostgreSQL URL has the unknown parameter {name:?}; the known ones are {}",
        PARAMETERS.join(", ")
    )]
    Parameter {
        /// The name of the parameter.
        name: String,
    },
    /// A parameter has an invalid value.
    #[error("the value of the parameter {name:?} in a PostgreSQL URL is invalid: {reason}")]
    Value {
        /// The name of the parameter.
        name: String,
        /// The reason.
        reason: String,
    },
}

impl PostgresUrl {
    /// Returns true if the text is meant as the URL of a PostgreSQL database.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("postgres:") || text.starts_with("postgresql:")
    }

    /// The options for a connection.
    pub(super) const fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// The name of the database.
    pub(super) fn database(&self) -> &str {
        &self.database
    }

    /// The name of the user.
    pub(super) fn user(&self) -> &str {
        self.options.get_username()
    }

    /// The server as text, such as `db.example.com:5432`.
    #[must_use]
    pub fn server(&self) -> String {
        match self.options.get_socket() {
            Some(socket) => format!("{}:{}", socket.display(), self.options.get_port()),
            None => format!("{}:{}", self.options.get_host(), self.options.get_port()),
        }
    }

    /// Returns true if the connection may cross a network without a check of the server's
    /// identity.
    pub(super) fn is_unverified(&self) -> bool {
        let host = self.options.get_host();
        let is_here = host.starts_with('/') || ["localhost", "127.0.0.1", "::1"].contains(&host);
        let is_verified = matches!(
            self.options.get_ssl_mode(),
            PgSslMode::VerifyCa | PgSslMode::VerifyFull
        );
        self.options.get_socket().is_none() && !is_here && !is_verified
    }
}

impl FromStr for PostgresUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if !Self::is_meant(text) || text.contains(char::is_control) {
            return Err(UrlError::Malformed);
        }
        let url = Url::parse(text).map_err(|_| UrlError::Malformed)?;
        if url.cannot_be_a_base() || url.fragment().is_some() {
            return Err(UrlError::Malformed);
        }
        for (name, value) in url.query_pairs() {
            check_parameter(&name, &value)?;
        }
        let options = PgConnectOptions::from_str(text).map_err(|_| UrlError::Malformed)?;
        let database = options.get_database().map(str::to_owned);
        let is_named = !url.path().trim_matches('/').is_empty();
        Ok(Self {
            database: database.filter(|_| is_named).ok_or(UrlError::NoDatabase)?,
            options: Box::new(options),
        })
    }
}

impl Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, server) = (self.user(), self.server());
        write!(f, "postgres://{user}@{server}/{}", self.database)
    }
}

impl Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

fn check_parameter(name: &str, value: &str) -> Result<(), UrlError> {
    if !PARAMETERS.contains(&name) {
        let name = name.to_owned();
        return Err(UrlError::Parameter { name });
    }
    let reason = match name {
        "sslmode" => value
            .parse::<PgSslMode>()
            .err()
            .map(|_| "use disable, allow, prefer, require, verify-ca or verify-full".to_owned()),
        "port" => value
            .parse::<u16>()
            .err()
            .map(|_| "use a number from 1 to 65535".to_owned()),
        _ => None,
    };
    reason.map_or(Ok(()), |reason| {
        let name = name.to_owned();
        Err(UrlError::Value { name, reason })
    })
}

#[cfg(test)]
mod tests;
