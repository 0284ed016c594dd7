//! The notes of a visitor: their page and its live stream, and in `program` the commands and
//! queries for programs.

mod program;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use futures::StreamExt;
use ironstar_app::{Accepted, CommandContext, ReadModel};
use ironstar_domain::{Aggregate, Principal};
use ironstar_web::account::news::PrivateNews;
use ironstar_web::command::keyed;
use ironstar_web::edge::cost::Cost;
use ironstar_web::edge::form::Form;
use ironstar_web::edge::problem::Problem;
use ironstar_web::page::layout::{self, Frame};
use ironstar_web::session::origin::RequestOrigin;
use ironstar_web::session::{Session, drawn_for};
use ironstar_web::stream::live::LiveViews;
use ironstar_web::stream::sse::LastEventId;
use ironstar_web::{Feature, Navigation, Services};
use maud::html;
use uuid::Uuid;

use super::asked::TextForm;
use crate::note::{NoteCommand, NoteState};
use crate::notes::NoteProjection;
use view::{NotesView, draw};

/// The notes of a visitor, as they register with the site.
pub(super) fn feature() -> Feature {
    Feature::new(routes).with_navigation(&[Navigation {
        address: "/notes",
        label: "My notes",
    }])
}

fn routes(services: &Services, news: &PrivateNews) -> Router {
    let model = services.projections.model();
    let notes = Notes {
        views: LiveViews::new(model.clone()),
        model,
        services: services.clone(),
        news: news.clone(),
    };
    Router::new()
        .route("/notes", get(page).post(create))
        .route("/api/notes", get(program::query))
        .route("/api/commands/note", post(program::command))
        .route(
            "/api/sse/notes",
            get(stream).layer(from_fn(drawn_for::check)),
        )
        .with_state(Arc::new(notes))
}

#[derive(Debug)]
struct Notes {
    model: ReadModel<NoteProjection>,
    views: LiveViews<Vec<Principal>, NotesView>,
    services: Services,
    news: PrivateNews,
}

impl Notes {
    /// The notes of a visitor.
    fn view(&self, origin: &RequestOrigin) -> NotesView {
        NotesView {
            owners: origin.caller.principals().to_vec(),
            model: self.model.clone(),
        }
    }

    /// Creates a note of the caller, who needs a session to be recognized as its owner later.
    async fn create(
        &self,
        id: Option<Uuid>,
        text: String,
        origin: &RequestOrigin,
        context: &CommandContext,
    ) -> Result<Accepted, Problem> {
        let commands = &self.services.commands;
        let id = id.unwrap_or_else(|| commands.next_id());
        let owner = Some(origin.owner()?);
        let create = NoteCommand::Create { text, owner };
        let created = commands.create_owned::<NoteState>(&id, &create, context);
        Ok(created.await?)
    }
}

/// `GET /notes`
async fn page(
    State(notes): State<Arc<Notes>>,
    origin: RequestOrigin,
    frame: Frame,
) -> Result<Response, Problem> {
    notes.services.catch_up(&notes.model).await??;
    let (place, mine) = notes.view(&origin).read().await?;
    let key = notes.services.commands.next_id().to_string();
    let content = html! {
        main.page {
            (layout::connection(&frame, "/api/sse/notes", place.into()))
            (draw(&mine))
            (TextForm::draw("New note", &key))
        }
    };
    Ok(layout::page(&frame, "notes", &content))
}

/// `POST /notes`
async fn create(
    _: Cost,
    State(notes): State<Arc<Notes>>,
    session: Session,
    origin: RequestOrigin,
    form: Result<Form<TextForm>, Problem>,
) -> Result<Response, Problem> {
    let Form(TextForm { text, key }) = form?;
    let origin = origin.in_a_browser(&session).await?;
    let context = keyed(&(NoteState::TYPE, &text), origin.key_or(&key)?, &origin)?;
    let created = notes.create(None, text, &origin, &context).await?;
    Ok(Redirect::to(&format!("/notes/{}", created.aggregate_id)).into_response())
}

/// `GET /api/sse/notes`
async fn stream(
    State(notes): State<Arc<Notes>>,
    session: Session,
    origin: RequestOrigin,
    seen: LastEventId,
) -> Result<Response, Problem> {
    notes.services.settle(&notes.model).await?;
    let view = notes.view(&origin);
    let view = notes.views.open(&view.owners.clone(), || view).await;
    let frames = view.watch(seen.seen(&notes.services.feed).await);
    let frames = frames.map(|(_, frame)| frame).boxed();
    Ok(notes.news.stream(&session, frames, Vec::new()).await?)
}
