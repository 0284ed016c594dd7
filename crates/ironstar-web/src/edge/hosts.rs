//! The host that a request names, and the check that it is one of this server's names.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{Version, header};

use crate::edge::client;
use crate::edge::limits::AllowedHosts;
use crate::edge::problem::Problem;

/// The host that a request names. It is one of the server's names.
#[derive(Clone, Debug)]
pub(crate) struct RequestHost(pub(crate) Authority);

/// Refuses requests that are meant for another host, or that name no host.
pub(crate) fn check(allowed: &AllowedHosts, request: &mut Request) -> Result<(), Problem> {
    let must_say = match request.version() {
        Version::HTTP_09 | Version::HTTP_10 => false,
        // Requests from this process, in tests, have no peer and need no host. A request over
        // a network without a host is malformed (RFC 9112, section 3.2; RFC 9113, section
        // 8.3.1).
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

/// The host and port of a request: from its target, as in HTTP/2, or else from its header.
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
    // A user name in front of the host would make it look like another host.
    match host {
        Some(host) if host.as_str().contains('@') => Err(Problem::malformed_host()),
        host => Ok(host),
    }
}
