//! The frame around every page.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use crate::kit::Banner;
use crate::sse::EventId;
use crate::{assets, icon};

/// A whole page.
pub(crate) fn page(title: &str, content: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (title) }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" href=(assets::ICON) type="image/svg+xml";
                link rel="stylesheet" href=(assets::STYLE);
                script type="module" src=(assets::SCRIPT) {}
            }
            body {
                (content)
                (icon::drawings())
            }
        }
    };
    ([(header::CACHE_CONTROL, "no-store")], page).into_response()
}

/// Sends what `page.js` asks for.
pub(crate) const SEND: &str = "evt.detail.answer = @post(evt.detail.action, evt.detail.options)";

/// How the browser opens a stream: for ever, and not all browsers in the same
/// moment.
fn open(stream: &str, headers: &str) -> String {
    format!(
        "@get('{stream}', {{{headers}retry: 'always', retryInterval: 300 + 700 * Math.random(), \
         retryMaxWait: 5000, retryMaxCount: Infinity}})"
    )
}

/// Keeps a page up to date by a stream, from what the page shows;
/// and says so if that does not work.
pub(crate) fn connection(stream: &str, seen: EventId) -> Markup {
    let from_here = open(stream, &format!("headers: {{'last-event-id': '{seen}'}}, "));
    html! {
        p #connection .banner.alert role="status" data-lost="Connection lost. Trying again…"
            data-init=(from_here) data-on:reopen=(open(stream, "")) {}
    }
}

/// A page that has nothing to show but what is wrong.
pub(crate) fn problem_page(detail: &str) -> Response {
    let content = html! {
        main.page {
            header.masthead { (icon::star()) h1 { "Sorry" } }
            (Banner::Alert.draw(detail))
            p.way-out { a href="/" { "Go to the start page" } }
        }
    };
    page("ironstar · sorry", &content)
}
