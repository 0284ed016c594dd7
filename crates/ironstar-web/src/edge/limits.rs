//! What the operator decides about clients: how much one client may take, how
//! clients are told apart, and under which names the server answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use axum::http::HeaderName;
use thiserror::Error;

/// How the server guards itself. By default it does not at all, which is for
/// tests: a server in a network takes its limits from its configuration.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// How many commands a second a client may send, and five times as many at
    /// once after a pause; 0 is any number.
    pub command_rate: u32,
    /// How many streams a client may have open; 0 is any number. With 0 there is no
    /// limit either on a client's bodies under way, unread answers and connections.
    pub streams_per_client: u32,
    /// The header in which a reverse proxy says whom a request is from. Only
    /// for servers that nobody reaches but through that proxy: anybody else
    /// could write into it what they like.
    pub client_address_header: Option<HeaderName>,
    /// The names of the server.
    pub allowed_hosts: AllowedHosts,
    /// Whether streams are packed for clients who take that: less goes over the
    /// network, and each change is compressed, once for all.
    pub compress_streams: bool,
}

/// Under which names a server answers.
///
/// A page of another site cannot read what is served here, until its own name
/// is made to point to this server (DNS rebinding). Then the browser takes both
/// for one site. But it still says the name in each request, and a server that
/// answers only to its own is safe.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum AllowedHosts {
    /// Under every name.
    #[default]
    Any,
    /// Under these.
    Only(Vec<HostRule>),
}

impl AllowedHosts {
    /// Whether the server answers to a host, without its port.
    pub(crate) fn allow(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(rules) => rules.iter().any(|rule| rule.matches(host)),
        }
    }
}

/// A host, or a domain with all that is below it.
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
    /// What this machine calls itself.
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

/// Why a text is not a [`HostRule`].
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "it has to be a host name such as 'example.org', without scheme and port, \
     or '.example.org' for that and all names below it"
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

/// An IP address as it stands in a URL.
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
    fn a_name_is_itself_in_any_spelling_and_nothing_else() {
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
    fn a_leading_dot_allows_what_is_below_too() {
        let hosts = allowed(&[".example.org"]);
        for host in ["example.org", "www.example.org", "a.b.example.org"] {
            assert!(hosts.allow(host), "{host}");
        }
        for host in ["badexample.org", "example.org.evil.test", "org"] {
            assert!(!hosts.allow(host), "{host}");
        }
    }

    #[test]
    fn what_is_not_a_host_name_is_refused() {
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
