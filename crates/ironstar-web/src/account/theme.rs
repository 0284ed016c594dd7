//! A visitor's choice of light or dark pages, for all their pages.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use serde::Deserialize;

use crate::account::news::PrivateNews;
use crate::edge::cost::Cost;
use crate::edge::form::Form;
use crate::edge::problem::Problem;
use crate::edge::return_to::local;
use crate::session::{Session, Theme};

/// The route of this module.
pub(crate) fn routes(news: PrivateNews) -> Router {
    Router::new().route("/theme", post(choose)).with_state(news)
}

/// The fields of the form.
#[derive(Debug, Deserialize)]
struct Choice {
    theme: String,
}

/// `POST /theme`
async fn choose(
    _: Cost,
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

/// The page of the form, as far as the browser names it. The form has no field for it, because
/// the form is the same on all pages, and is patched on all.
fn came_from(headers: &HeaderMap) -> String {
    let referer = headers.get(header::REFERER);
    let uri = referer.and_then(|referer| Uri::try_from(referer.as_bytes()).ok());
    let path = uri.as_ref().and_then(Uri::path_and_query);
    local(path.map_or("/", |path| path.as_str())).to_owned()
}
