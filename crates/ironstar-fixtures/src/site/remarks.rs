//! A note with its remarks: the page and its live stream, and in `program` the commands and
//! queries for programs.

mod program;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use ironstar_app::ReadModel;
use ironstar_app::access::{Permit, Resource};
use ironstar_app::caller::Links;
use ironstar_app::projection::Behind;
use ironstar_domain::{Access, Aggregate};
use ironstar_ports::LogPlace;
use ironstar_web::account::news::PrivateNews;
use ironstar_web::command::keyed;
use ironstar_web::edge::cost::Cost;
use ironstar_web::edge::form::Form;
use ironstar_web::edge::problem::Problem;
use ironstar_web::page::kit::Banner;
use ironstar_web::page::layout::{self, Frame};
use ironstar_web::page::notice;
use ironstar_web::session::{Session, drawn_for};
use ironstar_web::stream::guard::guarded;
use ironstar_web::stream::live::LiveViews;
use ironstar_web::stream::sse::LastEventId;
use ironstar_web::{Feature, Services};
use maud::html;
use uuid::Uuid;

use super::asked::{Asked, TextForm};
use crate::note::{NoteError, NoteState};
use crate::remark::{RemarkCommand, RemarkState};
use crate::remarks::{Line, RemarkProjection, RemarkService, lines};
use view::{NoteView, draw};

/// Notes with their remarks, as they register with the site.
pub(super) fn feature() -> Feature {
    Feature::new(routes)
}

fn routes(services: &Services, news: &PrivateNews) -> Router {
    let model = services.projections.model();
    let remarks = Remarks {
        service: RemarkService(services.commands.clone()),
        views: LiveViews::new(model.clone()),
        model,
        services: services.clone(),
        news: news.clone(),
    };
    Router::new()
        .route("/", get(page).post(create))
        .route("/notes/{note}", get(page).post(create))
        .route("/api/remarks", get(program::query))
        .route("/api/commands/remark", post(program::command))
        .route("/api/commands/remarks", post(program::command_on_all))
        .route(
            "/api/sse/notes/{note}",
            get(stream).layer(from_fn(drawn_for::check)),
        )
        .with_state(Arc::new(remarks))
}

/// The shared state of the handlers.
#[derive(Debug)]
pub(super) struct Remarks {
    service: RemarkService,
    model: ReadModel<RemarkProjection>,
    views: LiveViews<Uuid, NoteView>,
    services: Services,
    news: PrivateNews,
}

impl Remarks {
    pub(super) fn links(&self) -> &Links {
        &self.services.links
    }

    /// The caller's permit to read a note. Without that right, the note does not exist for the
    /// caller. The permit also ends when the caller may do less than now.
    async fn permit(&self, asked: &Asked) -> Result<Permit, Problem> {
        let note = Resource::of::<NoteState>(&asked.note);
        let caller = asked.origin.caller.clone();
        let permit = self.services.gates.permit(&note, caller, Access::Read);
        let permit = permit.await?.ok_or_else(no_such_note)?;
        let access = permit.access();
        Ok(permit.demanding(access))
    }

    /// Waits until the read model includes all that a request asks for. The inner error says that
    /// it did not get there in time.
    async fn catch_up(&self, asked: &Asked) -> Result<Result<(), Behind>, Problem> {
        let position = self.services.wanted(asked.at_least).await??;
        Ok(self.model.reach(position, Services::CATCH_UP).await)
    }

    /// The lines of a note, for a caller who still may read them.
    async fn lines(
        &self,
        asked: &Asked,
        permit: &Permit,
    ) -> Result<(LogPlace, Vec<Line>), Problem> {
        let (place, lines) = lines(&self.model, asked.note).await?;
        // The caller may have lost the right to the note before the events that were read.
        if !(permit.holds_at(place.position).await && permit.holds_by_now().await) {
            return Err(no_such_note());
        }
        Ok((place, lines))
    }
}

fn no_such_note() -> Problem {
    Problem::refused(&NoteError::NotFound)
}

/// `GET /` and `GET /notes/{note}`
async fn page(
    State(remarks): State<Arc<Remarks>>,
    asked: Asked,
    frame: Frame,
) -> Result<Response, Problem> {
    let permit = remarks.permit(&asked).await?;
    let behind = remarks.catch_up(&asked).await?;
    let (place, lines) = remarks.lines(&asked, &permit).await?;
    let key = remarks.services.commands.next_id().to_string();
    let content = html! {
        main.page {
            (layout::connection(&frame, &asked.at("/api/sse/notes"), place.into()))
            (notice::notices(None))
            @if behind.is_err() {
                (Banner::Note.draw("This page may be out of date: the newest changes are still being processed."))
            }
            (draw(&lines))
            @if permit.access() >= Access::Edit { (TextForm::draw("New remark", &key)) }
        }
    };
    Ok(layout::page(&frame, "note", &content))
}

/// `POST /` and `POST /notes/{note}`: a form without a text creates nothing, and is no error.
async fn create(
    _: Cost,
    State(remarks): State<Arc<Remarks>>,
    asked: Asked,
    session: Session,
    form: Result<Form<TextForm>, Problem>,
) -> Result<Response, Problem> {
    let Form(TextForm { text, key }) = form?;
    let back = Redirect::to(&asked.at("/notes")).into_response();
    if text.trim().is_empty() {
        return Ok(back);
    }
    let note = asked.note;
    let origin = asked.origin.in_a_browser(&session).await?;
    let asked = (RemarkState::TYPE, note, &text);
    let context = keyed(&asked, origin.key_or(&key)?, &origin)?;
    let id = remarks.services.commands.next_id();
    let create = RemarkCommand::Create { note, text };
    let created = remarks.service.execute(id, &create, &context).await;
    let created = created.map_err(Problem::from);
    // The visitor's other pages show the refusal, too.
    if let Some(session) = session.id().await? {
        match &created {
            Ok(_) => remarks.news.was_carried_out(session).await,
            Err(problem) => remarks.news.was_refused(session, problem.detail()).await,
        }
    }
    created.map(|_| back)
}

/// `GET /api/sse/notes/{note}`
async fn stream(
    State(remarks): State<Arc<Remarks>>,
    asked: Asked,
    session: Session,
    seen: LastEventId,
) -> Result<Response, Problem> {
    let (note, model) = (asked.note, remarks.model.clone());
    let permit = remarks.permit(&asked).await?;
    remarks.services.settle(&model).await?;
    let view = remarks.views.open(&note, || NoteView { note, model }).await;
    let frames = view.watch(seen.seen(&remarks.services.feed).await);
    let frames = guarded(frames, permit);
    Ok(remarks.news.stream(&session, frames, Vec::new()).await?)
}
