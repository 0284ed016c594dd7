//! What an operator can decide, by option or by environment variable.

use std::fmt::{self, Display};
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

    /// How long a list whose todos are all completed waits, while nothing
    /// happens to it, before it is archived by itself: a time such as '30days'
    /// or '12h' ('m' is minutes, 'M' months), or 'never'. Counts from the last
    /// event of the list and its todos, however long ago that is
    #[arg(
        long,
        env = "IRONSTAR_ARCHIVE_DONE_LISTS_AFTER",
        default_value = "30days",
        value_name = "TIME"
    )]
    pub(crate) archive_done_lists_after: Patience,

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
    /// what was left out. What does not concern one is noted a moment later, so
    /// it may seem to be behind when it is not; one that no server runs stands
    /// still
    Status,
    /// Builds a new read model beside the live one, which goes on serving until
    /// the new one takes its place; goes on if it was cancelled before (Ctrl-C
    /// cancels). A server that runs does it; if none does within 2 s, this
    /// command does
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

/// How long to wait before something is done, if it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Patience(pub(crate) Option<Duration>);

impl FromStr for Patience {
    type Err = PatienceError;

    fn from_str(time: &str) -> Result<Self, PatienceError> {
        if time == "never" {
            return Ok(Self(None));
        }
        let time = humantime::parse_duration(time).map_err(PatienceError)?;
        Ok(Self(Some(time)))
    }
}

/// Why a text is not a [`Patience`].
#[derive(Debug)]
pub(crate) struct PatienceError(humantime::DurationError);

impl Display for PatienceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; expected is a time such as '30days' or '12h', or 'never'",
            self.0
        )
    }
}

impl std::error::Error for PatienceError {}

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
    use std::time::Duration;

    use clap::{CommandFactory, Parser};

    use super::{Config, Patience};

    #[test]
    fn the_options_are_consistent() {
        Config::command().debug_assert();
    }

    #[test]
    fn a_patience_is_a_time_or_never() {
        let days = |days: u64| Patience(Some(Duration::from_secs(days * 24 * 60 * 60)));
        let parsed = |time: &str| {
            let option = format!("--archive-done-lists-after={time}");
            Config::try_parse_from(["ironstar-server", &option])
                .map(|config| config.archive_done_lists_after)
        };
        assert_eq!(parsed("30days").expect("a time"), days(30));
        assert_eq!(parsed("2d").expect("a time"), days(2));
        assert_eq!(parsed("never").expect("a time"), Patience(None));
        for malformed in ["", "30", "soon", "-1d"] {
            parsed(malformed).expect_err(malformed);
        }
        let default = Config::try_parse_from(["ironstar-server"]).expect("defaults");
        assert_eq!(default.archive_done_lists_after, days(30));
    }
}
