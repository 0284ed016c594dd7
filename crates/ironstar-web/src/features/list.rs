//! The list's routes: the page of all lists, its forms, and commands and queries for
//! programs. The page of a single list is in `todo`.

mod live;
mod view;

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use ironstar_app::caller::Links;
use ironstar_app::list::ListItem;
use ironstar_app::{Caller, CommandError, ListService};
use ironstar_domain::list::{ListCommand, ListId, ListName, ListState};
use ironstar_domain::{Aggregate, LinkAccess, LinkId, OwnershipCommand, Principal, tidied, typed};
use ironstar_ports::Position;
use serde::{Deserialize, Serialize};

use crate::account::news::PrivateNews;
use crate::command::owned::{LinkForm, LinkResponse, address_of, context_of};
use crate::command::{CommandRequest, CommandResponse, keyed_written, written};
use crate::edge::base_address::BaseAddress;
use crate::edge::cost::Cost;
use crate::edge::form::Form;
use crate::edge::problem::Problem;
use crate::feature::{Feature, Navigation};
use crate::page::layout::Frame;
use crate::services::Services;
use crate::session::Session;
use crate::session::drawn_for;
use crate::session::origin::RequestOrigin;
use crate::stream::live::LiveViews;

use live::{AllLists, ListsView, Whose};

/// The list, as it registers.
pub(super) fn feature() -> Feature {
    Feature::new(routes).with_navigation(&[Navigation {
        address: "/lists",
        label: "My lists",
    }])
}

fn routes(services: &Services, news: &PrivateNews) -> Router {
    let model = services.projections.model();
    let lists = Arc::new(Lists {
        service: ListService::new(services.commands.clone(), model.clone()),
        services: services.clone(),
        views: LiveViews::new(model),
        news: news.clone(),
    });
    Router::new()
        .route("/lists", get(page).post(create))
        .route("/lists/{id}/{word}", post(act))
        .route("/lists/{id}/links", post(create_link))
        .route("/lists/{id}/links/{link}/revoke", post(revoke_link))
        .route("/api/lists", get(query))
        .route("/api/commands/list", post(command))
        .route(
            "/api/sse/lists",
            get(live::stream).layer(from_fn(drawn_for::check)),
        )
        .with_state(lists)
}

/// The shared state of the handlers.
#[derive(Debug)]
struct Lists {
    service: ListService,
    services: Services,
    views: LiveViews<Whose, ListsView>,
    news: PrivateNews,
}

/// A command on a list, as it arrives in a request. The server, not the request, determines
/// the owner of a new list and the id of a new link.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ListRequest {
    Create {
        #[serde(deserialize_with = "typed")]
        name: ListName,
    },
    Rename {
        #[serde(deserialize_with = "typed")]
        name: ListName,
    },
    Archive,
    Restore,
    CreateLink {
        access: LinkAccess,
    },
    RevokeLink {
        link: LinkId,
    },
}

impl ListRequest {
    fn creates(&self) -> bool {
        match self {
            Self::Create { .. } => true,
            Self::Rename { .. }
            | Self::Archive
            | Self::Restore
            | Self::CreateLink { .. }
            | Self::RevokeLink { .. } => false,
        }
    }
}

/// Lists, as programs get them.
#[derive(Debug, Serialize)]
struct ListsResponse {
    open: Vec<ListResponse>,
    archived: Vec<ListResponse>,
}

/// A list, as programs get it.
#[derive(Debug, Serialize)]
struct ListResponse {
    id: ListId,
    name: ListName,
    owner: Option<Principal>,
    archived: bool,
    created: Position,
    links: Vec<LinkResponse>,
}

impl ListResponse {
    fn of(list: ListItem, links: &Links, site: &BaseAddress) -> Self {
        let page = format!("{site}/lists/{}", list.id);
        Self {
            links: LinkResponse::all::<ListState>(&list.links, links, &list.id, &page),
            id: list.id,
            name: list.name,
            owner: list.owner,
            archived: list.archived,
            created: list.created,
        }
    }
}

/// The fields of a list's form.
#[derive(Debug, Default, Deserialize)]
struct ListForm {
    #[serde(default)]
    name: String,
    /// The idempotency key: submitting the form twice runs one command.
    #[serde(default)]
    key: String,
    /// The page after the form: `list` for the page of the list, else the page of all lists.
    #[serde(default)]
    then: String,
}

impl Lists {
    /// The caller's lists, and those that belong to everyone, as of now.
    async fn of(&self, caller: &Caller) -> Result<AllLists, Problem> {
        self.services.catch_up(self.service.model()).await??;
        Ok(AllLists::read(&self.service, &Whose::of(caller)).await?)
    }

    async fn carry_out(
        &self,
        id: ListId,
        command: &ListCommand,
        origin: &RequestOrigin,
    ) -> Result<(), Problem> {
        let context = origin.context();
        self.service.execute(id, command, &context).await?;
        Ok(())
    }

    /// The command of a request. The caller becomes the owner of a new list.
    fn command(
        &self,
        request: ListRequest,
        origin: &RequestOrigin,
    ) -> Result<ListCommand, Problem> {
        Ok(match request {
            ListRequest::Create { name } => ListCommand::Create {
                name,
                owner: Some(origin.owner()?),
            },
            ListRequest::Rename { name } => ListCommand::Rename { name },
            ListRequest::Archive => ListCommand::Archive,
            ListRequest::Restore => ListCommand::Restore,
            ListRequest::CreateLink { access } => {
                let link = self.services.commands.next_id().into();
                OwnershipCommand::CreateLink { link, access }.into()
            }
            ListRequest::RevokeLink { link } => OwnershipCommand::RevokeLink { link }.into(),
        })
    }

    /// Creates a list, once for each key, and returns its id.
    async fn create(&self, form: &ListForm, origin: RequestOrigin) -> Result<String, Problem> {
        let name = parse_name(form)?;
        let create = ListRequest::Create { name };
        let asked = [
            written(&(ListState::TYPE, &create))?,
            written(&(ListState::TYPE, &create, origin.caller.principal()))?,
        ];
        let command = self.command(create, &origin)?;
        let key = origin.key_or(&form.key)?;
        let context = keyed_written(asked.clone(), key, &origin);
        let id = self.service.next_id();
        let accepted = match self.service.execute(id, &command, &context).await {
            // The visitor came back to an old page, with its old key, and typed another name.
            Err(CommandError::KeyReused) => {
                let context = keyed_written(asked, None, &origin);
                self.service.execute(id, &command, &context).await?
            }
            outcome => outcome?,
        };
        Ok(accepted.aggregate_id)
    }
}

/// The address that shows a list to other visitors.
pub(crate) fn address_of_link(
    site: &BaseAddress,
    links: &Links,
    list: ListId,
    link: LinkId,
) -> String {
    address_of::<ListState>(links, &list, link, &format!("{site}/lists/{list}"))
}

/// `GET /lists`
async fn page(
    State(lists): State<Arc<Lists>>,
    frame: Frame,
    origin: RequestOrigin,
) -> Result<Response, Problem> {
    let key = lists.services.commands.next_id().to_string();
    let mine = lists.of(&origin.caller).await?;
    Ok(view::page(&frame, &mine, &key))
}

/// `POST /lists`
async fn create(
    _: Cost,
    State(lists): State<Arc<Lists>>,
    session: Session,
    origin: RequestOrigin,
    form: Result<Form<ListForm>, Problem>,
) -> Result<Response, Problem> {
    let Form(form) = form?;
    let origin = origin.in_a_browser(&session).await?;
    let id = lists.create(&form, origin).await?;
    Ok(Redirect::to(&format!("/lists/{id}")).into_response())
}

/// `POST /lists/{id}/{action}`
async fn act(
    _: Cost,
    State(lists): State<Arc<Lists>>,
    path: Result<Path<(ListId, String)>, PathRejection>,
    origin: RequestOrigin,
    form: Result<Form<ListForm>, Problem>,
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
    lists.carry_out(id, &command, &origin).await?;
    let next = match &*form.then {
        "list" => format!("/lists/{id}"),
        _ => "/lists".to_owned(),
    };
    Ok(Redirect::to(&next).into_response())
}

/// `POST /lists/{id}/links`
async fn create_link(
    _: Cost,
    State(lists): State<Arc<Lists>>,
    path: Result<Path<ListId>, PathRejection>,
    origin: RequestOrigin,
    form: Result<Form<LinkForm>, Problem>,
) -> Result<Response, Problem> {
    let Path(id) = path.map_err(|_| Problem::no_such_page())?;
    let Form(form) = form?;
    let link = lists.services.commands.next_id().into();
    let (command, context) = form.command::<ListState>(&id, link, &origin)?;
    lists.service.execute(id, &command, &context).await?;
    Ok(Redirect::to(&format!("/lists/{id}")).into_response())
}

/// `POST /lists/{id}/links/{link}/revoke`
async fn revoke_link(
    _: Cost,
    State(lists): State<Arc<Lists>>,
    path: Result<Path<(ListId, LinkId)>, PathRejection>,
    origin: RequestOrigin,
) -> Result<Response, Problem> {
    let Path((id, link)) = path.map_err(|_| Problem::no_such_page())?;
    let command = OwnershipCommand::RevokeLink { link };
    lists.carry_out(id, &command.into(), &origin).await?;
    Ok(Redirect::to(&format!("/lists/{id}")).into_response())
}

/// `GET /api/lists`
async fn query(
    State(lists): State<Arc<Lists>>,
    origin: RequestOrigin,
    address: BaseAddress,
) -> Result<Json<ListsResponse>, Problem> {
    let mine = lists.of(&origin.caller).await?;
    let links = &lists.services.links;
    let shown = |list: ListItem| ListResponse::of(list, links, &address);
    Ok(Json(ListsResponse {
        open: mine.open.into_iter().map(shown).collect(),
        archived: mine.archived.into_iter().map(shown).collect(),
    }))
}

/// `POST /api/commands/list`
async fn command(
    _: Cost,
    State(lists): State<Arc<Lists>>,
    session: Session,
    origin: RequestOrigin,
    request: CommandRequest<ListId, ListRequest>,
) -> Result<Json<CommandResponse>, Problem> {
    let creates = request.command.creates();
    let id = match request.id {
        Some(id) => id,
        None if creates => lists.service.next_id(),
        None => {
            let detail = "the 'id' of the list is missing";
            return Err(Problem::invalid("invalid-value", detail));
        }
    };
    // The creator of a list needs a session, to be recognized as its owner later.
    let origin = if creates {
        request.refuse_expected_sequence()?;
        origin.in_a_browser(&session).await?
    } else {
        origin
    };
    let context = context_of::<ListState, _>(&request, &origin)?;
    let command = lists.command(request.command, &origin)?;
    let accepted = lists.service.execute(id, &command, &context).await?;
    Ok(CommandResponse::ok(accepted))
}

fn parse_name(form: &ListForm) -> Result<ListName, Problem> {
    tidied(&form.name)
        .parse()
        .map_err(|error| Problem::invalid("invalid-value", error))
}
