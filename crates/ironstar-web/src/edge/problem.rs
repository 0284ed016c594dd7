//! The single policy for errors.
//!
//! - A refusal tells what happened, to what, and what to do: in a sentence for people
//!   (`detail`) and in a stable `type` for programs (RFC 9457).
//! - The status follows from the kind of the error, for all aggregates alike.
//! - An internal error (SQL, a damaged event) is logged here, once, with all its sources. The
//!   client never sees it.

mod refused;
mod rejections;

use std::error::Error;
use std::time::Duration;

use axum::http::uri::Uri;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ironstar_app::CommandError;
use ironstar_app::projection::{Behind, ReadError};
use ironstar_domain::{DomainError, ErrorKind};
use ironstar_ports::StoreError;
use problem_details::ProblemDetails;

use crate::services::OtherHistory;

/// A refusal or failure, on its way to the client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    pub(crate) status: StatusCode,
    /// A stable name in kebab case. The `type` is `/problems/{code}`.
    pub(crate) code: &'static str,
    /// A sentence for people.
    pub(crate) detail: String,
    /// The time after which the client may try again, if that is known.
    pub(crate) retry_after: Option<Duration>,
    /// The next step that a page with this problem offers.
    pub(crate) way_out: Option<WayOut>,
}

/// The next step of a visitor after a problem.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum WayOut {
    /// The visitor signs in, and returns to this address of the site.
    Return(String),
    /// The visitor goes to the site's own address, instead of the name that was used.
    Site(String),
    /// The visitor signs in, or asks the owner for a new link: a missing page may be a hidden
    /// one.
    SignInOrAsk,
}

impl Problem {
    /// A problem with this status, code and detail. The detail becomes a sentence: with a capital
    /// at its start, and a full stop at its end.
    pub fn new(status: StatusCode, code: &'static str, detail: impl AsRef<str>) -> Self {
        Self {
            status,
            code,
            detail: sentence(detail.as_ref()),
            retry_after: None,
            way_out: None,
        }
    }

    /// The sentence that tells people what happened, to what, and what to do.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The same problem with a way out.
    pub(crate) fn with_way_out(self, way_out: WayOut) -> Self {
        Self {
            way_out: Some(way_out),
            ..self
        }
    }

    /// The same, with the start page as the way out, unless it has another.
    pub(crate) fn leading_home(mut self) -> Self {
        let start_page = || WayOut::Return("/".to_owned());
        self.way_out.get_or_insert_with(start_page);
        self
    }

    /// A refusal of the domain.
    pub fn refused(error: &impl DomainError) -> Self {
        let refusal = error.refusal();
        let status = match refusal.kind {
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Forbidden => StatusCode::FORBIDDEN,
            ErrorKind::Conflict => StatusCode::CONFLICT,
        };
        let way_out = refusal.may_hide.then_some(WayOut::SignInOrAsk);
        Self {
            way_out,
            ..Self::new(status, refusal.code, error.to_string())
        }
    }

    /// The request has a value that is not allowed.
    pub fn invalid(code: &'static str, error: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, error.to_string())
    }

    /// There is nothing at this address.
    pub fn no_such_page() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no-such-page",
            "there is nothing at this address",
        )
    }

    /// The address exists, but not for this method.
    pub(crate) fn no_such_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "this address does not take requests of this method",
        )
    }

    /// A page of another site sent the request.
    pub(crate) fn cross_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "cross-site-request",
            "the request was sent by a page of another site, and was not carried out",
        )
    }

    /// A client sends commands too fast.
    pub(crate) fn rate_limited(wait: Duration) -> Self {
        let seconds = whole_seconds(wait);
        let unit = if seconds == 1 { "second" } else { "seconds" };
        let detail = format!(
            "too many commands from your network, so this one was not carried out; \
             try again in {seconds} {unit}"
        );
        Self {
            retry_after: Some(wait),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", detail)
        }
    }

    /// Too many operations of a kind are in progress.
    pub(crate) fn busy(detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
    }

    /// The request is meant for another server.
    pub(crate) fn unknown_host() -> Self {
        Self::new(
            StatusCode::MISDIRECTED_REQUEST,
            "unknown-host",
            "this server does not answer under the name in the address; \
             its operator can allow that name with --allowed-hosts",
        )
    }

    /// The request names no host, several hosts, or an invalid one.
    pub(crate) fn malformed_host() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "malformed-request",
            "the request must name one host, in the header 'host'",
        )
    }

    /// The server itself has failed, perhaps only for a moment.
    pub(crate) fn unavailable(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error, "a request failed");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "the server cannot do this at the moment; try again later",
        )
    }

    /// A newer server has stored events that this one cannot read.
    fn too_new(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error, "an event of a newer version cannot be read");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "newer-version",
            "a newer version of this server has changed this; try again in a moment",
        )
    }

    /// Stored data cannot be read.
    pub(crate) fn unreadable(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error, "stored events cannot be read");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "unreadable-history",
            "the stored data cannot be read; please tell the operator of this site",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let kind = Uri::try_from(format!("/problems/{}", self.code)).unwrap_or_default();
        let mut response = ProblemDetails::from_status_code(self.status)
            .with_type(kind)
            .with_detail(self.detail.clone())
            .into_response();
        self.add_headers(response.headers_mut());
        // `page::problem` may show the problem as a page.
        response.extensions_mut().insert(self);
        response
    }
}

impl Problem {
    /// Adds the problem's headers to an answer.
    pub(crate) fn add_headers(&self, headers: &mut HeaderMap) {
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, whole_seconds(wait).into());
        }
        if self.code == refused::ENCODING {
            // The encoding that the server accepts (RFC 9110, section 15.5.16).
            let identity = HeaderValue::from_static("identity");
            headers.insert(header::ACCEPT_ENCODING, identity);
        }
    }
}

impl<E: DomainError> From<CommandError<E>> for Problem {
    fn from(error: CommandError<E>) -> Self {
        match &error {
            CommandError::Refused(refusal) => Self::refused(refusal),
            CommandError::Unexpected { .. } => Self::new(
                StatusCode::CONFLICT,
                "unexpected-sequence",
                error.to_string(),
            ),
            CommandError::Contended { .. } => {
                Self::new(StatusCode::CONFLICT, "contended", error.to_string())
            }
            CommandError::OtherChanged { .. } => {
                Self::new(StatusCode::CONFLICT, "contended", error.to_string())
            }
            CommandError::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "command-key-reused",
                error.to_string(),
            ),
            CommandError::Overloaded => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                error.to_string(),
            ),
            CommandError::Unreadable(error) if error.is_of_newer_version() => Self::too_new(error),
            CommandError::Unreadable(error) => Self::unreadable(error),
            CommandError::Unwritable(error) => Self::unavailable(error),
            CommandError::Store(error) => Self::from_store(error),
        }
    }
}

impl Problem {
    pub(crate) fn from_store(error: &StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::unavailable(error),
            StoreError::Damaged { .. } => Self::unreadable(error),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::from_store(&error)
    }
}

impl From<OtherHistory> for Problem {
    fn from(error: OtherHistory) -> Self {
        Self::new(StatusCode::CONFLICT, "other-history", error.to_string())
    }
}

impl From<Behind> for Problem {
    fn from(behind: Behind) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "behind",
            format!("{behind}; try again in a moment"),
        )
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match &error {
            ReadError::NotBuilt { .. } | ReadError::OtherVersion { .. } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "being-built",
                "the data for this answer is still being built; try again in a moment",
            ),
            ReadError::Damaged { .. } => Self::unreadable(&error),
            ReadError::Store(error) => Self::from_store(error),
        }
    }
}

/// A time for `Retry-After`, in whole seconds, rounded up to at least 1.
fn whole_seconds(time: Duration) -> u64 {
    let started = u64::from(time.subsec_nanos() > 0);
    (time.as_secs() + started).max(1)
}

/// Makes a sentence of a text: with a capital at its start, and a full stop at its end.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let mut sentence: String = chars
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    sentence.push_str(chars.as_str());
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up_to_whole_seconds() {
        for (ms, seconds) in [(0, 1), (1, 1), (999, 1), (1_000, 1), (1_001, 2), (2_000, 2)] {
            assert_eq!(whole_seconds(Duration::from_millis(ms)), seconds, "{ms} ms");
        }
    }
}
