//! Notes for programs: JSON in, JSON out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use ironstar_domain::{LinkAccess, LinkId, OwnershipCommand, Principal};
use ironstar_web::command::owned::{LinkResponse, context_of};
use ironstar_web::command::{CommandRequest, CommandResponse};
use ironstar_web::edge::base_address::BaseAddress;
use ironstar_web::edge::cost::Cost;
use ironstar_web::edge::problem::Problem;
use ironstar_web::session::Session;
use ironstar_web::session::origin::RequestOrigin;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Notes;
use crate::note::{NoteCommand, NoteState};

/// A command on a note, as it arrives in a request. The server, not the request, determines the
/// owner of a new note and the id of a new link.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum NoteRequest {
    Create { text: String },
    Rewrite { text: String },
    CreateLink { access: LinkAccess },
    RevokeLink { link: LinkId },
}

/// A note, as programs get it.
#[derive(Debug, Serialize)]
pub(super) struct NoteResponse {
    id: Uuid,
    text: String,
    owner: Option<Principal>,
    links: Vec<LinkResponse>,
}

/// `GET /api/notes`
pub(super) async fn query(
    State(notes): State<Arc<Notes>>,
    origin: RequestOrigin,
    site: BaseAddress,
) -> Result<Json<Vec<NoteResponse>>, Problem> {
    notes.services.catch_up(&notes.model).await??;
    let (_, mine) = notes.view(&origin).read().await?;
    let links = &notes.services.links;
    let shown = mine.into_iter().map(|(id, note)| {
        let (owner, page) = (note.ownership.owner, format!("{site}/notes/{id}"));
        NoteResponse {
            id,
            text: note.text,
            owner,
            links: LinkResponse::all::<NoteState>(&note.ownership.links, links, &id, &page),
        }
    });
    Ok(Json(shown.collect()))
}

/// `POST /api/commands/note`
pub(super) async fn command(
    _: Cost,
    State(notes): State<Arc<Notes>>,
    session: Session,
    origin: RequestOrigin,
    request: CommandRequest<Uuid, NoteRequest>,
) -> Result<Json<CommandResponse>, Problem> {
    let commands = &notes.services.commands;
    let command = match request.command {
        NoteRequest::Create { ref text } => {
            request.refuse_expected_sequence()?;
            let origin = origin.in_a_browser(&session).await?;
            let context = context_of::<NoteState, _>(&request, &origin)?;
            let created = notes.create(request.id, text.clone(), &origin, &context);
            return Ok(CommandResponse::ok(created.await?));
        }
        NoteRequest::Rewrite { ref text } => NoteCommand::Rewrite { text: text.clone() },
        NoteRequest::CreateLink { access } => {
            let link = commands.next_id().into();
            OwnershipCommand::CreateLink { link, access }.into()
        }
        NoteRequest::RevokeLink { link } => OwnershipCommand::RevokeLink { link }.into(),
    };
    let context = context_of::<NoteState, _>(&request, &origin)?;
    let id = request.required_id()?;
    let changed = commands.execute_as_owner::<NoteState>(id, &command, &context);
    Ok(CommandResponse::ok(changed.await?))
}
