//! The pages: a list of todos, whole or in part.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::response::Response;
use ironstar_app::todo::Show;
use ironstar_domain::Access;
use ironstar_domain::list::ListId;
use ironstar_ports::{LogPlace, Position};

use super::heading::Heading;
use super::live::cut;
use super::location::{Asked, Location, parse_show};
use super::owner::Panel;
use super::view::{self, Refused, Shown};
use super::{Home, Todos, no_such_list};
use crate::edge::base_address::BaseAddress;
use crate::edge::problem::Problem;
use crate::page::layout::Frame;
use crate::session::origin::RequestOrigin;

/// The visitor who asks for a page, and what every page needs of the request.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) frame: Frame,
    pub(super) origin: RequestOrigin,
    /// The address of the site, for links that visitors pass on.
    pub(super) address: BaseAddress,
}

/// `GET /`
pub(super) async fn home(
    State(todos): State<Arc<Todos>>,
    reader: Reader,
    asked: Asked,
) -> Result<Response, Problem> {
    let list = match todos.home {
        Home::Shared => ListId::SHARED,
        Home::Own => match todos.first_list(&reader.origin.caller).await? {
            Some(list) => list,
            None => return todos.first_page(&reader, None).await,
        },
    };
    show(&todos, &reader, list, Show::All, asked).await
}

/// `GET /active`
pub(super) async fn shared_active(
    State(todos): State<Arc<Todos>>,
    reader: Reader,
    asked: Asked,
) -> Result<Response, Problem> {
    show(&todos, &reader, ListId::SHARED, Show::Active, asked).await
}

/// `GET /completed`
pub(super) async fn shared_completed(
    State(todos): State<Arc<Todos>>,
    reader: Reader,
    asked: Asked,
) -> Result<Response, Problem> {
    show(&todos, &reader, ListId::SHARED, Show::Completed, asked).await
}

/// `GET /lists/{id}`
pub(super) async fn list(
    State(todos): State<Arc<Todos>>,
    path: Result<Path<ListId>, PathRejection>,
    reader: Reader,
    asked: Asked,
) -> Result<Response, Problem> {
    let Path(list) = path.map_err(|_| Problem::no_such_page())?;
    show(&todos, &reader, list, Show::All, asked).await
}

/// `GET /lists/{id}/{show}`
pub(super) async fn list_part(
    State(todos): State<Arc<Todos>>,
    path: Result<Path<(ListId, String)>, PathRejection>,
    reader: Reader,
    asked: Asked,
) -> Result<Response, Problem> {
    let Path((list, part)) = path.map_err(|_| Problem::no_such_page())?;
    let part = parse_show(&part).filter(|show| *show != Show::All);
    let part = part.ok_or_else(Problem::no_such_page)?;
    show(&todos, &reader, list, part, asked).await
}

async fn show(
    todos: &Todos,
    reader: &Reader,
    list: ListId,
    show: Show,
    asked: Asked,
) -> Result<Response, Problem> {
    let location = Location {
        list,
        show,
        ..asked.location
    };
    draw(todos, reader, location, asked.at_least, None).await
}

/// The page of a location. After a refusal it shows the reason and the typed text.
pub(super) async fn draw(
    todos: &Todos,
    reader: &Reader,
    location: Location,
    at_least: Option<LogPlace>,
    refused: Option<&Refused>,
) -> Result<Response, Problem> {
    let origin = reader.origin.clone();
    let origin = origin.by_link(&todos.services.links, location.link);
    let permit = todos.permit(location.list, &origin.caller).await?;
    let access = permit.access();
    let permit = permit.demanding(access);
    let location = location.for_access(access);
    let behind = todos.catch_up(location.list, at_least).await?;
    let (as_of, heading, panel) = match location.list {
        ListId::SHARED => (Position::START, Heading::shared(), None),
        list => match todos.lists.list(list).await? {
            (as_of, Some(list)) => (
                as_of.position,
                Heading::of(&list, location),
                (access == Access::Own).then(|| {
                    let key = todos.services.commands.next_id().to_string();
                    Panel::of(&list, &todos.services.links, &reader.address, key)
                }),
            ),
            // The list does not exist, or the read model does not have it yet.
            (_, None) => {
                return Err(behind.err().map_or_else(no_such_list, Problem::from));
            }
        },
    };
    let cut = cut(&todos.views, todos.service.lists(), location).await?;
    // The visitor may have lost the right to the list before the events that were read.
    let as_of = as_of.max(cut.page.place.position);
    if !(permit.holds_at(as_of).await && permit.holds_by_now().await) {
        return Err(no_such_list());
    }
    let page = view::Page {
        frame: &reader.frame,
        heading: &heading,
        panel: panel.as_ref(),
        shown: &Shown { location, cut },
        key: &todos.services.commands.next_id().to_string(),
        is_behind: behind.is_err(),
        refused,
    };
    Ok(page.draw())
}

impl<S: Send + Sync> FromRequestParts<S> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let origin = RequestOrigin::from_request_parts(parts, state).await?;
        let Ok(frame) = Frame::from_request_parts(parts, state).await;
        let Ok(address) = BaseAddress::from_request_parts(parts, state).await;
        Ok(Self {
            frame,
            origin,
            address,
        })
    }
}
