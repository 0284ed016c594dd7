//! The start page of a visitor without a list in use, on a site where each visitor has
//! their own start page (`--home own`). The first todo creates the list.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use futures::{StreamExt, future, stream};
use ironstar_app::list::ListItem;
use ironstar_app::projection::News;
use ironstar_app::{Caller, CommandError};
use ironstar_domain::list::{ListCommand, ListError, ListId, ListNameError};
use ironstar_ports::LogPlace;
use maud::html;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::Todos;
use super::page::Reader;
use super::view::{Refused, composer};
use crate::edge::problem::Problem;
use crate::page::icon::star;
use crate::page::kit::{Banner, empty_state};
use crate::page::layout::{self, Frame};
use crate::page::notice;
use crate::session::Session;
use crate::session::origin::RequestOrigin;
use crate::stream::guard::RELOAD;

/// The name of the list that a visitor's first todo creates.
const FIRST_LIST: &str = "My todos";

/// The pause before the next try, if the visitor's lists could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// The start page of a visitor without a list in use. The first todo creates one.
#[derive(Debug)]
struct FirstPage<'a> {
    frame: &'a Frame,
    /// The idempotency key of the form: submitting it twice creates one todo.
    key: &'a str,
    /// True if the visitor has an archived list.
    has_archived: bool,
    refused: Option<&'a Refused>,
}

impl FirstPage<'_> {
    fn draw(&self) -> Response {
        let refused = self.refused;
        let content = html! {
            main.page.todoapp {
                (layout::connection(self.frame, "/api/sse/first", LogPlace::START.into()))
                header.header.masthead {
                    (star())
                    h1 { (FIRST_LIST) }
                    p.note { "Your own list. " a href="/lists/shared" { "There is also a shared list for everyone." } }
                }
                (notice::notices(refused.map(|refused| &*refused.problem.detail)))
                @if self.has_archived {
                    (Banner::Note.draw(html! {
                        "Your list was archived. " a href="/lists" { "Find it among your lists." }
                    }))
                }
                div.card {
                    div.entry {
                        form.composer.plain action="/first" method="post" {
                            (composer(self.key, refused.map_or("", Refused::new_todo)))
                        }
                    }
                    (empty_state("Nothing to do. Add your first todo above."))
                }
            }
        };
        layout::page(self.frame, FIRST_LIST, &content)
    }
}

impl Todos {
    /// The oldest of the caller's lists in use.
    pub(super) async fn first_list(&self, caller: &Caller) -> Result<Option<ListId>, Problem> {
        self.first_of(caller, false).await
    }

    /// The oldest of the caller's lists in use, or of the archived ones.
    async fn first_of(&self, caller: &Caller, archived: bool) -> Result<Option<ListId>, Problem> {
        let owners: Vec<_> = caller.principals().iter().copied().map(Some).collect();
        if owners.is_empty() {
            return Ok(None);
        }
        self.services.catch_up(self.lists.model()).await??;
        let lists = self.lists.lists(&owners, archived, 1).await?;
        Ok(lists.lists.first().map(|list| list.id))
    }

    /// The start page of a visitor without a list in use.
    pub(super) async fn first_page(
        &self,
        reader: &Reader,
        refused: Option<&Refused>,
    ) -> Result<Response, Problem> {
        let archived = self.first_of(&reader.origin.caller, true).await?;
        let key = self.services.commands.next_id().to_string();
        let first = FirstPage {
            frame: &reader.frame,
            key: &key,
            has_archived: archived.is_some(),
            refused,
        };
        Ok(first.draw())
    }

    /// The oldest of the caller's lists in use. If there is none, this creates one.
    pub(super) async fn make_first_list(&self, origin: &RequestOrigin) -> Result<ListId, Problem> {
        let owner = origin.owner()?;
        if let Some(list) = self.first_list(&origin.caller).await? {
            return Ok(list);
        }
        let name: Result<_, ListNameError> = FIRST_LIST.parse();
        let name = name.map_err(|error| Problem::invalid("invalid-value", error))?;
        let command = ListCommand::Create {
            name,
            owner: Some(owner),
        };
        let context = origin.context();
        let id = ListId::from(self.services.links.id_of(&format!("first/{owner}")));
        match self.lists.execute(id, &command, &context).await {
            Ok(_) => return Ok(id),
            Err(CommandError::Refused(ListError::AlreadyExists)) => {}
            Err(error) => return Err(error.into()),
        }
        // A concurrent request has just created it, or it is old and archived by now.
        if let Some(list) = self.first_list(&origin.caller).await? {
            return Ok(list);
        }
        let id = self.lists.next_id();
        self.lists.execute(id, &command, &context).await?;
        Ok(id)
    }
}

/// `GET /api/sse/first`: tells the page to reload as soon as its visitor has a list in use.
/// The stream also sends the news for this visitor alone.
pub(super) async fn stream(
    State(todos): State<Arc<Todos>>,
    session: Session,
    origin: RequestOrigin,
) -> Result<Response, Problem> {
    let news = todos.news.clone();
    let frames = stream::once(async move {
        has_list(&todos, &origin.caller).await;
        RELOAD
    });
    Ok(news.stream(&session, frames.boxed(), vec![]).await?)
}

/// Waits until the caller has a list in use.
async fn has_list(todos: &Todos, caller: &Caller) {
    // Subscribe before the first read, so that no change in between is missed.
    let Some(mut news) = todos.lists.model().news() else {
        return future::pending().await;
    };
    loop {
        match todos.first_list(caller).await {
            Ok(Some(_)) => return,
            Ok(None) => next_change(&mut news, caller).await,
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Waits until one of the caller's lists may have changed.
async fn next_change(news: &mut broadcast::Receiver<News<ListItem>>, caller: &Caller) {
    let is_own = |list: &ListItem| {
        let owner = list.owner;
        owner.is_some_and(|owner| caller.principals().contains(&owner))
    };
    loop {
        match news.recv().await {
            Ok(News::Changed(changes)) => {
                let mut after = changes.documents.values().map(|list| list.after.as_deref());
                if after.any(|list| list.is_some_and(is_own)) {
                    return;
                }
            }
            Ok(News::Jumped(_)) | Err(RecvError::Lagged(_)) => return,
            // The server is stopping.
            Err(RecvError::Closed) => return future::pending().await,
        }
    }
}
