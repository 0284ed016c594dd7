//! The one policy for errors.
//!
//! - A refusal tells what happened, to what, and what to do, in a sentence for
//!   people (`detail`) and in a stable `type` for programs (RFC 9457).
//! - The status follows from the kind of the error, whatever the aggregate.
//! - What is wrong inside (SQL, a damaged event) is logged here, once, with its
//!   whole chain, and never told to the client.

use std::error::Error;

use axum::extract::Request;
use axum::extract::rejection::{BytesRejection, FormRejection, JsonRejection};
use axum::http::uri::Uri;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ironstar_app::CommandError;
use ironstar_app::projection::{Behind, ReadError};
use ironstar_app::todo::ListWideError;
use ironstar_domain::{DomainError, ErrorKind, ListError};
use ironstar_ports::StoreError;
use problem_details::ProblemDetails;

use crate::layout;

/// A refusal or failure, on its way to the client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// A stable name in kebab case; the `type` is `/problems/{code}`.
    pub(crate) code: &'static str,
    /// A sentence for people.
    pub(crate) detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl AsRef<str>) -> Self {
        Self {
            status,
            code,
            detail: sentence(detail.as_ref()),
        }
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
        // For whoever would rather show it as a page.
        response.extensions_mut().insert(self);
        response
    }
}

/// Shows a problem as a page to a person: to a browser that asks for HTML.
pub(crate) async fn as_page(request: Request, next: Next) -> Response {
    let accept = request.headers().get(header::ACCEPT).cloned();
    let mut response = next.run(request).await;
    let wants_page = accept.is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"));
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) if wants_page => {
            (problem.status, layout::problem_page(&problem.detail)).into_response()
        }
        Some(_) | None => response,
    }
}

impl<E: DomainError> From<CommandError<E>> for Problem {
    fn from(error: CommandError<E>) -> Self {
        match &error {
            CommandError::Refused(refusal) => {
                let status = match refusal.kind() {
                    ErrorKind::Invalid => StatusCode::BAD_REQUEST,
                    ErrorKind::NotFound => StatusCode::NOT_FOUND,
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
            JsonRejection::BytesRejection(error) => Self::from(error),
            other => Self::from_status(other.status()),
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
            FormRejection::BytesRejection(error) => Self::from(error),
            FormRejection::FailedToDeserializeForm(error) => {
                Self::invalid("invalid-value", innermost(&error))
            }
            FormRejection::FailedToDeserializeFormBody(error) => {
                Self::invalid("invalid-value", innermost(&error))
            }
            other => Self::from_status(other.status()),
        }
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        Self::from_status(rejection.status())
    }
}

impl Problem {
    /// What can be said when only the status is known.
    fn from_status(status: StatusCode) -> Self {
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::new(
                status,
                "payload-too-large",
                format!("a request has at most {} bytes", crate::BODY_LIMIT),
            );
        }
        Self::new(status, "malformed-request", "the request cannot be read")
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
