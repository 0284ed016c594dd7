//! The headers of every response, and the request headers that may occur only once.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::edge::problem::Problem;

/// The header in which a page's streams name the visitor for whom the page was drawn.
pub(crate) const DRAWN_FOR: &str = "ironstar-drawn-for";

/// The content security policy of pages. It needs `'unsafe-eval'`, because Datastar 1.0.2
/// compiles the expressions in `data-*` attributes (docs/adr/0004).
const POLICY: &str = "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; \
    form-action 'self'";

/// The headers of every response.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    // The same as `frame-ancestors`, for browsers and scanners that check this header.
    (header::X_FRAME_OPTIONS, "DENY"),
    // No other site shares a process, a window or a resource with a page.
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// The request headers that the server reads and that have a single value. If such a header
/// occurs twice, a proxy in front of the server may have used the other line.
///
/// The module `hosts` checks `Host`, and hyper checks `Content-Length`. Cookies may come in
/// several lines (RFC 9113, section 8.2.3), and so may lists such as `Accept`.
const ONCE: [HeaderName; 8] = [
    header::ORIGIN,
    HeaderName::from_static("sec-fetch-site"),
    header::CONTENT_TYPE,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("datastar-request"),
    HeaderName::from_static(DRAWN_FOR),
    header::REFERER,
];

/// The number of seconds that a client should wait after an answer of 503, be it a page or a
/// problem.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// The caching of answers that do not state their own: they are current only at this moment,
/// and may be private to a visitor.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("no-store");

/// For a year, browsers connect to the site only over TLS.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// The headers that depend on the site's settings.
#[derive(Clone, Debug)]
pub(crate) struct SiteHeaders {
    policy: HeaderValue,
    is_secure: bool,
}

impl SiteHeaders {
    /// The headers of a site. Its forms may lead to the site itself and to the origin at which
    /// visitors sign in.
    pub(crate) fn new(is_secure: bool, sign_in: Option<&str>) -> Self {
        let policy = match sign_in {
            // The form leads to a route of this site, which redirects to the provider. Browsers
            // also check the target of the redirect.
            Some(origin) => HeaderValue::try_from(format!("{POLICY} {origin}")),
            None => Ok(HeaderValue::from_static(POLICY)),
        };
        let policy = policy.unwrap_or_else(|_| {
            tracing::error!("the provider's origin is invalid, so visitors cannot sign in");
            HeaderValue::from_static(POLICY)
        });
        Self { policy, is_secure }
    }

    /// Adds the headers to an answer.
    pub(crate) fn add(&self, response: &mut Response) {
        let status = response.status();
        let headers = response.headers_mut();
        headers.reserve(HEADERS.len() + 3);
        for (name, value) in HEADERS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        if self.is_secure {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
        }
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(CACHE_CONTROL);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.entry(header::RETRY_AFTER).or_insert(RETRY_AFTER);
        }
    }
}

/// Refuses a request that repeats a header of [`ONCE`].
pub(crate) fn check(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.len() != headers.keys_len() {
        let is_repeated = |name: &&HeaderName| headers.get_all(*name).iter().nth(1).is_some();
        if let Some(name) = ONCE.iter().find(is_repeated) {
            return Err(Problem::repeated_header(name.as_str()));
        }
    }
    Ok(())
}
