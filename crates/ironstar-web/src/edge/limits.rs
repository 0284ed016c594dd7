//! The operator's settings for clients: the limits of one client, the way to tell clients
//! apart, and the names under which the server answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use axum::http::HeaderName;
use thiserror::Error;

/// The limits with which the server guards itself. The default has no limits, and is meant for
/// tests. A server in a network takes its limits from its configuration.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// The number of commands that a client may send in a second, and five times as many at
    /// once after a pause; 0 means no limit.
    pub command_rate: u32,
    /// The number of streams that a client may have open; 0 means no limit. With 0, a client's
    /// incomplete requests, unread answers and connections have no limit either.
    pub streams_per_client: u32,
    /// The header in which a reverse proxy names the client of a request. Set it only if all
    /// requests come through that proxy. Otherwise a client could forge the header.
    pub client_address_header: Option<HeaderName>,
    /// The names of the server.
    pub allowed_hosts: AllowedHosts,
    /// If true, streams are compressed for clients that accept it. That saves network traffic,
    /// and costs one compression of each change, shared by all clients.
    pub compress_streams: bool,
}

/// The names under which a server answers.
///
/// A page of another site cannot read the answers of this server. But its owner can make that
/// site's name point to this server (DNS rebinding). Then the browser takes both for one site.
/// It still sends the name with each request, so a server that answers only to its own names is
/// safe.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum AllowedHosts {
    /// Any name.
    #[default]
    Any,
    /// The names that match one of these rules.
    Only(Vec<HostRule>),
}

impl AllowedHosts {
    /// Returns true if the server answers to this host, which is given without its port.
    pub(crate) fn allow(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(rules) => rules.iter().any(|rule| rule.matches(host)),
        }
    }
}

/// A rule that matches one host, or a domain and all names below it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostRule(Rule);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Rule {
    Address(IpAddr),
    /// In lower case.
    Name(String),
    /// This domain and every one below it, in lower case.
    Domain(String),
}

impl HostRule {
    /// The rules for the names of the local machine: `localhost`, `127.0.0.1` and `[::1]`.
    pub fn loopback() -> [Self; 3] {
        [
            Self(Rule::Name("localhost".to_owned())),
            Self(Rule::Address(Ipv4Addr::LOCALHOST.into())),
            Self(Rule::Address(Ipv6Addr::LOCALHOST.into())),
        ]
    }

    fn matches(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        match &self.0 {
            Rule::Address(address) => parse_address(&host) == Some(*address),
            Rule::Name(name) => host == *name,
            Rule::Domain(domain) => host
                .strip_suffix(domain)
                .is_some_and(|below| below.is_empty() || below.ends_with('.')),
        }
    }
}

impl From<IpAddr> for HostRule {
    fn from(address: IpAddr) -> Self {
        Self(Rule::Address(address))
    }
}

/// The error for a text that is not a [`HostRule`].
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "the host must look like 'example.org', without scheme and port, \
     or like '.example.org' for that name and all names below it"
)]
pub struct HostRuleError;

impl FromStr for HostRule {
    type Err = HostRuleError;

    fn from_str(text: &str) -> Result<Self, HostRuleError> {
        if let Some(address) = parse_address(text) {
            return Ok(address.into());
        }
        let name = text.strip_prefix('.');
        let is_domain = name.is_some();
        let name = name.unwrap_or(text).to_ascii_lowercase();
        let is_label = |label: &str| {
            let mut bytes = label.bytes();
            !label.is_empty()
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if !name.split('.').all(is_label) {
            return Err(HostRuleError);
        }
        Ok(Self(if is_domain {
            Rule::Domain(name)
        } else {
            Rule::Name(name)
        }))
    }
}

/// Parses an IP address as it is written in a URL.
fn parse_address(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{AllowedHosts, HostRule, HostRuleError};

    fn allowed(rules: &[&str]) -> AllowedHosts {
        let rules = rules.iter().map(|rule| rule.parse().expect("a rule"));
        AllowedHosts::Only(rules.collect())
    }

    #[test]
    fn name_matches_itself_in_any_spelling_and_nothing_else() {
        let hosts = allowed(&["Example.org", "192.0.2.1", "2001:db8::1"]);
        for host in [
            "example.org",
            "EXAMPLE.ORG",
            "example.org.",
            "192.0.2.1",
            "[2001:db8:0:0::1]",
        ] {
            assert!(hosts.allow(host), "{host}");
        }
        for host in ["www.example.org", "example.org.evil.test", "192.0.2.2", ""] {
            assert!(!hosts.allow(host), "{host}");
        }
    }

    #[test]
    fn leading_dot_also_allows_names_below_the_domain() {
        let hosts = allowed(&[".example.org"]);
        for host in ["example.org", "www.example.org", "a.b.example.org"] {
            assert!(hosts.allow(host), "{host}");
        }
        for host in ["badexample.org", "example.org.evil.test", "org"] {
            assert!(!hosts.allow(host), "{host}");
        }
    }

    #[test]
    fn text_that_is_not_a_host_name_is_refused() {
        for text in [
            "",
            ".",
            "*.example.org",
            "http://example.org",
            "example.org:80",
            "example.org/",
            "a b",
            "exämple.org",
        ] {
            assert_eq!(text.parse::<HostRule>(), Err(HostRuleError), "{text}");
        }
    }
}
