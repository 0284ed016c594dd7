//! Where a page says why something was refused, and how Datastar is told: by a
//! patch on a 200, because it ignores the bodies of all other answers.

use axum::http::HeaderMap;
use datastar::prelude::PatchElements;
use maud::{Markup, html};

use crate::stream::sse;

/// Whether Datastar has sent a request, and not a plain form.
pub(crate) fn is_datastar(headers: &HeaderMap) -> bool {
    headers.contains_key("datastar-request")
}

/// Where a page says what did not work: a refusal, and an answer that does not
/// come from here (`page.js`); what is not sent yet; and where to find what is new.
pub(crate) fn notices(refusal: Option<&str>) -> Markup {
    html! {
        (notice(refusal))
        p #failed .notice role="alert" {}
        p #pending .notice.good role="status" {}
        (good_news(None))
    }
}

/// Where something has gone that the page does not show; nothing mostly.
fn good_news(address: Option<&str>) -> Markup {
    html! {
        p #news .notice.good role="status" {
            @if let Some(address) = address {
                "Added to the end of the list. " a href=(address) { "Show it" }
            }
        }
    }
}

/// What shows that something new is on another page, and leads there.
pub(crate) fn added(address: &str) -> String {
    let news = good_news(Some(address)).into_string();
    sse::datastar_frame(PatchElements::new(news), None)
}

/// Why something was refused; empty if nothing was.
fn notice(refusal: Option<&str>) -> Markup {
    html! {
        p #notice .notice role="alert" { (refusal.unwrap_or_default()) }
    }
}

/// What shows that nothing was refused, and that what was new has been seen.
pub(crate) fn carried_out() -> String {
    let both = html! { (notice(None)) (good_news(None)) };
    sse::datastar_frame(PatchElements::new(both.into_string()), None)
}

/// What shows why something was refused, and tells the page which of its commands
/// it was, by the key that the page has given to it.
pub(crate) fn refused(refusal: &str, key: Option<&str>) -> String {
    let key = format!("key {}", key.unwrap_or_default());
    refused_elsewhere(refusal) + &sse::frame("datastar-refused", [key], None)
}

/// What shows why something was refused that another page has asked for.
pub(crate) fn refused_elsewhere(refusal: &str) -> String {
    patch(Some(refusal))
}

/// What shows that nothing was refused of what another page has asked for.
pub(crate) fn carried_out_elsewhere() -> String {
    patch(None)
}

fn patch(refusal: Option<&str>) -> String {
    sse::datastar_frame(PatchElements::new(notice(refusal).into_string()), None)
}
