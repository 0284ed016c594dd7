//! The page's forms. They work without JavaScript: a form that was carried out
//! leads back to the page, and one that was refused shows the page again, with
//! the reason and with what was typed. When Datastar posts them, it gets the
//! same as patches, on a 200, because it ignores the bodies of all others.

use std::sync::Arc;

use axum::Form;
use axum::extract::rejection::{FormRejection, PathRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use datastar::prelude::PatchElements;
use ironstar_app::CommandError;
use ironstar_app::todo::ListWide;
use ironstar_domain::{Aggregate, TodoCommand, TodoId, TodoState, TodoText};
use ironstar_ports::CommandKey;
use serde::Deserialize;

use super::Todos;
use super::location::{Asked, Location};
use super::page;
use super::parts;
use super::view::{Refused, Typed};
use crate::command::keyed;
use crate::notice;
use crate::origin::RequestOrigin;
use crate::problem::Problem;
use crate::sse::datastar_frame;

/// Whether Datastar has sent a request, and not a plain form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Client {
    Plain,
    Datastar,
}

/// What a form holds.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct TodoForm {
    #[serde(default)]
    text: String,
    /// What makes a form that is sent twice one command.
    #[serde(default)]
    key: String,
}

impl TodoForm {
    /// Whether there is nothing but white space in it.
    fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

/// Who sends a form, and where from.
#[derive(Clone, Debug)]
struct Sender {
    client: Client,
    at: Location,
    origin: RequestOrigin,
}

/// `POST /todos`: a todo without a text is none, and nothing happens.
pub(super) async fn create(
    State(todos): State<Arc<Todos>>,
    client: Client,
    origin: RequestOrigin,
    asked: Asked,
    form: ProblemForm<TodoForm>,
) -> Response {
    let at = asked.location;
    let sender = Sender { client, at, origin };
    let typed = form.0.clone().unwrap_or_default().text;
    let outcome = match form.0 {
        Ok(form) if form.is_blank() => Ok(()),
        Ok(form) => create_todo(&todos, &sender, &form).await,
        Err(problem) => Err(problem),
    };
    let refused = |problem| Refused {
        problem,
        typed: Typed::NewTodo(typed),
    };
    respond(&todos, &sender, outcome.map_err(refused), "").await
}

async fn create_todo(todos: &Todos, sender: &Sender, form: &TodoForm) -> Result<(), Problem> {
    let command = TodoCommand::Create {
        text: parse_text(&form.text)?,
        list: sender.at.list,
    };
    let id = todos.service.next_id();
    let asked = (TodoState::TYPE, &command);
    let key = sender.origin.key_or(&form.key)?;
    let context = keyed(&asked, key, sender.origin.origin.clone())?;
    match todos.service.execute(id, &command, &context).await {
        // A page that was left and come back to, and another todo.
        Err(CommandError::KeyReused) if sender.client == Client::Plain => {
            let context = keyed(&asked, None, sender.origin.origin.clone())?;
            todos.service.execute(id, &command, &context).await?;
        }
        outcome => {
            outcome?;
        }
    }
    Ok(())
}

/// `POST /todos/{id}/{action}`
pub(super) async fn act(
    State(todos): State<Arc<Todos>>,
    path: Result<Path<(String, String)>, PathRejection>,
    client: Client,
    origin: RequestOrigin,
    asked: Asked,
    form: ProblemForm<TodoForm>,
) -> Response {
    let Ok(Path((id, action))) = path else {
        return Problem::no_such_page().into_response();
    };
    let at = asked.location;
    let sender = Sender { client, at, origin };
    let typed = match (&*action, id.parse(), &form.0) {
        ("rename", Ok(id), Ok(form)) => Typed::Rename(id, form.text.clone()),
        _ => Typed::Nothing,
    };
    let parsed = form
        .0
        .and_then(|form| parse_command(&action, &form))
        .and_then(|command| Ok((parse_id(&id)?, command)));
    let (outcome, done) = match parsed {
        Ok((id, command)) => {
            let done = done(id, &command, at);
            (carry_out(&todos, id, command, &sender).await, done)
        }
        Err(problem) => (Err(problem), String::new()),
    };
    let refused = |problem| Refused { problem, typed };
    respond(&todos, &sender, outcome.map_err(refused), &done).await
}

/// `POST /todos/{action}`
pub(super) async fn act_on_list(
    State(todos): State<Arc<Todos>>,
    path: Result<Path<String>, PathRejection>,
    client: Client,
    origin: RequestOrigin,
    asked: Asked,
) -> Response {
    let command = match path.as_ref().map(|Path(action)| &**action) {
        Ok("complete-all") => ListWide::CompleteAll,
        Ok("reopen-all") => ListWide::ReopenAll,
        Ok("clear-completed") => ListWide::ClearCompleted,
        Ok(_) | Err(_) => return Problem::no_such_page().into_response(),
    };
    let at = asked.location;
    let sender = Sender { client, at, origin };
    let outcome = carry_out_on_list(&todos, command, &sender).await;
    let refused = |problem| Refused {
        problem,
        typed: Typed::Nothing,
    };
    respond(&todos, &sender, outcome.map_err(refused), "").await
}

/// What a browser needs once a command was carried out, beside what everybody
/// gets.
fn done(id: TodoId, command: &TodoCommand, at: Location) -> String {
    match command {
        TodoCommand::Rename { text } => {
            let editor = parts::closed_editor(id, text, at).into_string();
            datastar_frame(PatchElements::new(editor), None)
        }
        TodoCommand::Create { .. }
        | TodoCommand::Complete
        | TodoCommand::Reopen
        | TodoCommand::Delete => String::new(),
    }
}

async fn carry_out(
    todos: &Todos,
    id: TodoId,
    command: TodoCommand,
    sender: &Sender,
) -> Result<(), Problem> {
    let asked = (TodoState::TYPE, id, &command);
    let origin = sender.origin.clone();
    let context = keyed(&asked, origin.key, origin.origin)?;
    todos.service.execute(id, &command, &context).await?;
    Ok(())
}

async fn carry_out_on_list(
    todos: &Todos,
    command: ListWide,
    sender: &Sender,
) -> Result<(), Problem> {
    let list = sender.at.list;
    let asked = (TodoState::TYPE, list, format!("{command:?}"));
    let origin = sender.origin.clone();
    let context = keyed(&asked, origin.key, origin.origin)?;
    let service = &todos.service;
    service.execute_on_list(list, command, &context).await?;
    Ok(())
}

async fn respond(
    todos: &Todos,
    sender: &Sender,
    outcome: Result<(), Refused>,
    done: &str,
) -> Response {
    match (sender.client, outcome) {
        (Client::Plain, Ok(())) => Redirect::to(&sender.at.page()).into_response(),
        (Client::Plain, Err(refused)) => match draw_refused(todos, sender.at, &refused).await {
            Ok(page) => (refused.problem.status, page).into_response(),
            Err(problem) => problem.into_response(),
        },
        (Client::Datastar, Ok(())) => notice::respond(notice::carried_out() + done),
        (Client::Datastar, Err(refused)) => {
            let key = sender.origin.key.as_ref().map(CommandKey::as_str);
            notice::respond(notice::refused(&refused.problem.detail, key))
        }
    }
}

async fn draw_refused(todos: &Todos, at: Location, refused: &Refused) -> Result<Response, Problem> {
    let behind = todos.catch_up(at.list, None).await?;
    page::draw(todos, at, behind.is_err(), Some(refused)).await
}

fn parse_command(action: &str, form: &TodoForm) -> Result<TodoCommand, Problem> {
    match action {
        "complete" => Ok(TodoCommand::Complete),
        "reopen" => Ok(TodoCommand::Reopen),
        "delete" => Ok(TodoCommand::Delete),
        // A todo without a text is none.
        "rename" if form.is_blank() => Ok(TodoCommand::Delete),
        "rename" => Ok(TodoCommand::Rename {
            text: parse_text(&form.text)?,
        }),
        _ => Err(Problem::no_such_page()),
    }
}

fn parse_text(text: &str) -> Result<TodoText, Problem> {
    text.parse()
        .map_err(|error| Problem::invalid("invalid-value", error))
}

fn parse_id(id: &str) -> Result<TodoId, Problem> {
    id.parse()
        .map_err(|error| Problem::invalid("invalid-value", error))
}

/// A form, or a [`Problem`] for the handler to show.
#[derive(Debug)]
pub(super) struct ProblemForm<T>(Result<T, Problem>);

impl<S: Send + Sync> FromRequest<S> for ProblemForm<TodoForm> {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let form: Result<Form<TodoForm>, FormRejection> = Form::from_request(request, state).await;
        Ok(Self(form.map(|Form(form)| form).map_err(Problem::from)))
    }
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(if notice::is_datastar(&parts.headers) {
            Self::Datastar
        } else {
            Self::Plain
        })
    }
}
