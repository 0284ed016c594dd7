//! The list's routes: the page of all lists, its forms, and commands and queries
//! for programs. What a list holds is shown by `todo`.

mod view;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{FormRejection, PathRejection};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use ironstar_app::list::ListItem;
use ironstar_app::{CommandContext, CommandError, ListService};
use ironstar_domain::{Aggregate, ListCommand, ListId, ListState};
use serde::{Deserialize, Serialize};

use crate::Services;
use crate::command::{CommandRequest, CommandResponse, keyed};
use crate::origin::RequestOrigin;
use crate::problem::Problem;

/// How long a page waits for the read model to catch up with the log.
const CATCH_UP: Duration = Duration::from_secs(2);

/// How many lists of a kind a page shows.
const PAGE: usize = 500;

/// The routes of this module.
pub(crate) fn routes(services: &Services) -> Router {
    let lists = Arc::new(Lists {
        service: ListService::new(services.commands.clone(), services.projections.model()),
        services: services.clone(),
    });
    Router::new()
        .route("/lists", get(page).post(create))
        .route("/lists/{id}/{word}", post(act))
        .route("/api/lists", get(query))
        .route("/api/commands/list", post(command))
        .with_state(lists)
}

/// What the handlers work on.
#[derive(Debug)]
struct Lists {
    service: ListService,
    services: Services,
}

/// Lists in use, and lists put away.
#[derive(Debug, Serialize)]
struct AllLists {
    open: Vec<ListItem>,
    archived: Vec<ListItem>,
}

/// What a form holds.
#[derive(Debug, Default, Deserialize)]
struct ListForm {
    #[serde(default)]
    name: String,
    /// What makes a form that is sent twice one command.
    #[serde(default)]
    key: String,
    /// Where to go then: to the page of the list (`list`), or to that of all.
    #[serde(default)]
    then: String,
}

impl Lists {
    /// Every list, as of now.
    async fn all(&self) -> Result<AllLists, Problem> {
        let head = self.services.store.head().await?;
        self.service.model().reach(head, CATCH_UP).await?;
        Ok(AllLists {
            open: self.service.lists(false, PAGE).await?,
            archived: self.service.lists(true, PAGE).await?,
        })
    }

    async fn carry_out(
        &self,
        id: ListId,
        command: &ListCommand,
        origin: RequestOrigin,
    ) -> Result<(), Problem> {
        let context = CommandContext {
            origin: origin.origin,
            ..CommandContext::default()
        };
        self.service.execute(id, command, &context).await?;
        Ok(())
    }

    /// Creates a list, once for each key, and answers its id.
    async fn create(&self, form: &ListForm, origin: RequestOrigin) -> Result<String, Problem> {
        let name = parse_name(form)?;
        let command = ListCommand::Create { name };
        let asked = (ListState::TYPE, &command);
        let key = origin.key_or(&form.key)?;
        let context = keyed(&asked, key, origin.origin.clone())?;
        let id = self.service.next_id();
        let accepted = match self.service.execute(id, &command, &context).await {
            // A page that was left and come back to, and another list.
            Err(CommandError::KeyReused) => {
                let context = keyed(&asked, None, origin.origin)?;
                self.service.execute(id, &command, &context).await?
            }
            outcome => outcome?,
        };
        Ok(accepted.aggregate_id)
    }
}

/// `GET /lists`
async fn page(State(lists): State<Arc<Lists>>) -> Result<Response, Problem> {
    let key = lists.services.commands.next_id().to_string();
    Ok(view::page(&lists.all().await?, &key))
}

/// `POST /lists`
async fn create(
    State(lists): State<Arc<Lists>>,
    origin: RequestOrigin,
    form: Result<Form<ListForm>, FormRejection>,
) -> Result<Response, Problem> {
    let Form(form) = form?;
    let id = lists.create(&form, origin).await?;
    Ok(Redirect::to(&format!("/lists/{id}")).into_response())
}

/// `POST /lists/{id}/{action}`
async fn act(
    State(lists): State<Arc<Lists>>,
    path: Result<Path<(ListId, String)>, PathRejection>,
    origin: RequestOrigin,
    form: Result<Form<ListForm>, FormRejection>,
) -> Result<Response, Problem> {
    let Path((id, action)) = path.map_err(|_| Problem::no_such_page())?;
    let Form(form) = form?;
    let command = match &*action {
        "rename" => ListCommand::Rename {
            name: parse_name(&form)?,
        },
        "archive" => ListCommand::Archive,
        "restore" => ListCommand::Restore,
        _ => return Err(Problem::no_such_page()),
    };
    lists.carry_out(id, &command, origin).await?;
    let next = match &*form.then {
        "list" => format!("/lists/{id}"),
        _ => "/lists".to_owned(),
    };
    Ok(Redirect::to(&next).into_response())
}

/// `GET /api/lists`
async fn query(State(lists): State<Arc<Lists>>) -> Result<Json<AllLists>, Problem> {
    Ok(Json(lists.all().await?))
}

/// `POST /api/commands/list`
async fn command(
    State(lists): State<Arc<Lists>>,
    origin: RequestOrigin,
    request: CommandRequest<ListId, ListCommand>,
) -> Result<Json<CommandResponse>, Problem> {
    let context = request.context(ListState::TYPE, origin)?;
    let id = match (request.id, &request.command) {
        (Some(id), _) => id,
        (None, ListCommand::Create { .. }) => lists.service.next_id(),
        (None, ListCommand::Rename { .. } | ListCommand::Archive | ListCommand::Restore) => {
            let detail = "the 'id' of the list is missing";
            return Err(Problem::invalid("invalid-value", detail));
        }
    };
    let accepted = lists
        .service
        .execute(id, &request.command, &context)
        .await?;
    Ok(CommandResponse::ok(accepted))
}

fn parse_name(form: &ListForm) -> Result<ironstar_domain::ListName, Problem> {
    form.name
        .parse()
        .map_err(|error| Problem::invalid("invalid-value", error))
}
