//! The frame around every page.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use crate::assets;

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
                script type="module" src=(assets::DATASTAR) {}
            }
            body { (content) }
        }
    };
    ([(header::CACHE_CONTROL, "no-store")], page).into_response()
}

/// A page that has nothing to show but what is wrong.
pub(crate) fn problem_page(detail: &str) -> Response {
    let content = html! {
        main.app {
            header.masthead { h1 { "Sorry" } }
            p.notice { (detail) }
            p.way-out { a href="/" { "Go to the start page" } }
        }
    };
    page("ironstar · sorry", &content)
}
