//! Requests that are refused for how they are sent: in which form, and how much of
//! everything their client takes up.

use std::time::Duration;

use axum::http::StatusCode;

use super::Problem;
use crate::edge::body;

/// When to try again to open a stream: others may have ended by then.
const STREAM_RETRY: Duration = Duration::from_secs(5);

/// The code of a problem that says what would be taken.
pub(super) const ENCODING: &str = "unsupported-content-encoding";

impl Problem {
    /// A client has so many streams open, and asks for one more.
    pub(crate) fn too_many_streams(most: u32) -> Self {
        let detail = format!(
            "{most} streams to your address are open, and more are not allowed; \
             close some, such as pages that are open in a browser"
        );
        Self {
            retry_after: Some(STREAM_RETRY),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-streams", detail)
        }
    }

    /// A client does not read what they have asked for, and asks for more.
    pub(crate) fn too_much_unread() -> Self {
        let detail = "too many answers to your address have not been read yet; \
                      read them, and try again";
        Self {
            retry_after: Some(STREAM_RETRY),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too-much-unread", detail)
        }
    }

    /// A client sends requests that do not come to an end, and sends more.
    pub(crate) fn too_much_under_way() -> Self {
        let detail = "too much is under way from your address, and this request was not carried \
                      out; finish the requests that have begun, and try again";
        Self {
            retry_after: Some(STREAM_RETRY),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too-much-under-way", detail)
        }
    }

    /// A client has so many connections open, and asks on one more.
    pub(crate) fn too_many_connections(most: u64) -> Self {
        let detail = format!(
            "{most} connections from your address are open, and more are not allowed; \
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

    /// All clients together send more than there is room for.
    pub(crate) fn overloaded() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "more requests are coming in than the server has room for, and this one was not \
             carried out; try again in a while",
        )
    }

    /// A header is there more than once that says one thing.
    pub(crate) fn repeated_header(name: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "malformed-request",
            format!("the header '{name}' is there more than once; send it once"),
        )
    }

    /// The request has a body that is larger than any may be.
    pub(crate) fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload-too-large",
            format!("a request has at most {} bytes", body::BODY_LIMIT),
        )
    }

    /// The body of the request is packed.
    pub(crate) fn unsupported_encoding() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ENCODING,
            "the body is sent in a content encoding that the server does not decode; \
             send it as it is, without the header 'content-encoding'",
        )
    }

    /// The body of the request did not come to its end in time.
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
    fn refusals_of_a_moment_tell_when_to_try_again() {
        for problem in [
            Problem::too_many_streams(64),
            Problem::too_many_connections(256),
            Problem::too_much_unread(),
            Problem::too_much_under_way(),
        ] {
            assert!(problem.retry_after.is_some(), "{problem:?}");
        }
    }
}
