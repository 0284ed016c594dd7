//! The todo's routes: pages, forms, live streams, and commands and queries for programs.
//!
//! All of them call the same use cases. A browser without JavaScript posts a form and is
//! redirected to the page. Datastar posts the same form and gets patches. A program posts
//! JSON and gets JSON.

mod first;
mod form;
mod heading;
mod live;
mod location;
mod owner;
mod page;
mod parts;
mod presence;
mod program;
mod view;
mod window;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::{get, post};
use futures::StreamExt;
use ironstar_app::access::{Permit, Resource};
use ironstar_app::projection::{Behind, ReadError};
use ironstar_app::todo::{ListWideError, TodoLists, TodoPage};
use ironstar_app::{Caller, ListService, TodoService};
use ironstar_domain::Access;
use ironstar_domain::list::{ListError, ListId, ListState};
use ironstar_ports::LogPlace;

use crate::account::news::PrivateNews;
use crate::edge::base_address::BaseAddress;
use crate::edge::problem::Problem;
use crate::feature::Feature;
use crate::services::Services;
use crate::session::Session;
use crate::session::drawn_for;
use crate::session::origin::RequestOrigin;
use crate::site::SiteName;
use crate::stream::guard::{guarded, guarded_side};
use crate::stream::latest::Side;
use crate::stream::live::LiveViews;
use crate::stream::sse::LastEventId;

use heading::Headings;
use live::TodoView;
use location::{Asked, Location};
use presence::Presence;

/// The content of the start page.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Home {
    /// The list that everyone shares.
    #[default]
    Shared,
    /// The visitor's own list.
    Own,
}

/// The todo, as it registers.
pub(super) fn feature(home: Home) -> Feature {
    Feature::new(move |services, news| routes(services, news, home))
}

fn routes(services: &Services, news: &PrivateNews, home: Home) -> Router {
    let model = services.projections.model();
    let todos = TodoLists::new(model.clone());
    let lists = ListService::new(services.commands.clone(), services.projections.model());
    let todos = Arc::new(Todos {
        service: TodoService::new(services.commands.clone(), todos),
        headings: Headings::new(lists.clone(), services.links.clone(), services.feed.clone()),
        lists,
        services: services.clone(),
        views: LiveViews::new(model),
        presence: Presence::new(view::presence),
        news: news.clone(),
        home,
    });
    Router::new()
        .route("/", get(page::home))
        .route("/active", get(page::shared_active))
        .route("/completed", get(page::shared_completed))
        .route("/lists/{id}", get(page::list))
        .route("/lists/{id}/{word}", get(page::list_part))
        .route("/first", post(form::create_first))
        .route("/todos", post(form::create))
        .route("/todos/{action}", post(form::act_on_list))
        .route("/todos/{id}/{action}", post(form::act))
        .route("/api/todos", get(program::query))
        .route("/api/commands/todo", post(program::command))
        .route("/api/commands/todos", post(program::command_on_list))
        .route("/api/sse/todos", get(live).layer(from_fn(drawn_for::check)))
        .route(
            "/api/sse/first",
            get(first::stream).layer(from_fn(drawn_for::check)),
        )
        .with_state(todos)
}

/// The shared state of the handlers.
#[derive(Debug)]
struct Todos {
    service: TodoService,
    lists: ListService,
    services: Services,
    views: LiveViews<Location, TodoView>,
    headings: Headings,
    presence: Presence,
    news: PrivateNews,
    home: Home,
}

impl Todos {
    /// Waits until the read models include all events up to a place, or all that are stored
    /// now. So a visitor sees a change that they have just made. The inner error says that
    /// the read models did not get there in time.
    async fn catch_up(
        &self,
        list: ListId,
        at_least: Option<LogPlace>,
    ) -> Result<Result<(), Behind>, Problem> {
        let position = self.services.wanted(at_least).await??;
        let todos = self.service.lists().reach(position, Services::CATCH_UP);
        if list.is_shared() {
            return Ok(todos.await);
        }
        let (todos, lists) = tokio::join!(
            todos,
            self.lists.model().reach(position, Services::CATCH_UP)
        );
        Ok(todos.and(lists))
    }

    /// The caller's permit to read a list. Without that right, the list does not exist for
    /// the caller (404).
    async fn permit(&self, list: ListId, caller: &Caller) -> Result<Permit, Problem> {
        let gates = &self.services.gates;
        let list = Resource::of::<ListState>(&list);
        let permit = gates.permit(&list, caller.clone(), Access::Read).await?;
        permit.ok_or_else(no_such_list)
    }

    /// Up to `limit` todos of a location.
    async fn page(&self, location: Location, limit: usize) -> Result<TodoPage, ReadError> {
        let Location {
            list, show, after, ..
        } = location;
        self.service.lists().page(list, show, after, limit).await
    }
}

/// The refusal for a list that does not exist, or that the caller may not see.
fn no_such_list() -> Problem {
    Problem::refused(&ListError::NotFound)
}

impl From<ListWideError> for Problem {
    fn from(error: ListWideError) -> Self {
        match error {
            ListWideError::TooMany => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "too-many",
                error.to_string(),
            ),
            ListWideError::Behind(behind) => behind.into(),
            ListWideError::Read(error) => error.into(),
            ListWideError::Command(error) => error.into(),
        }
    }
}

/// `GET /api/sse/todos`: Datastar patches, the whole view first. The stream also sends the
/// list's heading, the number of people here, and the news for this visitor alone.
async fn live(
    State(todos): State<Arc<Todos>>,
    last_event_id: LastEventId,
    session: Session,
    origin: RequestOrigin,
    address: BaseAddress,
    site: SiteName,
    asked: Asked,
) -> Result<Response, Problem> {
    let list = asked.location.list;
    let origin = origin.by_link(&todos.services.links, asked.location.link);
    let permit = todos.permit(list, &origin.caller).await?;
    // The view must include everything that its visitor has already seen.
    if let Err(behind) = todos.catch_up(list, asked.at_least).await? {
        tracing::debug!(%behind, "a live view begins before the read model has reached the head of the log");
    }
    // The page shows what its visitor may do. It reloads when the visitor may do less.
    let access = permit.access();
    let permit = permit.demanding(access);
    let location = asked.location.for_access(access);
    let lists = todos.service.lists();
    let make = || TodoView::new(location, lists.clone());
    let view = todos.views.open(&location, make).await;
    let frames = view.watch(last_event_id.seen(&todos.services.feed).await);
    let id = session.id().await?;
    let presence = todos.presence.enter(list, id);
    let owner = (access == Access::Own).then_some(address);
    let heading = todos.headings.watch(site, location, owner);
    let sides = [presence].into_iter().chain(heading);
    let (frames, sides): (_, Vec<Side>) = if list.is_shared() {
        (frames.map(|(_, frame)| frame).boxed(), sides.collect())
    } else {
        let side = |side| guarded_side(side, permit.clone());
        (guarded(frames, permit.clone()), sides.map(side).collect())
    };
    Ok(todos.news.stream(&session, frames, sides).await?)
}
