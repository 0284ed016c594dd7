//! The page's forms. They work without JavaScript: after success the browser is redirected
//! to the page. After a refusal it gets the page with the reason and the typed text.
//! Datastar gets the same as patches with status 200, because it ignores the bodies of all
//! other answers.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use datastar::prelude::PatchElements;
use ironstar_app::CommandError;
use ironstar_app::todo::{ListWide, Show};
use ironstar_domain::todo::{TodoCommand, TodoId, TodoState, TodoText};
use ironstar_domain::{Aggregate, tidied};
use ironstar_ports::{CommandKey, LogPlace, Position};
use serde::Deserialize;

use super::Todos;
use super::live::{TodoView, cut};
use super::location::{Asked, Location};
use super::page::{self, Reader};
use super::parts;
use super::view::{Refused, Typed};
use crate::command::keyed;
use crate::edge::cost::{Cost, HEAVY};
use crate::edge::form::Form;
use crate::edge::problem::Problem;
use crate::page::notice;
use crate::session::Session;
use crate::session::origin::RequestOrigin;
use crate::stream::sse::{self, datastar_frame};

/// The sender of a request: a plain form, or Datastar.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Browser {
    Plain,
    Datastar,
}

/// The fields of a todo's form.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct TodoForm {
    #[serde(default)]
    text: String,
    /// The idempotency key: submitting the form twice runs one command.
    #[serde(default)]
    key: String,
}

impl TodoForm {
    /// Returns true if the text is empty or white space.
    fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

/// The visitor who sends a form, and the page that has the form.
#[derive(Clone, Debug)]
struct Sender {
    browser: Browser,
    at: Location,
    origin: RequestOrigin,
    session: Session,
    reader: Reader,
}

/// The parts of a form's request apart from its fields.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    browser: Browser,
    session: Session,
    reader: Reader,
    at: Location,
}

impl Sent {
    /// The sender of the form, who has a session from now on.
    async fn sender(self, todos: &Todos) -> Result<Sender, Problem> {
        let origin = self.reader.origin.clone();
        let origin = origin.in_a_browser(&self.session).await?;
        Ok(Sender {
            browser: self.browser,
            at: self.at,
            origin: origin.by_link(&todos.services.links, self.at.link),
            session: self.session,
            reader: self.reader,
        })
    }
}

/// `POST /todos`: a form without a text creates nothing, and is no error.
pub(super) async fn create(
    _: Cost,
    State(todos): State<Arc<Todos>>,
    sent: Sent,
    form: ProblemForm<TodoForm>,
) -> Result<Response, Problem> {
    let mut sender = sent.sender(&todos).await?;
    let typed = form.0.clone().unwrap_or_default().text;
    let created = match form.0 {
        Ok(form) if form.is_blank() => Ok(None),
        Ok(form) => create_todo(&todos, &sender, &form).await.map(Some),
        Err(problem) => Err(problem),
    };
    let mut done = String::new();
    if let Ok(Some(place)) = created
        && let Some(elsewhere) = elsewhere(&todos, sender.at, place.position).await
    {
        done = notice::added(&elsewhere.page());
        // Without JavaScript, the browser is redirected to the page of the new todo.
        sender.at = elsewhere;
    }
    let refused = |problem| Refused {
        problem,
        typed: Typed::NewTodo(typed),
    };
    let outcome = created.map(|_| ()).map_err(refused);
    Ok(respond(&todos, &sender, outcome, &done).await)
}

/// The page of a todo that was created at a position; `None` if it is this page.
async fn elsewhere(todos: &Todos, at: Location, position: Position) -> Option<Location> {
    let goes_on = async |at| {
        // While the page has subscribers, its view knows the end.
        if let Some(until) = todos.views.look(&at, TodoView::until).flatten() {
            return until.is_some();
        }
        // The todo exists, even if its page cannot be found.
        let cut = cut(&todos.views, todos.service.lists(), at).await;
        cut.is_ok_and(|cut| cut.page.next.is_some())
    };
    // A page of completed todos never shows a new todo.
    if at.show != Show::Completed && !goes_on(at).await {
        return None;
    }
    let all = at.showing(Show::All);
    let after = position.get().checked_sub(1).map(Position::new);
    let is_long = at == all || goes_on(all).await;
    Some(Location {
        after: after.filter(|_| is_long),
        ..all
    })
}

/// `POST /first`: creates a visitor's first list, and the first todo on it.
pub(super) async fn create_first(
    _: Cost,
    State(todos): State<Arc<Todos>>,
    sent: Sent,
    form: ProblemForm<TodoForm>,
) -> Result<Response, Problem> {
    let mut sender = sent.sender(&todos).await?;
    let form = form.0?;
    let created = async {
        // An invalid text must not leave an empty list behind.
        parse_text(&form.text)?;
        sender.at.list = todos.make_first_list(&sender.origin).await?;
        create_todo(&todos, &sender, &form).await
    };
    match created.await {
        Ok(_) => Ok(Redirect::to("/").into_response()),
        Err(problem) => {
            let refused = Refused {
                problem,
                typed: Typed::NewTodo(form.text),
            };
            let page = todos.first_page(&sender.reader, Some(&refused)).await?;
            Ok((refused.problem.status, page).into_response())
        }
    }
}

/// Creates a todo, and returns the place of its event.
async fn create_todo(todos: &Todos, sender: &Sender, form: &TodoForm) -> Result<LogPlace, Problem> {
    let command = TodoCommand::Create {
        text: parse_text(&form.text)?,
        list: sender.at.list,
    };
    let id = todos.service.next_id();
    let asked = (TodoState::TYPE, &command);
    let key = sender.origin.key_or(&form.key)?;
    let context = keyed(&asked, key, &sender.origin)?;
    let accepted = match todos.service.execute(id, &command, &context).await {
        // The visitor came back to an old page, with its old key, and typed another todo.
        Err(CommandError::KeyReused) if sender.browser == Browser::Plain => {
            let context = keyed(&asked, None, &sender.origin)?;
            todos.service.execute(id, &command, &context).await?
        }
        outcome => outcome?,
    };
    Ok(accepted.place)
}

/// `POST /todos/{id}/{action}`
pub(super) async fn act(
    _: Cost,
    State(todos): State<Arc<Todos>>,
    path: Result<Path<(String, String)>, PathRejection>,
    sent: Sent,
    form: ProblemForm<TodoForm>,
) -> Result<Response, Problem> {
    let Path((id, action)) = path.map_err(|_| Problem::no_such_page())?;
    let sender = sent.sender(&todos).await?;
    let at = sender.at;
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
    Ok(respond(&todos, &sender, outcome.map_err(refused), &done).await)
}

/// `POST /todos/{action}`
pub(super) async fn act_on_list(
    _: Cost<HEAVY>,
    State(todos): State<Arc<Todos>>,
    path: Result<Path<String>, PathRejection>,
    sent: Sent,
) -> Result<Response, Problem> {
    let command = match path.as_ref().map(|Path(action)| &**action) {
        Ok("complete-all") => ListWide::CompleteAll,
        Ok("reopen-all") => ListWide::ReopenAll,
        Ok("clear-completed") => ListWide::ClearCompleted,
        Ok(_) | Err(_) => return Err(Problem::no_such_page()),
    };
    let sender = sent.sender(&todos).await?;
    let outcome = carry_out_on_list(&todos, command, &sender).await;
    let refused = |problem| Refused {
        problem,
        typed: Typed::Nothing,
    };
    Ok(respond(&todos, &sender, outcome.map_err(refused), "").await)
}

/// The patches for the sender of a command, in addition to those for all subscribers.
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
    let context = keyed(&asked, sender.origin.key.clone(), &sender.origin)?;
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
    let context = keyed(&asked, sender.origin.key.clone(), &sender.origin)?;
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
    tell_elsewhere(todos, sender, &outcome).await;
    match (sender.browser, outcome) {
        (Browser::Plain, Ok(())) => Redirect::to(&sender.at.page()).into_response(),
        (Browser::Plain, Err(refused)) => match draw_refused(todos, sender, &refused).await {
            Ok(page) => (refused.problem.status, page).into_response(),
            Err(problem) => problem.into_response(),
        },
        (Browser::Datastar, Ok(())) => sse::answer(notice::carried_out() + done),
        (Browser::Datastar, Err(refused)) => {
            let key = sender.origin.key.as_ref().map(CommandKey::as_str);
            sse::answer(notice::refused(&refused.problem.detail, key))
        }
    }
}

/// Shows the reason of a refusal on the visitor's other pages, or removes it after success.
async fn tell_elsewhere(todos: &Todos, sender: &Sender, outcome: &Result<(), Refused>) {
    let Ok(Some(session)) = sender.session.id().await else {
        return;
    };
    match outcome {
        Ok(()) => todos.news.was_carried_out(session).await,
        Err(refused) => {
            let why = &refused.problem.detail;
            todos.news.was_refused(session, why).await;
        }
    }
}

async fn draw_refused(
    todos: &Todos,
    sender: &Sender,
    refused: &Refused,
) -> Result<Response, Problem> {
    let reader = Reader {
        frame: sender.reader.frame.clone().at(sender.at.page()),
        ..sender.reader.clone()
    };
    page::draw(todos, &reader, sender.at, None, Some(refused)).await
}

fn parse_command(action: &str, form: &TodoForm) -> Result<TodoCommand, Problem> {
    match action {
        "complete" => Ok(TodoCommand::Complete),
        "reopen" => Ok(TodoCommand::Reopen),
        "delete" => Ok(TodoCommand::Delete),
        // A rename to an empty text deletes the todo.
        "rename" if form.is_blank() => Ok(TodoCommand::Delete),
        "rename" => Ok(TodoCommand::Rename {
            text: parse_text(&form.text)?,
        }),
        _ => Err(Problem::no_such_page()),
    }
}

fn parse_text(text: &str) -> Result<TodoText, Problem> {
    tidied(text)
        .parse()
        .map_err(|error| Problem::invalid("invalid-value", error))
}

fn parse_id(id: &str) -> Result<TodoId, Problem> {
    id.parse()
        .map_err(|error| Problem::invalid("invalid-value", error))
}

/// A form, or a [`Problem`] that the handler shows.
#[derive(Debug)]
pub(super) struct ProblemForm<T>(Result<T, Problem>);

impl<S: Send + Sync> FromRequest<S> for ProblemForm<TodoForm> {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let form = Form::from_request(request, state).await;
        Ok(Self(form.map(|Form(form)| form)))
    }
}

impl FromRequestParts<Arc<Todos>> for Sent {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<Todos>) -> Result<Self, Problem> {
        let Ok(browser) = Browser::from_request_parts(parts, state).await;
        let asked = Asked::from_request_parts(parts, state).await?;
        Ok(Self {
            browser,
            session: Session::from_request_parts(parts, state).await?,
            reader: Reader::from_request_parts(parts, state).await?,
            at: asked.location,
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Browser {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(if notice::is_datastar(&parts.headers) {
            Self::Datastar
        } else {
            Self::Plain
        })
    }
}
