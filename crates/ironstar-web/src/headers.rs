//! What every response tells the browser not to do.

use axum::http::{HeaderName, HeaderValue, header};
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

/// Adds the headers.
pub(crate) async fn restrict(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
