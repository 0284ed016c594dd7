//! The todo's routes: its page, its forms, its commands for programs, and its
//! live view.
//!
//! Every action goes through the same use case. A browser without JavaScript
//! posts a form and is sent back to the page; Datastar posts the same form and
//! gets patches; a program posts JSON and gets JSON.

mod form;
mod view;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use ironstar_app::TodoService;
use ironstar_domain::{Aggregate, TodoCommand, TodoId, TodoState};

use crate::Services;
use crate::command::{CommandRequest, CommandResponse};
use crate::live::{LiveView, Stopped};
use crate::origin::RequestOrigin;
use crate::problem::Problem;
use crate::sse::{self, LastEventId};

use view::TodoView;

/// How long a page waits for the view to catch up with the log.
const CATCH_UP: Duration = Duration::from_secs(2);

/// The routes of this module.
pub(crate) async fn routes(services: &Services) -> Router {
    let todos = Arc::new(Todos {
        service: TodoService::new(services.commands.clone()),
        services: services.clone(),
        view: LiveView::start(TodoView::default(), &services.feed).await,
    });
    Router::new()
        .route("/", get(page))
        .route("/todos", post(form::create))
        .route("/todos/{id}/{action}", post(form::act))
        .route("/api/commands/todo", post(command))
        .route("/api/sse/todos", get(live))
        .with_state(todos)
}

/// What the handlers work on.
struct Todos {
    service: TodoService,
    services: Services,
    view: LiveView<TodoView>,
}

impl Todos {
    /// Waits until the view shows what has been acknowledged by now, so that
    /// whoever has just changed something sees it.
    async fn catch_up(&self) -> Result<(), Problem> {
        let head = self.services.store.head().await?;
        match tokio::time::timeout(CATCH_UP, self.view.reach(head)).await {
            Ok(reached) => reached.map_err(|error: Stopped| Problem::unreadable(&error)),
            Err(late) => Err(Problem::unavailable(&late)),
        }
    }
}

/// `GET /`
async fn page(State(todos): State<Arc<Todos>>) -> Result<Response, Problem> {
    todos.catch_up().await?;
    Ok(todos.view.read(|view| view.page(None)))
}

/// `GET /api/sse/todos`: Datastar patches, the whole list first.
async fn live(
    State(todos): State<Arc<Todos>>,
    last_event_id: LastEventId,
) -> Result<Response, Problem> {
    todos.catch_up().await?;
    let seen = match last_event_id {
        LastEventId::At(position) => Some(position),
        LastEventId::Absent | LastEventId::Unreadable => None,
    };
    let frames = todos.view.subscribe(seen);
    Ok(sse::respond(frames, todos.services.shutdown.clone()))
}

/// `POST /api/commands/todo`
async fn command(
    State(todos): State<Arc<Todos>>,
    origin: RequestOrigin,
    request: CommandRequest<TodoId, TodoCommand>,
) -> Result<Json<CommandResponse>, Problem> {
    let context = request.context(TodoState::TYPE, origin)?;
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
