//! How pages look: light, dark, or as the system says. A visitor's choice, for all
//! their pages.

use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use datastar::prelude::PatchElements;
use maud::{Markup, html};
use serde::Deserialize;

use crate::layout::local;
use crate::private::PrivateNews;
use crate::problem::Problem;
use crate::session::{Session, Theme};

/// The route of this module.
pub(crate) fn routes(news: PrivateNews) -> Router {
    Router::new().route("/theme", post(choose)).with_state(news)
}

/// What the form holds.
#[derive(Debug, Deserialize)]
struct Choice {
    theme: String,
    /// Where to go then.
    #[serde(default)]
    then: String,
}

/// `POST /theme`
async fn choose(
    State(news): State<PrivateNews>,
    session: Session,
    form: Result<Form<Choice>, FormRejection>,
) -> Result<Response, Problem> {
    let Form(choice) = form?;
    let theme = Theme::parse(&choice.theme).ok_or_else(|| {
        Problem::invalid("invalid-value", "'theme' must be 'auto', 'light' or 'dark'")
    })?;
    session.begin().await?;
    if let Some(open) = session.change(|data| data.theme = theme).await? {
        news.has_theme(open.id, theme).await;
    }
    Ok(Redirect::to(local(&choice.then)).into_response())
}

/// The theme that is chosen, and the others to choose from. The style sheet goes by
/// its `data-theme`.
pub(crate) fn draw(theme: Theme, here: &str) -> Markup {
    html! {
        form.themes action="/theme" method="post" role="group" aria-label="Colors" {
            (mark(theme))
            input type="hidden" name="then" value=(here);
            @for choice in Theme::ALL {
                button name="theme" value=(choice.name()) { (choice.label()) }
            }
        }
    }
}

/// What says which theme is chosen.
fn mark(theme: Theme) -> Markup {
    html! { span #theme data-theme=(theme.name()) hidden {} }
}

/// What has a page look so.
pub(crate) fn patch(theme: Theme) -> PatchElements {
    PatchElements::new(mark(theme).into_string())
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
