//! What every response tells the client: what not to do, and when to come back.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

/// Set on every response. `'unsafe-eval'` is there because Datastar 1.0.2
/// compiles the expressions in `data-*` attributes (docs/adr/0004).
const HEADERS: [(HeaderName, &str); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
];

/// How many seconds to wait before asking again what cannot be done for now,
/// whether it is a page or a problem that says so.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Adds the headers.
pub(crate) async fn add(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    response
}
