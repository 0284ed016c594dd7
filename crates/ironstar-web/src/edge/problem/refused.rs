//! Problems of requests that are refused for their form, or because their client uses too much
//! of the server.

use std::time::Duration;

use axum::http::StatusCode;

use super::Problem;

/// The time after which a client may try again to open a stream. Other streams may have ended
/// by then.
const STREAM_RETRY: Duration = Duration::from_secs(5);

/// The code of the problem whose answer also names the accepted encoding.
pub(super) const ENCODING: &str = "unsupported-content-encoding";

impl Problem {
    /// A client has the maximum number of streams open, and requests another.
    pub(crate) fn too_many_streams(most: u32) -> Self {
        let detail = format!(
            "your network has {most} streams open, and more are not allowed; \
             close some, such as pages that are open in a browser"
        );
        Self {
            retry_after: Some(STREAM_RETRY),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-streams", detail)
        }
    }

    /// A client does not read the answers that it has requested, and requests more.
    pub(crate) fn too_much_unread() -> Self {
        let detail = "too many answers to your network have not been read yet; \
                      read them, and try again";
        Self {
            retry_after: Some(STREAM_RETRY),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too-much-unread", detail)
        }
    }

    /// A client has sent too many incomplete requests, and sends more.
    pub(crate) fn too_many_incomplete() -> Self {
        let detail = "too many requests from your network are incomplete, so this one was not \
                      carried out; finish the others, and try again";
        Self {
            retry_after: Some(STREAM_RETRY),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too-much-under-way", detail)
        }
    }

    /// A client has the maximum number of connections open, and sends a request on another.
    pub(crate) fn too_many_connections(most: u64) -> Self {
        let detail = format!(
            "your network has {most} connections open, and more are not allowed; \
             close some, and try again"
        );
        Self {
            retry_after: Some(STREAM_RETRY),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-connections",
                detail,
            )
        }
    }

    /// All clients together send more than the server has room for.
    pub(crate) fn overloaded() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "the server gets more requests than it has room for, so this one was not \
             carried out; try again later",
        )
    }

    /// A header with a single value occurs more than once.
    pub(crate) fn repeated_header(name: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "malformed-request",
            format!("the header '{name}' occurs more than once; send it once"),
        )
    }

    /// The request's body is larger than the limit.
    pub(crate) fn too_large(most: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload-too-large",
            format!("the body of a request has at most {} bytes", most),
        )
    }

    /// The request's body is compressed.
    pub(crate) fn unsupported_encoding() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ENCODING,
            "the body is sent in a content encoding that the server does not decode; \
             send it as it is, without the header 'content-encoding'",
        )
    }

    /// The request's body did not arrive completely in time.
    pub(crate) fn overdue(deadline: Duration) -> Self {
        let seconds = deadline.as_secs();
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "request-timeout",
            format!("the request did not arrive within {seconds} seconds"),
        )
    }

    pub(crate) fn malformed() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "malformed-request",
            "the request cannot be read",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_refusals_tell_when_to_try_again() {
        for problem in [
            Problem::too_many_streams(64),
            Problem::too_many_connections(256),
            Problem::too_much_unread(),
            Problem::too_many_incomplete(),
        ] {
            assert!(problem.retry_after.is_some(), "{problem:?}");
        }
    }
}
