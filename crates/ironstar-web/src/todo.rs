//! The todo's routes: its pages, its forms, its commands and queries for
//! programs, and its live views.
//!
//! Every action goes through the same use case. A browser without JavaScript
//! posts a form and is sent back to the page; Datastar posts the same form and
//! gets patches; a program posts JSON and gets JSON.

mod form;
mod heading;
mod live;
mod location;
mod page;
mod parts;
mod program;
mod view;
mod window;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use ironstar_app::projection::{Behind, ReadError};
use ironstar_app::todo::{TodoLists, TodoPage};
use ironstar_app::{ListService, TodoService};
use ironstar_domain::ListId;
use ironstar_ports::Position;

use crate::Services;
use crate::live::LiveViews;
use crate::presence::Presence;
use crate::problem::Problem;
use crate::sse::{self, LastEventId, SignOfLife};

use heading::Headings;
use live::TodoView;
use location::{Asked, Location};

/// How long a page waits for the read model to catch up with the log.
const CATCH_UP: Duration = Duration::from_secs(2);

/// The routes of this module.
pub(crate) fn routes(services: &Services) -> Router {
    let model = services.projections.model();
    let todos = TodoLists::new(model.clone());
    let lists = ListService::new(services.commands.clone(), services.projections.model());
    let todos = Arc::new(Todos {
        service: TodoService::new(services.commands.clone(), todos),
        headings: Headings::new(lists.clone()),
        lists,
        services: services.clone(),
        views: LiveViews::new(model),
        presence: Presence::new(view::presence),
    });
    Router::new()
        .route("/", get(page::shared))
        .route("/active", get(page::shared_active))
        .route("/completed", get(page::shared_completed))
        .route("/lists/{id}", get(page::list))
        .route("/lists/{id}/{word}", get(page::list_part))
        .route("/todos", post(form::create))
        .route("/todos/{action}", post(form::act_on_list))
        .route("/todos/{id}/{action}", post(form::act))
        .route("/api/todos", get(program::query))
        .route("/api/commands/todo", post(program::command))
        .route("/api/commands/todos", post(program::command_on_list))
        .route("/api/sse/todos", get(live))
        .with_state(todos)
}

/// What the handlers work on.
#[derive(Debug)]
struct Todos {
    service: TodoService,
    lists: ListService,
    services: Services,
    views: LiveViews<Location, TodoView>,
    headings: Headings,
    presence: Presence,
}

impl Todos {
    /// Waits until the read models show what has been stored up to a position,
    /// or up to now, so that whoever has just changed something sees it.
    async fn catch_up(
        &self,
        list: ListId,
        at_least: Option<Position>,
    ) -> Result<Result<(), Behind>, Problem> {
        let position = match at_least {
            Some(position) => position,
            None => self.services.store.head().await?,
        };
        let todos = self.service.lists().reach(position, CATCH_UP);
        if list.is_shared() {
            return Ok(todos.await);
        }
        let (todos, lists) = tokio::join!(todos, self.lists.model().reach(position, CATCH_UP));
        Ok(todos.and(lists))
    }

    /// Refuses a list that is not there.
    async fn expect_list(&self, list: ListId) -> Result<(), Problem> {
        if list.is_shared() || self.lists.list(list).await?.is_some() {
            return Ok(());
        }
        Err(Problem::no_such_list())
    }

    /// Up to `limit` todos of a location.
    async fn page(&self, location: Location, limit: usize) -> Result<TodoPage, ReadError> {
        let Location { list, show, after } = location;
        self.service.lists().page(list, show, after, limit).await
    }
}

/// `GET /api/sse/todos`: Datastar patches, the whole view first; and beside it
/// what the list is called, and how many people are here.
async fn live(
    State(todos): State<Arc<Todos>>,
    last_event_id: LastEventId,
    asked: Asked,
) -> Result<Response, Problem> {
    // Who has seen something expects to go on from there.
    if let Err(behind) = todos.catch_up(asked.location.list, asked.at_least).await? {
        tracing::debug!(%behind, "a live view begins before what is stored");
    }
    let seen = match last_event_id {
        LastEventId::At(id) => Some(id),
        LastEventId::Absent | LastEventId::Unreadable => None,
    };
    let location = asked.location;
    todos.expect_list(location.list).await?;
    let lists = todos.service.lists();
    let make = || TodoView::new(location, lists.clone());
    let frames = todos.views.open(&location, make).await.watch(seen);
    let presence = todos.presence.enter(location.list);
    let heading = todos.headings.watch(location.list);
    let sides = [presence].into_iter().chain(heading).collect();
    let shutdown = todos.services.shutdown.clone();
    Ok(sse::respond(frames, sides, SignOfLife::Event, shutdown))
}
