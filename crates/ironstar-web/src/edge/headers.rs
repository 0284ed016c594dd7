//! What every response tells the client: what not to do, and when to come back; and
//! what a request may say only once.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::edge::problem::Problem;

/// The header of a page's streams that names the visitor whom the page was drawn for.
pub(crate) const DRAWN_FOR: &str = "ironstar-drawn-for";

/// What pages may do. `'unsafe-eval'` is there because Datastar 1.0.2 compiles the
/// expressions in `data-*` attributes (docs/adr/0004).
const POLICY: &str = "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; \
    form-action 'self'";

/// Set on every response.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    // What `frame-ancestors` says, for browsers and scanners that look here.
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

/// What is read of a request, and says one thing. If it is there twice, another server
/// on the way may have gone by the other line. `Host` is `hosts`'s business, a
/// `Content-Length` is hyper's, cookies come in several lines (RFC 9113, section
/// 8.2.3), and so do lists, such as `Accept`.
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

/// How many seconds to wait before asking again what cannot be done for now,
/// whether it is a page or a problem that says so.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// What caches may do with what does not say it itself: it is as of now, and may
/// be somebody's own.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("no-store");

/// For a year, nobody speaks to the site but over TLS.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// What the headers say of this site.
#[derive(Clone, Debug)]
pub(crate) struct SiteHeaders {
    policy: HeaderValue,
    is_secure: bool,
}

impl SiteHeaders {
    /// Those of a site that is reached over TLS, or is not, and whose forms lead to
    /// itself, or to where visitors sign in.
    pub(crate) fn new(is_secure: bool, sign_in: Option<&str>) -> Self {
        let policy = match sign_in {
            // The form that leads there is ours, but browsers look at where it
            // ends up.
            Some(origin) => HeaderValue::try_from(format!("{POLICY} {origin}")),
            None => Ok(HeaderValue::from_static(POLICY)),
        };
        let policy = policy.unwrap_or_else(|_| {
            tracing::error!("the provider's origin is none, so nobody can sign in");
            HeaderValue::from_static(POLICY)
        });
        Self { policy, is_secure }
    }

    /// Adds the headers to an answer.
    pub(crate) fn add(&self, response: &mut Response) {
        let status = response.status();
        let headers = response.headers_mut();
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

/// Refuses a request that says something twice.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.len() != headers.keys_len() {
        let is_repeated = |name: &&HeaderName| headers.get_all(*name).iter().nth(1).is_some();
        if let Some(name) = ONCE.iter().find(is_repeated) {
            return Err(Problem::repeated_header(name.as_str()));
        }
    }
    Ok(())
}
