//! Todos for programs: JSON in, JSON out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use ironstar_app::AcceptedOnAll;
use ironstar_app::todo::{ListWide, TodoCounts, TodoItem};
use ironstar_domain::Aggregate;
use ironstar_domain::list::ListId;
use ironstar_domain::todo::{TodoCommand, TodoId, TodoState};
use ironstar_ports::{LogPlace, Position};
use serde::{Deserialize, Serialize};

use super::location::Asked;
use super::{Todos, no_such_list};
use crate::command::{CommandRequest, CommandResponse};
use crate::edge::cost::{Cost, HEAVY};
use crate::edge::problem::Problem;
use crate::session::origin::RequestOrigin;

/// The default number of todos in an answer.
const LIMIT: usize = 100;

/// A part of a list.
#[derive(Debug, Serialize)]
pub(super) struct QueryResponse {
    /// The answer includes all events up to this position.
    position: Position,
    /// The same position, as a place.
    place: LogPlace,
    list: ListId,
    counts: TodoCounts,
    todos: Vec<TodoItem>,
    /// The value of `after` for the next page, if there is one.
    next: Option<Position>,
}

/// `GET /api/todos?list=…&show=…&after=…&limit=…&at_least=…&link=…`
pub(super) async fn query(
    State(todos): State<Arc<Todos>>,
    origin: RequestOrigin,
    asked: Asked,
) -> Result<Json<QueryResponse>, Problem> {
    let list = asked.location.list;
    let origin = origin.by_link(&todos.services.links, asked.location.link);
    let permit = todos.permit(list, &origin.caller).await?;
    if let Err(behind) = todos.catch_up(list, asked.at_least).await? {
        return Err(behind.into());
    }
    let page = todos
        .page(asked.location, asked.limit.unwrap_or(LIMIT))
        .await?;
    // The caller may have lost the right to the list before the events that were read.
    if !permit.holds_at(page.place.position).await {
        return Err(no_such_list());
    }
    Ok(Json(QueryResponse {
        position: page.place.position,
        place: page.place,
        list,
        counts: page.counts,
        todos: page.todos,
        next: page.next,
    }))
}

/// `POST /api/commands/todo?link=…`
pub(super) async fn command(
    _: Cost,
    State(todos): State<Arc<Todos>>,
    origin: RequestOrigin,
    asked: Asked,
    request: CommandRequest<TodoId, TodoCommand>,
) -> Result<Json<CommandResponse>, Problem> {
    let origin = origin.by_link(&todos.services.links, asked.location.link);
    let context = request.context(TodoState::TYPE, &origin)?;
    if matches!(request.command, TodoCommand::Create { .. }) {
        request.refuse_expected_sequence()?;
    }
    let id = match (request.id, &request.command) {
        (Some(id), _) => id,
        (None, TodoCommand::Create { .. }) => todos.service.next_id(),
        (
            None,
            TodoCommand::Rename { .. }
            | TodoCommand::Complete
            | TodoCommand::Reopen
            | TodoCommand::Delete,
        ) => {
            let detail = "the 'id' of the todo is missing";
            return Err(Problem::invalid("invalid-value", detail));
        }
    };
    let accepted = todos
        .service
        .execute(id, &request.command, &context)
        .await?;
    Ok(CommandResponse::ok(accepted))
}

/// A command on all todos of a list, as a program sends it.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ListWideCommand {
    CompleteAll,
    ReopenAll,
    ClearCompleted,
}

/// The answer to a command on all todos of a list.
#[derive(Debug, Serialize)]
pub(super) struct ListWideResponse {
    status: &'static str,
    /// The number of todos that the command has changed.
    changed: usize,
    position: Position,
    place: LogPlace,
}

/// `POST /api/commands/todos?link=…`
pub(super) async fn command_on_list(
    _: Cost<HEAVY>,
    State(todos): State<Arc<Todos>>,
    origin: RequestOrigin,
    asked: Asked,
    request: CommandRequest<ListId, ListWideCommand>,
) -> Result<Json<ListWideResponse>, Problem> {
    let origin = origin.by_link(&todos.services.links, asked.location.link);
    let context = request.context("Todo list", &origin)?;
    if context.expected.is_some() {
        let detail = "in 'expected_sequence': a command on many todos has no such field";
        return Err(Problem::invalid("invalid-value", detail));
    }
    let list = request.id.unwrap_or_default();
    let command = match request.command {
        ListWideCommand::CompleteAll => ListWide::CompleteAll,
        ListWideCommand::ReopenAll => ListWide::ReopenAll,
        ListWideCommand::ClearCompleted => ListWide::ClearCompleted,
    };
    let AcceptedOnAll { changed, place } = todos
        .service
        .execute_on_list(list, command, &context)
        .await?;
    Ok(Json(ListWideResponse {
        status: "ok",
        changed,
        position: place.position,
        place,
    }))
}
