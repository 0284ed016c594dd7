//! The operator's options, each also an environment variable.

mod github;
mod variables;

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderName;
use clap::builder::BoolishValueParser;
use clap::{ArgAction, Parser, Subcommand, ValueEnum, value_parser};
use ironstar_adapters::sqlite::{SqliteUrl, UrlError};
use ironstar_ports::IdentityProvider;
use ironstar_web::{AllowedHosts, Home, HostRule, Limits, Site, SiteAddress};

use self::github::GitHubOptions;

/// The number of connections that a client may have for each stream that it may have open, and
/// the smallest number of streams that this counts with.
const CONNECTIONS: u64 = 4;
const MIN_STREAMS: u64 = 16;

/// Serves a live todo list, with its history in one SQLite file.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "ironstar-server",
    version,
    after_help = "A variable that is empty counts as not set. RUST_LOG selects what is logged, such as \
                  'debug' or 'info,ironstar_app=trace'."
)]
pub(crate) struct Config {
    /// The task to run instead of serving
    #[command(subcommand)]
    pub(crate) task: Option<Task>,

    /// The IP address and port to listen on
    #[arg(
        long,
        env = "IRONSTAR_LISTEN",
        default_value = "127.0.0.1:3000",
        value_name = "ADDRESS:PORT",
        value_parser = parse_address
    )]
    pub(crate) listen: SocketAddr,

    /// The database: a SQLite file, such as sqlite:ironstar.db or sqlite:/var/lib/ironstar.db.
    /// If the file is missing, the server creates it, readable by its own user only
    #[arg(
        long,
        env = "DATABASE_URL",
        default_value = "sqlite:ironstar.db",
        value_name = "URL",
        hide_env_values = true,
        global = true
    )]
    pub(crate) database_url: DatabaseUrl,

    /// Number of hours for which the key of a command is remembered. A retry within this time
    /// gets the answer of the first attempt
    #[arg(
        long,
        env = "IRONSTAR_COMMAND_RETENTION_HOURS",
        default_value_t = 24,
        value_name = "HOURS"
    )]
    command_retention_hours: u32,

    /// Time after which a list whose todos are all completed is archived automatically: a time
    /// such as '30days' or '12h' ('m' is minutes, 'M' months), or 'never'. It is counted from
    /// the last event of the list and its todos, even if that is long ago
    #[arg(
        long,
        env = "IRONSTAR_ARCHIVE_DONE_LISTS_AFTER",
        default_value = "30days",
        value_name = "TIME"
    )]
    pub(crate) archive_done_lists_after: Patience,

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

    /// The start page: the list that all visitors share, or the visitor's own list
    #[arg(
        long,
        env = "IRONSTAR_HOME",
        default_value = "shared",
        value_name = "LIST"
    )]
    home: HomeList,

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

    /// The settings of the site as a whole.
    pub(crate) fn site(&self) -> Site {
        Site {
            address: self.public_url.clone(),
            home: match self.home {
                HomeList::Shared => Home::Shared,
                HomeList::Own => Home::Own,
            },
        }
    }

    /// The identity provider, if sign-in is on.
    pub(crate) fn identities(&self) -> anyhow::Result<Option<Arc<dyn IdentityProvider>>> {
        self.github.provider(self.public_url.as_ref())
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

/// The list on the start page.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum HomeList {
    /// The list that all visitors share.
    Shared,
    /// The visitor's own list.
    Own,
}

/// The time to wait before a list is archived; `None` means never.
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

/// A text is not a [`Patience`].
#[derive(Debug)]
pub(crate) struct PatienceError(humantime::DurationError);

impl Display for PatienceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; give a time such as '30days' or '12h', or 'never'",
            self.0
        )
    }
}

impl std::error::Error for PatienceError {}

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

/// The address of the database.
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

    use ironstar_web::{AllowedHosts, HostRule};

    use super::{Config, Patience};

    #[test]
    fn the_options_are_consistent() {
        Config::command().debug_assert();
    }

    fn parse(arguments: &[&str]) -> Result<Config, String> {
        let arguments = ["ironstar-server"].iter().chain(arguments);
        Config::try_parse_from(arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn clients_are_limited_unless_operator_turns_limits_off() {
        let config = parse(&[]).expect("defaults");
        let limits = config.limits();
        assert_eq!((limits.command_rate, limits.streams_per_client), (20, 64));
        assert_eq!(limits.client_address_header, None);
        assert_eq!(config.max_connections(), None);

        let config = parse(&[
            "--command-rate=0",
            "--streams-per-visitor=0",
            "--max-connections=1",
            "--client-address-header=X-Real-IP",
        ]);
        let config = config.expect("options");
        let limits = config.limits();
        assert_eq!((limits.command_rate, limits.streams_per_client), (0, 0));
        let header = limits.client_address_header.expect("a header");
        assert_eq!(header, "x-real-ip");
        assert_eq!(config.max_connections(), Some(1));
    }

    #[test]
    fn hosts_are_loopback_unless_server_listens_on_another_address() {
        let hosts = |arguments: &[&str]| parse(arguments).expect("options").limits().allowed_hosts;
        let only = |more: &[&str]| {
            let more = more.iter().map(|rule| rule.parse().expect("a rule"));
            AllowedHosts::Only(HostRule::loopback().into_iter().chain(more).collect())
        };
        assert_eq!(hosts(&[]), only(&["127.0.0.1"]));
        assert_eq!(hosts(&["--listen=127.0.0.2:80"]), only(&["127.0.0.2"]));
        assert_eq!(hosts(&["--listen=[::1]:80"]), only(&["::1"]));
        assert_eq!(hosts(&["--listen=0.0.0.0:80"]), AllowedHosts::Any);
        for listen in ["--listen=127.0.0.1:80", "--listen=192.0.2.1:80"] {
            let given = [listen, "--allowed-hosts=example.org,.example.net"];
            assert_eq!(hosts(&given), only(&["example.org", ".example.net"]));
        }
    }

    #[test]
    fn invalid_limits_are_refused_with_a_reason() {
        for (argument, reason) in [
            ("--command-rate=fast", "invalid digit"),
            ("--command-rate=1000001", "1000001 is not in 0..=1000000"),
            ("--streams-per-visitor=-1", "-1 is not in 0.."),
            ("--max-connections=0", "0 is not in 1..=1000000"),
            ("--client-address-header=", "such as X-Forwarded-For"),
            ("--client-address-header=a b", "such as X-Forwarded-For"),
            ("--client-address-header=Forwarded", "is not supported"),
            ("--allowed-hosts=", "without scheme and port"),
            (
                "--allowed-hosts=http://example.org",
                "without scheme and port",
            ),
            (
                "--allowed-hosts=a.test,example.org:80",
                "without scheme and port",
            ),
            ("--allowed-hosts=*.example.org", "'.example.org' for that"),
        ] {
            let message = parse(&[argument]).expect_err(argument);
            assert!(message.contains(reason), "{argument}: {message}");
        }
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

    #[test]
    fn an_app_at_github_has_an_id_and_a_secret() {
        let parsed = |id: &str, secret: &str| {
            let (id, secret) = (
                format!("--github-client-id={id}"),
                format!("--github-client-secret={secret}"),
            );
            parse(&["--public-url", "http://localhost:3000", &id, &secret])
        };
        parsed("id", "secret").expect("both");
        for (id, secret) in [("", "secret"), ("id", ""), ("id", " ")] {
            let refused = parsed(id, secret).expect_err("one is missing");
            assert!(refused.contains("it is empty"), "{refused}");
        }
    }
}
