//! Where a page says why something was refused, and how Datastar is told: by a
//! patch on a 200, because it ignores the bodies of all other answers.

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use datastar::prelude::PatchElements;
use maud::{Markup, html};

use crate::sse::datastar_frame;

/// Whether Datastar has sent a request, and not a plain form.
pub(crate) fn is_datastar(headers: &HeaderMap) -> bool {
    headers.contains_key("datastar-request")
}

/// What was refused and why; empty if nothing was.
pub(crate) fn notice(refusal: Option<&str>) -> Markup {
    html! {
        p #notice .notice role="alert" {
            @if let Some(refusal) = refusal { (refusal) }
        }
    }
}

/// The patch that shows the notice.
pub(crate) fn patch(refusal: Option<&str>) -> String {
    datastar_frame(PatchElements::new(notice(refusal).into_string()), None)
}

/// The answer that consists of patches.
pub(crate) fn respond(patches: String) -> Response {
    (
        [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-store"),
        ],
        patches,
    )
        .into_response()
}
