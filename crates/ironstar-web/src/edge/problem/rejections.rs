//! What axum rejects: a body that is not JSON, or not a form.

use std::error::Error;

use axum::extract::rejection::{FormRejection, JsonRejection};
use axum::http::StatusCode;

use super::Problem;

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
