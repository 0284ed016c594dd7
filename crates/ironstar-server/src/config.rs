//! What an operator can decide, by option or by environment variable.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use ironstar_adapters::sqlite::{SqliteUrl, UrlError};

/// Serves a live todo list, with its history in one SQLite file.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "ironstar-server",
    version,
    after_help = "RUST_LOG says what is logged, such as 'debug' or 'info,ironstar_app=trace'."
)]
pub(crate) struct Config {
    /// What to do instead of serving
    #[command(subcommand)]
    pub(crate) task: Option<Task>,

    /// The IP address and port to listen on
    #[arg(
        long,
        env = "IRONSTAR_LISTEN",
        default_value = "127.0.0.1:3000",
        value_name = "ADDRESS:PORT"
    )]
    pub(crate) listen: SocketAddr,

    /// The database: a SQLite file, created if there is none
    #[arg(
        long,
        env = "DATABASE_URL",
        default_value = "sqlite:ironstar.db",
        value_name = "URL",
        hide_env_values = true,
        global = true
    )]
    pub(crate) database_url: DatabaseUrl,

    /// For how many hours a command's key is remembered, so that a retry
    /// answers what was answered before
    #[arg(
        long,
        env = "IRONSTAR_COMMAND_RETENTION_HOURS",
        default_value_t = 24,
        value_name = "HOURS"
    )]
    command_retention_hours: u32,

    /// How the log on standard error is written
    #[arg(
        long,
        env = "IRONSTAR_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub(crate) log_format: LogFormat,
}

impl Config {
    /// For how long a command's key is remembered.
    pub(crate) fn command_retention(&self) -> Duration {
        Duration::from_secs(u64::from(self.command_retention_hours) * 60 * 60)
    }
}

/// What the program does instead of serving.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Task {
    /// Looks after the read models that pages are made of, also while a server
    /// runs
    #[command(subcommand)]
    Projections(ProjectionsTask),
}

/// What can be done about projections.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ProjectionsTask {
    /// Lists the projections, and which version of each is live
    List,
    /// Shows how far each has got, what is being built, what has failed, and
    /// what was left out
    Status,
    /// Builds a new read model beside the live one, which goes on serving until
    /// the new one takes its place; goes on if it was cancelled before (Ctrl-C
    /// cancels)
    Rebuild {
        /// The projection
        name: String,
    },
    /// Stops a build; 'rebuild' goes on with it
    Cancel {
        /// The projection
        name: String,
    },
    /// Tries at once what has failed, rather than when it is due: the live read
    /// model, the one under way, or both
    Retry {
        /// The projection
        name: String,
    },
    /// Leaves out the event that has failed; a rebuild comes across it again
    Skip {
        /// The projection
        name: String,
        /// The position of the event, as 'status' shows it
        position: u64,
    },
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object per line.
    Json,
}

/// Where the log of events is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct DatabaseUrl(pub(crate) SqliteUrl);

impl FromStr for DatabaseUrl {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        url.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Config;

    #[test]
    fn the_options_are_consistent() {
        Config::command().debug_assert();
    }
}
