//! How pages look: light, dark, or as the system says. A visitor's choice, for all
//! their pages.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use datastar::prelude::PatchElements;
use maud::{Markup, html};
use serde::Deserialize;

use crate::account::news::PrivateNews;
use crate::edge::form::Form;
use crate::edge::problem::Problem;
use crate::page::layout::local;
use crate::session::{Session, Theme};

/// The route of this module.
pub(crate) fn routes(news: PrivateNews) -> Router {
    Router::new().route("/theme", post(choose)).with_state(news)
}

/// What the form holds.
#[derive(Debug, Deserialize)]
struct Choice {
    theme: String,
}

/// `POST /theme`
async fn choose(
    State(news): State<PrivateNews>,
    session: Session,
    headers: HeaderMap,
    form: Result<Form<Choice>, Problem>,
) -> Result<Response, Problem> {
    let Form(choice) = form?;
    let theme = Theme::parse(&choice.theme).ok_or_else(|| {
        Problem::invalid("invalid-value", "'theme' must be 'auto', 'light' or 'dark'")
    })?;
    session.begin().await?;
    if let Some(open) = session.change(|data| data.theme = theme).await? {
        news.has_theme(open.id, theme).await;
    }
    Ok(Redirect::to(&came_from(&headers)).into_response())
}

/// The page that a form was on, as far as its browser tells. The form does not say,
/// because it is the same on all pages, and is patched on all.
fn came_from(headers: &HeaderMap) -> String {
    let referer = headers.get(header::REFERER);
    let uri = referer.and_then(|referer| Uri::try_from(referer.as_bytes()).ok());
    let path = uri.as_ref().and_then(Uri::path_and_query);
    local(path.map_or("/", |path| path.as_str())).to_owned()
}

/// The theme that is chosen, and the others to choose from. The style sheet goes by
/// its `data-theme`.
pub(crate) fn draw(theme: Theme) -> Markup {
    html! {
        form #themes .themes action="/theme" method="post" aria-label="Colors"
            data-theme=(theme.name()) {
            @for choice in Theme::ALL {
                button name="theme" value=(choice.name()) aria-pressed=(choice == theme) {
                    (choice.label())
                }
            }
        }
    }
}

/// What has a page look so.
pub(crate) fn patch(theme: Theme) -> PatchElements {
    PatchElements::new(draw(theme).into_string())
}

impl Theme {
    fn label(self) -> &'static str {
        match self {
            Self::Auto => "Auto",
            Self::Light => "Light",
            Self::Dark => "Dark",
        }
    }
}
