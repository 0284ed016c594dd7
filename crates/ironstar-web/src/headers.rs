//! What every response tells the client: what not to do, and when to come back.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

/// Set on every response. `'unsafe-eval'` is there because Datastar 1.0.2
/// compiles the expressions in `data-*` attributes (docs/adr/0004).
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
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

/// How many seconds to wait before asking again what cannot be done for now,
/// whether it is a page or a problem that says so.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// What caches may do with what does not say it itself: it is as of now, and may
/// be somebody's own.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("no-store");

/// Adds the headers.
pub(crate) async fn add(mut response: Response) -> Response {
    let status = response.status();
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(CACHE_CONTROL);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.entry(header::RETRY_AFTER).or_insert(RETRY_AFTER);
    }
    response
}
