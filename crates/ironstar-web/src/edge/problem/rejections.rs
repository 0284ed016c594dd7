//! The rejections of axum, for a body that is not JSON or not a form.

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
            // The wildcard is for rejections that axum may add.
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
            // The wildcard is for rejections that axum may add. No form of ours is sent as a
            // query.
            FormRejection::FailedToDeserializeForm(_) | FormRejection::BytesRejection(_) | _ => {
                Self::malformed()
            }
        }
    }
}

/// The error at the end of a chain of sources. The errors above it only tell which library
/// found it.
fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Removes the line and column from a message of `serde_json`. They do not matter for an
/// invalid value.
fn without_place(message: &str) -> &str {
    message
        .rsplit_once(" at line ")
        .map_or(message, |(message, _)| message)
}
