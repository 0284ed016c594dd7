//! The one policy for errors.
//!
//! - A refusal tells what happened, to what, and what to do, in a sentence for
//!   people (`detail`) and in a stable `type` for programs (RFC 9457).
//! - The status follows from the kind of the error, whatever the aggregate.
//! - What is wrong inside (SQL, a damaged event) is logged here, once, with its
//!   whole chain, and never told to the client.

mod refused;

use std::error::Error;
use std::time::Duration;

use axum::extract::Request;
use axum::extract::rejection::{FormRejection, JsonRejection};
use axum::http::uri::Uri;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ironstar_app::CommandError;
use ironstar_app::projection::{Behind, ReadError};
use ironstar_app::todo::ListWideError;
use ironstar_domain::{DomainError, ErrorKind, ListError};
use ironstar_ports::StoreError;
use problem_details::ProblemDetails;

use crate::page::layout;
use crate::page::layout::{Frame, Provider};
use crate::page::notice;
use crate::session::{Session, SessionError};
use crate::stream::sse;

/// A refusal or failure, on its way to the client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// A stable name in kebab case; the `type` is `/problems/{code}`.
    pub(crate) code: &'static str,
    /// A sentence for people.
    pub(crate) detail: String,
    /// When to try again, if that is known.
    pub(crate) retry_after: Option<Duration>,
    /// Where somebody wanted to go, for the page that shows it.
    pub(crate) then: Option<String>,
    /// Where the site is, for whoever has come to it under another name.
    pub(crate) elsewhere: Option<String>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl AsRef<str>) -> Self {
        Self {
            status,
            code,
            detail: sentence(detail.as_ref()),
            retry_after: None,
            then: None,
            elsewhere: None,
        }
    }

    /// The same, on the way to an address of the site.
    pub(crate) fn going_on_at(self, then: &str) -> Self {
        Self {
            then: Some(then.to_owned()),
            ..self
        }
    }

    /// What is to be done about it, as far as a person is concerned.
    fn advice(&self, frame: &Frame) -> Option<&'static str> {
        if self.code != ListError::NotFound.code() {
            return None;
        }
        Some(if frame.can_sign_in().is_some() {
            "If it is yours, sign in. If somebody let you in, ask them for a new link."
        } else {
            "If somebody let you in, ask them for a new link."
        })
    }

    /// The request holds a value that is not allowed.
    pub(crate) fn invalid(code: &'static str, error: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, error.to_string())
    }

    /// There is nothing at this address.
    pub(crate) fn no_such_page() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no-such-page",
            "there is nothing at this address",
        )
    }

    /// There is no list with this id.
    pub(crate) fn no_such_list() -> Self {
        let error = ListError::NotFound;
        Self::new(StatusCode::NOT_FOUND, error.code(), error.to_string())
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
            "too many commands have come from your address, and this one was not carried out; \
             try again in {seconds} {unit}"
        );
        Self {
            retry_after: Some(wait),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", detail)
        }
    }

    /// What would be somebody's own is nobody's, for they have no session.
    pub(crate) fn no_session() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-sessions",
            "too many visitors have come from your address, so nothing can be yours for now; \
             try again in a while",
        )
    }

    /// As much is under way as may be.
    pub(crate) fn busy(detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
    }

    /// The request is meant for another server.
    pub(crate) fn unknown_host() -> Self {
        Self::new(
            StatusCode::MISDIRECTED_REQUEST,
            "unknown-host",
            "this server does not answer under the name in the address; \
             whoever runs it can allow that name with --allowed-hosts",
        )
    }

    /// The request does not say properly for which host it is.
    pub(crate) fn malformed_host() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "malformed-request",
            "the request must name one host, in the header 'host'",
        )
    }

    /// Something inside does not work, or not for now.
    pub(crate) fn unavailable(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error, "a request failed");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "the server cannot do this at the moment; try again in a while",
        )
    }

    /// What is stored cannot be read.
    pub(crate) fn unreadable(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error, "stored events cannot be read");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "unreadable-history",
            "what is stored here cannot be read; the operator has to look into it",
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
        self.add_headers(&mut response);
        // For whoever would rather show it as a page.
        response.extensions_mut().insert(self);
        response
    }
}

impl Problem {
    fn add_headers(&self, response: &mut Response) {
        let headers = response.headers_mut();
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, whole_seconds(wait).into());
        }
        if self.code == refused::ENCODING {
            // What would be taken (RFC 9110, section 15.5.16).
            let identity = HeaderValue::from_static("identity");
            headers.insert(header::ACCEPT_ENCODING, identity);
        }
    }
}

/// Shows a problem in the form that its client can show to a person: a browser
/// that asks for HTML gets a page, and Datastar, when it posts a form, a patch.
pub(crate) async fn as_page(request: Request, next: Next) -> Response {
    let accept = request.headers().get(header::ACCEPT).cloned();
    let is_datastar = notice::is_datastar(request.headers()) && request.method() == Method::POST;
    let key = request.headers().get("idempotency-key").cloned();
    let session: Option<Session> = request.extensions().get().cloned();
    let provider: Option<Option<Provider>> = request.extensions().get().cloned();
    let provider = provider.flatten();
    let uri = if request.method() == Method::GET {
        request.uri().clone()
    } else {
        Uri::from_static("/")
    };
    let mut response = next.run(request).await;
    let wants_page = accept.is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"));
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    let mut shown = if is_datastar {
        let key = key.as_ref().and_then(|key| key.to_str().ok());
        sse::answer(notice::refused(&problem.detail, key))
    } else if wants_page {
        let frame = Frame::of(session.as_ref(), provider.as_ref(), &uri).await;
        let frame = match &problem.then {
            Some(then) => frame.at(then.clone()),
            None => frame,
        };
        let advice = problem.advice(&frame);
        let elsewhere = problem.elsewhere.as_deref();
        let page = layout::problem_page(&frame, &problem.detail, advice, elsewhere);
        (problem.status, page).into_response()
    } else {
        return response;
    };
    problem.add_headers(&mut shown);
    shown
}

impl<E: DomainError> From<CommandError<E>> for Problem {
    fn from(error: CommandError<E>) -> Self {
        match &error {
            CommandError::Refused(refusal) => {
                let status = match refusal.kind() {
                    ErrorKind::Invalid => StatusCode::BAD_REQUEST,
                    ErrorKind::NotFound => StatusCode::NOT_FOUND,
                    ErrorKind::Forbidden => StatusCode::FORBIDDEN,
                    ErrorKind::Conflict => StatusCode::CONFLICT,
                };
                Self::new(status, refusal.code(), refusal.to_string())
            }
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
            CommandError::Unreadable(error) => Self::unreadable(error),
            CommandError::Unwritable(error) => Self::unavailable(error),
            CommandError::Store(error) => Self::from_store(error),
        }
    }
}

impl Problem {
    fn from_store(error: &StoreError) -> Self {
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

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match &error {
            SessionError::Store(error) => Self::from_store(error),
            SessionError::Damaged(_) | SessionError::Unwritable(_) => Self::unavailable(&error),
            SessionError::TooMany(wait) => Self {
                retry_after: Some(*wait),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too-many-sessions",
                    error.to_string(),
                )
            },
        }
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
                "what is shown here is still being put together; try again in a moment",
            ),
            ReadError::Damaged { .. } => Self::unreadable(&error),
            ReadError::Store(error) => Self::from_store(error),
        }
    }
}

impl From<ListWideError> for Problem {
    fn from(error: ListWideError) -> Self {
        match error {
            ListWideError::TooMany => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "too-many",
                error.to_string(),
            ),
            ListWideError::Behind(behind) => behind.into(),
            ListWideError::Read(error) => error.into(),
            ListWideError::Command(error) => error.into(),
        }
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            JsonRejection::JsonDataError(error) => {
                Self::invalid("invalid-value", without_place(&innermost(&error)))
            }
            JsonRejection::JsonSyntaxError(error) => Self::invalid(
                "malformed-json",
                format!("the body is not JSON: {}", innermost(&error)),
            ),
            JsonRejection::MissingJsonContentType(_) => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "a command is sent as JSON, with the header 'content-type: application/json'",
            ),
            // What axum may add, too.
            JsonRejection::BytesRejection(_) | _ => Self::malformed(),
        }
    }
}

impl From<FormRejection> for Problem {
    fn from(rejection: FormRejection) -> Self {
        match rejection {
            FormRejection::InvalidFormContentType(_) => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "a form is sent with the header 'content-type: application/x-www-form-urlencoded'",
            ),
            FormRejection::FailedToDeserializeFormBody(error) => {
                Self::invalid("invalid-value", innermost(&error))
            }
            // What axum may add, too. No form of ours is a query.
            FormRejection::FailedToDeserializeForm(_) | FormRejection::BytesRejection(_) | _ => {
                Self::malformed()
            }
        }
    }
}

/// The error that started a chain: what is above it only says which library
/// came across it.
fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// A value that is not allowed is so wherever it stands.
fn without_place(message: &str) -> &str {
    message
        .rsplit_once(" at line ")
        .map_or(message, |(message, _)| message)
}

/// A time as `Retry-After` says it: so many seconds, and no fewer.
fn whole_seconds(time: Duration) -> u64 {
    let started = u64::from(time.subsec_nanos() > 0);
    (time.as_secs() + started).max(1)
}

/// Begins with a capital and ends with a full stop.
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
    fn retry_after_is_so_many_seconds_and_no_fewer() {
        for (ms, seconds) in [(0, 1), (1, 1), (999, 1), (1_000, 1), (1_001, 2), (2_000, 2)] {
            assert_eq!(whole_seconds(Duration::from_millis(ms)), seconds, "{ms} ms");
        }
    }

    #[test]
    fn client_who_began_too_many_sessions_is_told_when_there_may_be_more() {
        let problem = Problem::from(SessionError::TooMany(Duration::from_secs(7)));
        assert_eq!(problem.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(problem.status, StatusCode::TOO_MANY_REQUESTS);
    }
}
