//! Whom a request believes to speak to.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{Version, header};

use crate::edge::client;
use crate::edge::limits::AllowedHosts;
use crate::edge::problem::Problem;

/// The host that a request names, and that is one of the server's.
#[derive(Clone, Debug)]
pub(crate) struct RequestHost(pub(crate) Authority);

/// Refuses requests that are meant for another host, and those that do not say
/// for which they are.
pub(crate) fn check(allowed: &AllowedHosts, request: &mut Request) -> Result<(), Problem> {
    let must_say = match request.version() {
        Version::HTTP_09 | Version::HTTP_10 => false,
        // Requests that were made in this process, in tests, have no peer and
        // need no host. One over a network without a host is malformed
        // (RFC 9112, section 3.2; RFC 9113, section 8.3.1).
        _ => client::peer(request).is_some(),
    };
    match host(request)? {
        None if must_say => Err(Problem::malformed_host()),
        Some(host) if !allowed.allow(host.host()) => Err(Problem::unknown_host()),
        None => Ok(()),
        Some(host) => {
            request.extensions_mut().insert(RequestHost(host));
            Ok(())
        }
    }
}

/// The host and port that a request names: in its target, as HTTP/2 does, or
/// else in its header.
fn host(request: &Request) -> Result<Option<Authority>, Problem> {
    let mut named = request.headers().get_all(header::HOST).iter();
    let host = match (request.uri().authority(), named.next(), named.next()) {
        (_, Some(_), Some(_)) => return Err(Problem::malformed_host()),
        (Some(authority), ..) => Some(authority.clone()),
        (None, None, _) => None,
        (None, Some(host), None) => {
            let host = Authority::try_from(host.as_bytes());
            Some(host.map_err(|_| Problem::malformed_host())?)
        }
    };
    // A user's name before it makes it look like another host.
    match host {
        Some(host) if host.as_str().contains('@') => Err(Problem::malformed_host()),
        host => Ok(host),
    }
}
