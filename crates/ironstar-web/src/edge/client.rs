//! The client of a request, for limits: its network address (docs/adr/0006). A session would
//! not serve, since an attacker sends no cookie.

use std::convert::Infallible;
use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};

/// A client: an IPv4 address, or an IPv6 network of the size that one customer of a provider
/// gets (/64). All requests that come over no network belong to the same client.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Client(Option<IpAddr>);

impl Client {
    /// The client with this address.
    #[must_use]
    pub fn at(address: IpAddr) -> Self {
        Self(Some(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
        }))
    }
}

impl Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => Display::fmt(&address, f),
            None => f.write_str("no network"),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or_default())
    }
}

/// Finds the client of a request, and stores it for the extractor [`Client`]. Behind a proxy,
/// the given header names the client.
pub(crate) fn identify(header: Option<&HeaderName>, request: &mut Request) -> Client {
    let forwarded = header.and_then(|header| forwarded(request.headers(), header));
    let address = forwarded.or_else(|| peer(request));
    if let Some(address) = address {
        request.extensions_mut().insert(Client::at(address));
    }
    request.extensions().get().copied().unwrap_or_default()
}

/// The address at the other end of the connection, if there is one.
pub(crate) fn peer(request: &Request) -> Option<IpAddr> {
    let connection = request.extensions().get::<ConnectInfo<SocketAddr>>();
    connection.map(|ConnectInfo(peer)| peer.ip())
}

/// The last address in a header. The proxy in front of this server has added it. A client may
/// have forged the addresses before it.
fn forwarded(headers: &HeaderMap, name: &HeaderName) -> Option<IpAddr> {
    let line = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    let last = line.rsplit(',').next()?.trim();
    let with_port = || last.parse().map(|address: SocketAddr| address.ip()).ok();
    let bare = last
        .strip_prefix('[')
        .and_then(|last| last.strip_suffix(']'));
    bare.unwrap_or(last).parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    use super::{Client, forwarded};

    fn at(address: &str) -> Client {
        Client::at(address.parse().expect("an address"))
    }

    #[test]
    fn client_is_an_address_or_a_network() {
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
        assert_eq!(at("192.0.2.1"), at("::ffff:192.0.2.1"));
        assert_eq!(at("2001:db8:1:2::1"), at("2001:db8:1:2:ffff::2"));
        assert_ne!(at("2001:db8:1:2::1"), at("2001:db8:1:3::1"));
    }

    #[test]
    fn last_address_of_a_header_is_the_client() {
        let name = HeaderName::from_static("x-forwarded-for");
        for (lines, expected) in [
            (&["192.0.2.1"][..], Some("192.0.2.1")),
            (&["192.0.2.1, 192.0.2.2"], Some("192.0.2.2")),
            (&["192.0.2.1", "192.0.2.2,192.0.2.3"], Some("192.0.2.3")),
            (&["192.0.2.1:4711"], Some("192.0.2.1")),
            (&["2001:db8::1"], Some("2001:db8::1")),
            (&["[2001:db8::1]:4711"], Some("2001:db8::1")),
            (&["[2001:db8::1]"], Some("2001:db8::1")),
            (&["192.0.2.1, unknown"], None),
            (&["192.0.2.1,"], None),
            (&[""], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(&name, HeaderValue::from_static(line));
            }
            let expected = expected.map(|address| address.parse().expect("an address"));
            assert_eq!(forwarded(&headers, &name), expected, "{lines:?}");
        }
    }
}
