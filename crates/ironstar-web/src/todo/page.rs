//! The pages: a list of todos, whole or in part.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use ironstar_app::todo::Show;
use ironstar_domain::ListId;

use super::Todos;
use super::heading::Heading;
use super::live::cut;
use super::location::{Asked, Location, parse_show};
use super::view::{self, Refused, Shown};
use crate::problem::Problem;

/// `GET /`
pub(super) async fn shared(
    State(todos): State<Arc<Todos>>,
    asked: Asked,
) -> Result<Response, Problem> {
    show(&todos, ListId::SHARED, Show::All, asked).await
}

/// `GET /active`
pub(super) async fn shared_active(
    State(todos): State<Arc<Todos>>,
    asked: Asked,
) -> Result<Response, Problem> {
    show(&todos, ListId::SHARED, Show::Active, asked).await
}

/// `GET /completed`
pub(super) async fn shared_completed(
    State(todos): State<Arc<Todos>>,
    asked: Asked,
) -> Result<Response, Problem> {
    show(&todos, ListId::SHARED, Show::Completed, asked).await
}

/// `GET /lists/{id}`
pub(super) async fn list(
    State(todos): State<Arc<Todos>>,
    path: Result<Path<ListId>, PathRejection>,
    asked: Asked,
) -> Result<Response, Problem> {
    let Path(list) = path.map_err(|_| Problem::no_such_page())?;
    show(&todos, list, Show::All, asked).await
}

/// `GET /lists/{id}/{show}`
pub(super) async fn list_part(
    State(todos): State<Arc<Todos>>,
    path: Result<Path<(ListId, String)>, PathRejection>,
    asked: Asked,
) -> Result<Response, Problem> {
    let Path((list, part)) = path.map_err(|_| Problem::no_such_page())?;
    let part = parse_show(&part).filter(|show| *show != Show::All);
    show(&todos, list, part.ok_or_else(Problem::no_such_page)?, asked).await
}

async fn show(todos: &Todos, list: ListId, show: Show, asked: Asked) -> Result<Response, Problem> {
    let location = Location {
        list,
        show,
        after: asked.location.after,
    };
    let behind = todos.catch_up(list, asked.at_least).await?;
    draw(todos, location, behind.is_err(), None).await
}

/// The page of a location, with what was typed and why it was refused, if so.
pub(super) async fn draw(
    todos: &Todos,
    location: Location,
    is_behind: bool,
    refused: Option<&Refused>,
) -> Result<Response, Problem> {
    let heading = match location.list {
        ListId::SHARED => Heading::shared(),
        list => match todos.lists.list(list).await? {
            Some(list) => Heading::of(&list),
            None => return Err(Problem::no_such_list()),
        },
    };
    let cut = cut(&todos.views, todos.service.lists(), location).await?;
    let shown = Shown { location, cut };
    let key = todos.services.commands.next_id().to_string();
    Ok(view::page(&heading, &shown, &key, is_behind, refused))
}
