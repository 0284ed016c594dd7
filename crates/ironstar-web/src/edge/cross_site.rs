//! Refuses requests that a page of another site made the browser send.
//!
//! A browser names the source of a request: in `Sec-Fetch-Site`, or in `Origin` if the browser
//! is old or the site has no TLS. A program sends neither header. It also holds no cookie that
//! another page could make it send
//! (<https://developer.mozilla.org/en-US/docs/Web/Security/Attacks/CSRF>).

use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};

use crate::edge::hosts::RequestHost;
use crate::edge::problem::Problem;
use crate::site::{Site, SiteAddress};

/// Refuses a request that may change something, if a page of another site sent it.
pub(crate) fn check(site: &Site, request: &Request) -> Result<(), Problem> {
    let is_safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let host = request.extensions().get();
    if is_safe || is_ours(site, host, request.headers()) {
        return Ok(());
    }
    Err(Problem::cross_site())
}

/// Returns true if a request comes from a page of this site, or from no page.
fn is_ours(site: &Site, host: Option<&RequestHost>, headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).map(|origin| origin.as_bytes());
    // An empty origin is invalid. A browser that hides the origin sends `null`.
    if origin == Some(b"") {
        return false;
    }
    let fetched = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    match (fetched, origin) {
        (Some(b"same-origin" | b"none"), _) | (None, None) => true,
        (Some(_), _) => false,
        (None, Some(origin)) => is_origin(site, host, origin),
    }
}

/// Returns true if an origin is that of the site. The operator configures the site's address;
/// otherwise the address is the host of the request. Under a name that is not configured,
/// clients reach the server directly, and so without TLS.
fn is_origin(site: &Site, host: Option<&RequestHost>, origin: &[u8]) -> bool {
    let Some(origin) = std::str::from_utf8(origin).ok().and_then(parse) else {
        return false;
    };
    let Some(RequestHost(host)) = host else {
        return false;
    };
    let asked = |scheme| parse(&format!("{scheme}://{host}"));
    match &site.address {
        Some(home) if asked(home.scheme()).as_ref() == Some(home) => origin == *home,
        Some(_) | None => asked("http") == Some(origin),
    }
}

/// Parses an origin as browsers write it (RFC 6454, section 6.2): nothing may follow the host
/// and port.
fn parse(origin: &str) -> Option<SiteAddress> {
    origin.parse().ok().filter(|_| !origin.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use axum::http::uri::Authority;
    use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

    use super::is_ours;
    use crate::edge::hosts::RequestHost;
    use crate::site::Site;

    const FETCHED: HeaderName = HeaderName::from_static("sec-fetch-site");

    fn site(address: Option<&str>) -> Site {
        Site {
            address: address.map(|address| address.parse().expect("an address")),
            ..Site::default()
        }
    }

    fn is_from(address: Option<&str>, host: &str, said: &[(HeaderName, &'static str)]) -> bool {
        let said = said.iter().cloned();
        let said = said.map(|(name, value)| (name, HeaderValue::from_static(value)));
        let host = RequestHost(Authority::try_from(host).expect("a host"));
        is_ours(&site(address), Some(&host), &HeaderMap::from_iter(said))
    }

    #[test]
    fn fetch_metadata_decides_before_the_origin() {
        for (fetched, expected) in [
            ("same-origin", true),
            ("none", true),
            ("same-site", false),
            ("cross-site", false),
            ("", false),
            ("Same-Origin", false),
        ] {
            let is_ours = is_from(None, "localhost:3000", &[(FETCHED, fetched)]);
            assert_eq!(is_ours, expected, "{fetched}");
            // TLS may end at a proxy that the operator has not configured.
            let origin = (header::ORIGIN, "https://localhost:3000");
            let is_ours = is_from(None, "localhost:3000", &[(FETCHED, fetched), origin]);
            assert_eq!(is_ours, expected, "{fetched}");
        }
    }

    #[test]
    fn program_without_these_headers_is_accepted() {
        assert!(is_from(None, "localhost:3000", &[]));
    }

    #[test]
    fn origin_must_have_the_scheme_host_and_port_of_the_site() {
        for (address, host, origin, expected) in [
            (None, "localhost:3000", "http://localhost:3000", true),
            (None, "LOCALHOST:3000", "http://localhost:3000", true),
            (None, "localhost:3000", "https://localhost:3000", false),
            (None, "localhost:3000", "http://localhost:3001", false),
            (None, "localhost:3000", "http://localhost", false),
            (None, "example.org", "http://example.org", true),
            (None, "example.org:80", "http://example.org", true),
            (None, "example.org", "http://example.org:443", false),
            (None, "example.org", "http://example.org.evil.test", false),
            (None, "example.org", "http://example.org/", false),
            (None, "example.org", "http://evil.test@example.org", false),
            (None, "example.org", "null", false),
            (None, "example.org", "", false),
            (None, "example.org", "example.org", false),
        ] {
            let is_ours = is_from(address, host, &[(header::ORIGIN, origin)]);
            assert_eq!(is_ours, expected, "{host} {origin}");
        }
        let home = Some("https://example.org");
        for (host, origin, expected) in [
            ("example.org", "https://example.org", true),
            ("example.org:443", "https://example.org", true),
            ("example.org", "http://example.org", false),
            ("example.org", "https://example.org:8443", false),
            // Another name, which bypasses the proxy.
            ("192.0.2.1:3000", "http://192.0.2.1:3000", true),
            ("192.0.2.1:3000", "https://example.org", false),
            ("192.0.2.1:3000", "https://192.0.2.1:3000", false),
        ] {
            let is_ours = is_from(home, host, &[(header::ORIGIN, origin)]);
            assert_eq!(is_ours, expected, "{host} {origin}");
        }
    }

    #[test]
    fn empty_origin_is_refused_whatever_the_other_headers() {
        let empty = (header::ORIGIN, "");
        assert!(!is_from(
            None,
            "localhost",
            &[(FETCHED, "same-origin"), empty]
        ));
    }
}
