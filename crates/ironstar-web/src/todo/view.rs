//! What the page shows: the list of todos as HTML, whole and in patches.
//!
//! No text of a user ever gets into a `data-*` attribute: those hold code. The
//! forms name their own addresses, so every expression is a constant.

use axum::response::Response;
use datastar::consts::ElementPatchMode;
use datastar::prelude::PatchElements;
use ironstar_app::{DecodeError, TodoChange, TodoItem, TodoList};
use ironstar_domain::{TodoId, TodoText};
use ironstar_ports::Envelope;
use maud::{Markup, PreEscaped, html};

use crate::layout;
use crate::live::View;
use crate::problem::Problem;

/// Opens the live stream, and opens it again whenever it ends.
const FOLLOW: &str = "@get('/api/sse/todos', {retry: 'always', retryInterval: 500, \
                      retryMaxWait: 5000, retryMaxCount: Infinity})";

/// Posts the form that it stands on.
const POST_FORM: &str = "@post(el.action, {contentType: 'form'})";

/// Begins to edit with what the todo says by now, whatever it said when the
/// editor was made.
const BEGIN_TO_EDIT: &str = "if (el.open) { const field = el.querySelector('.edit'); \
     field.value = el.closest('li').querySelector('.text').textContent; field.focus(); }";

/// The signals of a new page: nothing is typed. Names that begin with an
/// underscore stay in the browser.
pub(super) const EMPTY_FIELD: &str = r#"{"_text": ""}"#;

/// A form that was not carried out.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) problem: Problem,
    /// What was typed, so that it need not be typed again.
    pub(super) typed: Typed,
}

/// What a form has held.
#[derive(Debug)]
pub(super) enum Typed {
    /// Nothing that was typed.
    Nothing,
    /// The text of a new todo.
    NewTodo(String),
    /// A new text for this todo.
    Rename(TodoId, String),
}

impl Refused {
    fn new_todo(&self) -> &str {
        match &self.typed {
            Typed::NewTodo(text) => text,
            Typed::Nothing | Typed::Rename(..) => "",
        }
    }

    fn rename_of(&self, todo: TodoId) -> Option<&str> {
        match &self.typed {
            Typed::Rename(id, text) if *id == todo => Some(text),
            Typed::Nothing | Typed::NewTodo(_) | Typed::Rename(..) => None,
        }
    }
}

/// The list of todos, as pages show it.
#[derive(Debug, Default)]
pub(super) struct TodoView {
    list: TodoList,
}

impl TodoView {
    /// The whole page, with what was typed and why it was refused, if so.
    pub(super) fn page(&self, refused: Option<&Refused>) -> Response {
        let typed = refused.map_or("", Refused::new_todo);
        let content = html! {
            main.app data-init=(FOLLOW) {
                header.masthead {
                    (star())
                    h1 { "todos" }
                    p { "Shared by everyone who has this page open." }
                }
                form.composer action="/todos" method="post" data-on:submit=(POST_FORM) {
                    input.new-todo name="text" data-bind="_text" value=(typed)
                        aria-label="New todo" aria-describedby="notice"
                        placeholder="What needs to be done?" autocomplete="off" dir="auto" autofocus;
                    button.add { "Add" }
                }
                (notice(refused))
                (self.section(refused))
            }
        };
        layout::page("ironstar · todos", &content)
    }

    /// The part of the page that the log decides.
    fn section(&self, refused: Option<&Refused>) -> Markup {
        html! {
            section #todos aria-label="Todos" {
                ul #todo-list .todo-list {
                    @for todo in self.list.iter() {
                        (item(todo, refused.and_then(|refused| refused.rename_of(todo.id))))
                    }
                }
                p.empty { "Nothing to do. Add your first todo above." }
                (self.summary())
            }
        }
    }

    fn summary(&self) -> Markup {
        let active = self.list.active();
        let noun = if active == 1 { "item" } else { "items" };
        html! {
            footer #todo-summary .summary hidden[self.list.is_empty()] {
                p.todo-count { strong { (active) } " " (noun) " left" }
            }
        }
    }
}

impl View for TodoView {
    type Change = TodoChange;

    fn apply(&mut self, event: &Envelope) -> Result<Option<TodoChange>, DecodeError> {
        self.list.apply(event)
    }

    fn render_change(&self, change: &TodoChange) -> Vec<PatchElements> {
        let summary = self.summary();
        match change {
            TodoChange::Added(todo) => vec![
                PatchElements::new(summary.into_string()),
                PatchElements::new(item(todo, None).into_string())
                    .selector("#todo-list")
                    .mode(ElementPatchMode::Append),
            ],
            TodoChange::Changed(todo) => {
                let both = html! { (item(todo, None)) (summary) };
                vec![PatchElements::new(both.into_string())]
            }
            TodoChange::Removed(id) => vec![
                PatchElements::new(summary.into_string()),
                PatchElements::new_remove(format!("#{}", element_id(*id))),
            ],
        }
    }

    fn render_whole(&self) -> PatchElements {
        PatchElements::new(self.section(None).into_string())
    }
}

/// Where the page says why something was refused; empty if nothing was.
pub(super) fn notice(refused: Option<&Refused>) -> Markup {
    html! {
        p #notice .notice role="alert" {
            @if let Some(refused) = refused { (refused.problem.detail) }
        }
    }
}

/// A todo in the list; with its editor open, if a draft of it was refused.
fn item(todo: &TodoItem, draft: Option<&str>) -> Markup {
    let text = todo.text.as_str();
    let toggle = if todo.completed { "reopen" } else { "complete" };
    html! {
        li id=(element_id(todo.id)) class=[todo.completed.then_some("completed")] {
            form action=(path(todo.id, toggle)) method="post" data-on:submit=(POST_FORM) {
                button.toggle role="checkbox" aria-checked=(todo.completed) aria-label=(text) { (check()) }
            }
            span.text dir="auto" { (text) }
            // What others do to the todo leaves an open editor and its draft alone.
            (editor(todo.id, text, draft, Some("open"), Some("value")))
            form action=(path(todo.id, "delete")) method="post" data-on:submit=(POST_FORM) {
                button.destroy aria-label={ "Delete " (text) } title="Delete" { (cross()) }
            }
        }
    }
}

/// The editor of a todo, as it is once its form was carried out: closed.
pub(super) fn closed_editor(id: TodoId, text: &TodoText) -> Markup {
    editor(id, text.as_str(), None, None, None)
}

/// An editor, and which attributes of it and of its field a patch leaves as
/// they are.
fn editor(
    id: TodoId,
    text: &str,
    draft: Option<&str>,
    keep: Option<&str>,
    keep_field: Option<&str>,
) -> Markup {
    html! {
        details.editor id=(format!("editor-{id}")) open[draft.is_some()]
            data-on:toggle=(BEGIN_TO_EDIT) data-preserve-attr=[keep] {
            summary aria-label={ "Edit " (text) } title="Edit" { (pencil()) }
            form action=(path(id, "rename")) method="post" data-on:submit=(POST_FORM) {
                input.edit name="text" value=(draft.unwrap_or(text)) required dir="auto"
                    data-preserve-attr=[keep_field] aria-label={ "New text for " (text) }
                    autocomplete="off";
                button { "Save" }
            }
        }
    }
}

fn path(id: TodoId, action: &str) -> String {
    format!("/todos/{id}/{action}")
}

fn element_id(id: TodoId) -> String {
    format!("todo-{id}")
}

fn star() -> Markup {
    icon(
        "star",
        "M16 3l3.5 9L29 13.4l-7.3 6.4L24 29l-8-5-8 5 2.3-9.2L3 13.4 12.5 12z",
    )
}

fn check() -> Markup {
    icon("check", "M8 17l6 6 11-14")
}

fn pencil() -> Markup {
    icon("pencil", "M6 26l2-7L21 6l5 5-13 13zM18 9l5 5")
}

fn cross() -> Markup {
    icon("cross", "M8 8l16 16M24 8L8 24")
}

fn icon(name: &str, path: &str) -> Markup {
    let class = PreEscaped(format!("icon {name}"));
    html! {
        svg class=(class) viewBox="0 0 32 32" aria-hidden="true" { path d=(path) {} }
    }
}
