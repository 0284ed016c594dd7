//! The notices on a page, such as the reason for a refusal. Datastar gets a notice as a patch
//! in an answer of 200, because it ignores the bodies of all other answers.

use axum::http::HeaderMap;
use datastar::prelude::PatchElements;
use maud::{Markup, html};

use crate::stream::sse;

/// Returns true if Datastar has sent a request, and false for a plain form.
pub fn is_datastar(headers: &HeaderMap) -> bool {
    headers.contains_key("datastar-request")
}

/// The notices of a page: a refusal, an error without an answer from this server
/// (`commands.js`), a command that is not sent yet, and the place of a new entry.
pub fn notices(refusal: Option<&str>) -> Markup {
    html! {
        (notice(refusal))
        p #failed .notice role="alert" {}
        p #pending .notice.good role="status" {}
        (good_news(None))
    }
}

/// The notice that leads to a new entry on another page. It is usually empty.
fn good_news(address: Option<&str>) -> Markup {
    html! {
        p #news .notice.good role="status" {
            @if let Some(address) = address {
                "Added to the end of the list. " a href=(address) { "Show it" }
            }
        }
    }
}

/// The frame that shows that a new entry is on another page, and links to it.
pub fn added(address: &str) -> String {
    let news = good_news(Some(address)).into_string();
    sse::datastar_frame(PatchElements::new(news), None)
}

/// The notice with the reason for a refusal. It is empty if nothing was refused.
fn notice(refusal: Option<&str>) -> Markup {
    html! {
        p #notice .notice role="alert" { (refusal.unwrap_or_default()) }
    }
}

/// The frame that removes both notices after a successful command.
pub fn carried_out() -> String {
    let both = html! { (notice(None)) (good_news(None)) };
    sse::datastar_frame(PatchElements::new(both.into_string()), None)
}

/// The frames that show the reason for a refusal, and name the refused command by the key that
/// the page has given to it.
pub fn refused(refusal: &str, key: Option<&str>) -> String {
    let key = format!("key {}", key.unwrap_or_default());
    refused_elsewhere(refusal) + &sse::frame("datastar-refused", [key], None)
}

/// The frame that shows why another page's command was refused.
pub(crate) fn refused_elsewhere(refusal: &str) -> String {
    patch(Some(refusal))
}

/// The frame that removes the notice about another page's command.
pub fn carried_out_elsewhere() -> String {
    patch(None)
}

fn patch(refusal: Option<&str>) -> String {
    sse::datastar_frame(PatchElements::new(notice(refusal).into_string()), None)
}
