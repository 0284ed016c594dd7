//! Remarks for programs: JSON in, JSON out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use ironstar_app::AcceptedOnAll;
use ironstar_domain::Aggregate;
use ironstar_ports::{LogPlace, Position};
use ironstar_web::command::{CommandRequest, CommandResponse};
use ironstar_web::edge::cost::{Cost, HEAVY};
use ironstar_web::edge::problem::Problem;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Asked, Remarks};
use crate::note;
use crate::remark::{RemarkCommand, RemarkState};
use crate::remarks::{Line, lines};

/// The lines of a note, as programs get them.
#[derive(Debug, Serialize)]
pub(super) struct RemarksResponse {
    /// The answer includes all events up to this position.
    position: Position,
    place: LogPlace,
    remarks: Vec<Line>,
}

/// `GET /api/remarks?note=…&at_least=…&link=…`
pub(super) async fn query(
    State(remarks): State<Arc<Remarks>>,
    asked: Asked,
) -> Result<Json<RemarksResponse>, Problem> {
    let permit = remarks.permit(&asked).await?;
    remarks.catch_up(&asked).await??;
    let (place, lines) = remarks.lines(&asked, &permit).await?;
    Ok(Json(RemarksResponse {
        position: place.position,
        place,
        remarks: lines.into_iter().filter(|line| line.is_remark).collect(),
    }))
}

/// A command on a remark, as it arrives in a request.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum RemarkRequest {
    Create { note: Option<Uuid>, text: String },
    Rewrite { text: String },
    Close,
    Reopen,
    Delete,
}

/// `POST /api/commands/remark?link=…`
pub(super) async fn command(
    _: Cost,
    State(remarks): State<Arc<Remarks>>,
    asked: Asked,
    request: CommandRequest<Uuid, RemarkRequest>,
) -> Result<Json<CommandResponse>, Problem> {
    let context = request.context(RemarkState::TYPE, &asked.origin)?;
    let id = if let RemarkRequest::Create { .. } = request.command {
        request.refuse_expected_sequence()?;
        let new = || remarks.services.commands.next_id();
        request.id.unwrap_or_else(new)
    } else {
        *request.required_id()?
    };
    let command = match request.command {
        RemarkRequest::Create { note, text } => RemarkCommand::Create {
            note: note.unwrap_or(note::OPEN),
            text,
        },
        RemarkRequest::Rewrite { text } => RemarkCommand::Rewrite { text },
        RemarkRequest::Close => RemarkCommand::Close,
        RemarkRequest::Reopen => RemarkCommand::Reopen,
        RemarkRequest::Delete => RemarkCommand::Delete,
    };
    let accepted = remarks.service.execute(id, &command, &context).await?;
    Ok(CommandResponse::ok(accepted))
}

/// A command on all remarks on a note, whose id is that of the request.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum RemarksRequest {
    CloseAll,
}

/// The answer to a command on all remarks.
#[derive(Debug, Serialize)]
pub(super) struct ChangedResponse {
    status: &'static str,
    /// The number of remarks that the command has changed.
    changed: usize,
    position: Position,
    place: LogPlace,
}

/// `POST /api/commands/remarks?link=…`
pub(super) async fn command_on_all(
    _: Cost<HEAVY>,
    State(remarks): State<Arc<Remarks>>,
    asked: Asked,
    request: CommandRequest<Uuid, RemarksRequest>,
) -> Result<Json<ChangedResponse>, Problem> {
    let context = request.context("Remarks", &asked.origin)?;
    if context.expected.is_some() {
        let detail = "in 'expected_sequence': a command on all remarks has no such field";
        return Err(Problem::invalid("invalid-value", detail));
    }
    let note = request.id.unwrap_or(note::OPEN);
    let RemarksRequest::CloseAll = request.command;
    let on_note = async {
        remarks.services.catch_up(&remarks.model).await??;
        let (_, lines) = lines(&remarks.model, note).await?;
        let on_note = lines.into_iter().filter(|line| line.is_remark);
        Ok::<_, Problem>(on_note.map(|line| line.id).collect())
    };
    let closed = remarks.service.close_all(note, on_note, &context).await?;
    let AcceptedOnAll { changed, place } = closed;
    Ok(Json(ChangedResponse {
        status: "ok",
        changed,
        position: place.position,
        place,
    }))
}
