//! The operator's options, each also an environment variable.

mod bus;
mod github;
mod secret;
mod variables;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderName;
use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, value_parser};
use ironstar_adapters::database::DatabaseUrl;
use ironstar_ports::IdentityProvider;
use ironstar_web::{AllowedHosts, HostRule, Limits, Site, SiteAddress, SiteName};

use self::bus::BusOptions;
use self::github::GitHubOptions;
use crate::application::Application;

/// The number of connections that a client may have for each stream that it may have open, and
/// the smallest number of streams that this counts with.
const CONNECTIONS: u64 = 4;
const MIN_STREAMS: u64 = 16;

/// The command line of a server.
#[derive(Debug, Parser)]
#[group(skip)]
#[command(
    name = A::NAME,
    version = A::VERSION,
    about = A::ABOUT,
    long_about = A::ABOUT,
    after_help = "A variable that is empty counts as not set. RUST_LOG selects what is logged, such as \
                  'debug' or 'info,ironstar_app=trace'.",
    mut_arg("database_url", |url| url.required(false).default_value(A::DATABASE_URL))
)]
pub(crate) struct CommandLine<A: Application> {
    /// The task to run instead of serving
    #[command(subcommand)]
    pub(crate) task: Option<Task>,

    #[command(flatten)]
    pub(crate) config: Config,

    #[command(flatten)]
    pub(crate) application: A,
}

/// The options that every server has.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub(crate) struct Config {
    /// The IP address and port to listen on
    #[arg(
        long,
        env = "IRONSTAR_LISTEN",
        default_value = "127.0.0.1:3000",
        value_name = "ADDRESS:PORT",
        value_parser = parse_address
    )]
    pub(crate) listen: SocketAddr,

    /// The database. A SQLite file, such as sqlite:ironstar.db or sqlite:/var/lib/ironstar.db:
    /// if the file is missing, the server creates it, readable by its own user only. Or a
    /// PostgreSQL database, which several servers may share, such as
    /// postgres://user@host/database?sslmode=verify-full: the password may stand after the user
    /// name, as in user:password@host, in the variable PGPASSWORD, or in ~/.pgpass
    #[arg(
        long,
        env = "DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        global = true
    )]
    pub(crate) database_url: DatabaseUrl,

    /// The bus
    #[command(flatten)]
    pub(crate) bus: BusOptions,

    /// Number of hours for which the key of a command is remembered. A retry within this time
    /// gets the answer of the first attempt
    #[arg(
        long,
        env = "IRONSTAR_COMMAND_RETENTION_HOURS",
        default_value_t = 24,
        value_name = "HOURS"
    )]
    command_retention_hours: u32,

    /// Number of commands a second that each client may send. After a pause, a client may send
    /// five times as many at once. A client is an IPv4 address or an IPv6 network (/64). 0
    /// means no limit
    #[arg(
        long,
        env = "IRONSTAR_COMMAND_RATE",
        default_value_t = 20,
        value_name = "NUMBER",
        value_parser = value_parser!(u32).range(..=1_000_000)
    )]
    command_rate: u32,

    /// Number of streams that each client may have open. Each page in a browser uses one. 0
    /// means no limit, also for connections, incomplete requests and unread answers
    #[arg(
        long,
        env = "IRONSTAR_STREAMS_PER_VISITOR",
        default_value_t = 64,
        value_name = "NUMBER"
    )]
    streams_per_visitor: u32,

    /// Compress streams, for clients that accept gzip. Each change is compressed once for all
    /// clients, and by itself, so that no change waits for another. 'true', 'on' and '1' mean
    /// 'yes' as well, and 'false', 'off' and '0' mean 'no'
    #[arg(
        long,
        env = "IRONSTAR_COMPRESS_STREAMS",
        value_name = "yes|no",
        action = ArgAction::Set,
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_value = "no",
        default_missing_value = "yes"
    )]
    compress_streams: bool,

    /// Number of connections that may be open. Further connections wait until others end. By
    /// default 20000, or fewer if the limit on open files is lower
    #[arg(
        long,
        env = "IRONSTAR_MAX_CONNECTIONS",
        value_name = "NUMBER",
        value_parser = value_parser!(u32).range(1..=1_000_000)
    )]
    max_connections: Option<u32>,

    /// The header in which a reverse proxy names the client of a request, such as
    /// X-Forwarded-For: the last address in it is the client. Use it only if clients cannot
    /// reach the server without the proxy. By default, the client is the other end of the
    /// connection, which behind a proxy is the proxy
    #[arg(
        long,
        env = "IRONSTAR_CLIENT_ADDRESS_HEADER",
        value_name = "NAME",
        value_parser = parse_address_header
    )]
    client_address_header: Option<HeaderName>,

    /// The names under which the server answers, separated by commas. A name that begins with
    /// a dot includes all names below it. Requests for other names get 421, so that no other
    /// site can pass for this one (DNS rebinding). 'localhost' and the loopback addresses are
    /// always allowed. By default, a server on a loopback address answers only to these and to
    /// that address, and any other server to every name
    #[arg(
        long,
        env = "IRONSTAR_ALLOWED_HOSTS",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    allowed_hosts: Option<Vec<HostRule>>,

    /// The public address of the site: a scheme and a host, without a path. With https,
    /// browsers send cookies over TLS only, so a proxy in front of the server has to provide
    /// TLS. The host becomes one of the allowed names. By default, links lead to the address
    /// of the request, and sign-in is off
    #[arg(long, env = "IRONSTAR_PUBLIC_URL", value_name = "URL")]
    public_url: Option<SiteAddress>,

    /// Sign-in
    #[command(flatten)]
    github: GitHubOptions,

    /// The format of the log on standard error
    #[arg(
        long,
        env = "IRONSTAR_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub(crate) log_format: LogFormat,
}

impl Config {
    /// The time for which the key of a command is remembered.
    pub(crate) fn command_retention(&self) -> Duration {
        Duration::from_secs(u64::from(self.command_retention_hours) * 60 * 60)
    }

    /// The number of connections that may be open, if the operator has set it.
    pub(crate) fn max_connections(&self) -> Option<usize> {
        let most = self.max_connections?;
        Some(usize::try_from(most).unwrap_or(usize::MAX))
    }

    /// The number of connections that one client may have: as many as a browser opens for each
    /// stream, and more. Without a limit for a proxy, and if streams are not limited.
    pub(crate) fn connections_per_client(&self) -> Option<u64> {
        let is_limited = self.streams_per_visitor > 0 && self.client_address_header.is_none();
        is_limited.then(|| u64::from(self.streams_per_visitor).max(MIN_STREAMS) * CONNECTIONS)
    }

    /// The limits for clients.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            command_rate: self.command_rate,
            streams_per_client: self.streams_per_visitor,
            client_address_header: self.client_address_header.clone(),
            allowed_hosts: self.hosts(),
            compress_streams: self.compress_streams,
        }
    }

    /// The settings of the site with this name as a whole.
    pub(crate) fn site(&self, name: SiteName) -> Site {
        Site {
            name,
            address: self.public_url.clone(),
        }
    }

    /// The identity provider, if sign-in is on.
    pub(crate) fn identities(&self) -> anyhow::Result<Option<Arc<dyn IdentityProvider>>> {
        self.github.provider(self.public_url.as_ref())
    }

    /// The database, for tasks that make none.
    pub(crate) fn existing_database(&self) -> anyhow::Result<&DatabaseUrl> {
        let url = &self.database_url;
        anyhow::ensure!(
            url.may_exist()?,
            "there is no database at {}; name an existing one with --database-url",
            url.name()?
        );
        Ok(url)
    }

    fn hosts(&self) -> AllowedHosts {
        let address = self.listen.ip();
        let mut rules = HostRule::loopback().to_vec();
        let public = self.public_url.as_ref();
        rules.extend(public.and_then(|url| HostRule::from_str(url.host()).ok()));
        match &self.allowed_hosts {
            Some(hosts) => rules.extend(hosts.iter().cloned()),
            None if address.is_loopback() => rules.push(address.into()),
            None => return AllowedHosts::Any,
        }
        AllowedHosts::Only(rules)
    }
}

/// The tasks of the program other than serving.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Task {
    /// Manage the read models that pages show, also while a server runs
    #[command(subcommand)]
    Projections(ProjectionsTask),
    /// Write the log to a file, one JSON object a line, each with a hash of all lines so far. Servers
    /// go on meanwhile. If the file has the first part of the log, the export continues it
    Export {
        /// The file, or '-' for standard output
        file: PathBuf,
        /// Close the log first, for a move to another database: servers refuse commands from then
        /// on. The file also gets sessions, secrets, and the keys of commands, so keep it safe
        #[arg(long)]
        close: bool,
    },
    /// Read a log from a file that 'export' has written, into a database that is empty or has
    /// the first events of the file. Every line is checked. An import that was interrupted
    /// continues
    Import {
        /// The file, or '-' for standard input
        file: PathBuf,
    },
    /// Open the log again after 'export --close': servers accept commands
    Reopen,
    /// List the servers that share a PostgreSQL database, and the leases of each
    Nodes,
}

/// The operator's tasks on projections.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ProjectionsTask {
    /// List the projections, with the live version of each
    List,
    /// Show the position of each projection, builds in progress, failures, and skipped events.
    /// A position can lag a little behind events that do not concern the projection. Without a
    /// running server, nothing advances
    Status,
    /// Build a new read model beside the live one, which serves until the new one replaces it.
    /// A build that was cancelled before continues. A running server does the work; without
    /// one, this command starts it after 2 s. Ctrl-C cancels
    Rebuild {
        /// Name of the projection
        name: String,
    },
    /// Stop a build. 'rebuild' continues it
    Cancel {
        /// Name of the projection
        name: String,
    },
    /// Try failed events again now instead of at the next scheduled time, for the live read
    /// model and for the build in progress
    Retry {
        /// Name of the projection
        name: String,
    },
    /// Skip the event that has failed. A rebuild processes it again
    Skip {
        /// Name of the projection
        name: String,
        /// Position of the event, as 'status' shows it
        position: u64,
    },
}

/// The format of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Plain text, for readers.
    Text,
    /// JSON, for programs: one object a line.
    Json,
}

/// Parses the address to listen on.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "give an IP address and a port, such as 127.0.0.1:3000, [::1]:3000, or \
         0.0.0.0:3000 for all addresses of this machine; host names are not resolved"
            .to_owned()
    })
}

/// Parses the name of a header that holds addresses.
fn parse_address_header(name: &str) -> Result<HeaderName, String> {
    if name.eq_ignore_ascii_case("forwarded") {
        return Err(
            "'Forwarded' contains more than addresses and is not supported; configure the proxy \
             to send a header such as X-Forwarded-For"
                .to_owned(),
        );
    }
    name.parse()
        .map_err(|_| "give the name of a header, such as X-Forwarded-For or X-Real-IP".to_owned())
}

#[cfg(test)]
mod tests;
