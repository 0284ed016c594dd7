//! What an operator can decide, by option or by environment variable.

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

/// How many connections a client may have for each stream that it may have open, and
/// for how many streams at least.
const CONNECTIONS: u64 = 4;
const MIN_STREAMS: u64 = 16;

/// Serves a live todo list, with its history in one SQLite file.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "ironstar-server",
    version,
    after_help = "A variable that is empty counts as not set. RUST_LOG says what is logged, such as \
                  'debug' or 'info,ironstar_app=trace'."
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
        value_name = "ADDRESS:PORT",
        value_parser = parse_address
    )]
    pub(crate) listen: SocketAddr,

    /// The database: a SQLite file, such as sqlite:ironstar.db or
    /// sqlite:/var/lib/ironstar.db, which the server creates if there is none, for its
    /// user alone to read
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

    /// How many commands a second each visitor may send, and five times as many
    /// at once after a pause. A visitor is an IP address, or an IPv6 network
    /// (/64). 0 is any number
    #[arg(
        long,
        env = "IRONSTAR_COMMAND_RATE",
        default_value_t = 20,
        value_name = "NUMBER",
        value_parser = value_parser!(u32).range(..=1_000_000)
    )]
    command_rate: u32,

    /// How many streams each visitor may have open, among them one for each
    /// page in a browser. 0 is any number, and then neither connections nor what
    /// is not sent or read to its end is counted
    #[arg(
        long,
        env = "IRONSTAR_STREAMS_PER_VISITOR",
        default_value_t = 64,
        value_name = "NUMBER"
    )]
    streams_per_visitor: u32,

    /// Compress streams, for clients who take gzip: each change once for all, and
    /// each by itself, so that none waits. 'true', 'on' and '1' mean 'yes' as well, and
    /// 'false', 'off' and '0' mean 'no'
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

    /// How many connections may be open; more wait until others end. By default
    /// 20000, or as many as the limit on open files leaves room for
    #[arg(
        long,
        env = "IRONSTAR_MAX_CONNECTIONS",
        value_name = "NUMBER",
        value_parser = value_parser!(u32).range(1..=1_000_000)
    )]
    max_connections: Option<u32>,

    /// The header in which a reverse proxy says whose request it passes on, such
    /// as X-Forwarded-For: its last address is the visitor. Only for a server
    /// that nobody reaches but through the proxy. By default, the visitor is
    /// the other end of the connection, which would be the proxy
    #[arg(
        long,
        env = "IRONSTAR_CLIENT_ADDRESS_HEADER",
        value_name = "NAME",
        value_parser = parse_address_header
    )]
    client_address_header: Option<HeaderName>,

    /// The names under which the server answers, separated by commas; one that
    /// begins with a dot stands for all names below it too. Others get 421, so
    /// that no site can pass itself off as this one (DNS rebinding). 'localhost'
    /// and its addresses are always allowed. By default, a server that listens
    /// on this machine only answers to those and to that address, and any other
    /// to every name
    #[arg(
        long,
        env = "IRONSTAR_ALLOWED_HOSTS",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    allowed_hosts: Option<Vec<HostRule>>,

    /// Where people find the site: a scheme and a host, and no path. With https, cookies
    /// are only sent over TLS, which a proxy in front of the server has to see to;
    /// and its name is one of those that are allowed. By default, links lead to
    /// where a request went, and nobody can sign in
    #[arg(long, env = "IRONSTAR_PUBLIC_URL", value_name = "URL")]
    public_url: Option<SiteAddress>,

    /// What the start page shows: the list that everyone shares, or the visitor's
    /// own
    #[arg(
        long,
        env = "IRONSTAR_HOME",
        default_value = "shared",
        value_name = "LIST"
    )]
    home: HomeList,

    /// Who people are
    #[command(flatten)]
    github: GitHubOptions,

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

    /// How many connections may be open, if the operator has decided that.
    pub(crate) fn max_connections(&self) -> Option<usize> {
        let most = self.max_connections?;
        Some(usize::try_from(most).unwrap_or(usize::MAX))
    }

    /// How many connections one client may have: as many as a browser opens for
    /// each stream, and more. A proxy may have any number, and so may everybody if
    /// streams are not counted.
    pub(crate) fn connections_per_client(&self) -> Option<u64> {
        let is_limited = self.streams_per_visitor > 0 && self.client_address_header.is_none();
        is_limited.then(|| u64::from(self.streams_per_visitor).max(MIN_STREAMS) * CONNECTIONS)
    }

    /// What clients may do.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            command_rate: self.command_rate,
            streams_per_client: self.streams_per_visitor,
            client_address_header: self.client_address_header.clone(),
            allowed_hosts: self.hosts(),
            compress_streams: self.compress_streams,
        }
    }

    /// The site as a whole.
    pub(crate) fn site(&self) -> Site {
        Site {
            address: self.public_url.clone(),
            home: match self.home {
                HomeList::Shared => Home::Shared,
                HomeList::Own => Home::Own,
            },
        }
    }

    /// Who knows who people are, if they can sign in.
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
    /// what was left out. One that no server runs stands still
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

/// What the start page shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum HomeList {
    /// The list that everyone shares.
    Shared,
    /// The visitor's own.
    Own,
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
            "{}; it has to be a time such as '30days' or '12h', or 'never'",
            self.0
        )
    }
}

impl std::error::Error for PatienceError {}

/// Where to listen.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "it has to be an IP address and a port, such as 127.0.0.1:3000, [::1]:3000, or \
         0.0.0.0:3000 for all addresses of this machine; names are not looked up"
            .to_owned()
    })
}

/// A header that holds addresses.
fn parse_address_header(name: &str) -> Result<HeaderName, String> {
    if name.eq_ignore_ascii_case("forwarded") {
        return Err(
            "'Forwarded' holds more than addresses, and is not understood; let the proxy send \
             a header such as X-Forwarded-For"
                .to_owned(),
        );
    }
    name.parse().map_err(|_| {
        "it has to be the name of a header, such as X-Forwarded-For or X-Real-IP".to_owned()
    })
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
    fn clients_are_limited_unless_the_operator_wants_otherwise() {
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
    fn hosts_are_those_of_this_machine_unless_it_is_open_to_others() {
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
    fn limits_that_make_no_sense_are_refused_with_a_reason() {
        for (argument, reason) in [
            ("--command-rate=fast", "invalid digit"),
            ("--command-rate=1000001", "1000001 is not in 0..=1000000"),
            ("--streams-per-visitor=-1", "-1 is not in 0.."),
            ("--max-connections=0", "0 is not in 1..=1000000"),
            ("--client-address-header=", "such as X-Forwarded-For"),
            ("--client-address-header=a b", "such as X-Forwarded-For"),
            ("--client-address-header=Forwarded", "is not understood"),
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
