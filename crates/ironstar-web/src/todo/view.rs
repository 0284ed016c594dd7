//! What the pages of todos show, whole and in patches.
//!
//! No text of a user ever gets into a `data-*` attribute: those hold code. The
//! forms name their own addresses, so every expression is a constant, but for
//! the one that follows the page: that names a list by its id.

use axum::response::Response;
use datastar::consts::ElementPatchMode;
use datastar::prelude::PatchElements;
use futures::FutureExt;
use futures::future::BoxFuture;
use ironstar_app::list::ListItem;
use ironstar_app::projection::{Changed, Changes, ReadError};
use ironstar_app::todo::{
    Show, TodoCounts, TodoDocument, TodoItem, TodoLists, TodoPage, TodoProjection, counts_key,
};
use ironstar_domain::{TodoId, TodoText};
use ironstar_ports::Position;
use maud::{Markup, html};

use super::location::Location;
use crate::icon::{check, cross, pencil, star};
use crate::layout;
use crate::live::{Drawing, View};
use crate::problem::Problem;

/// How many todos a page shows.
pub(super) const PAGE: usize = 500;

/// How many todos are patched one by one; a page where more have changed is
/// drawn anew.
const PATCHED: usize = 100;

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

/// What stands above a list.
#[derive(Debug)]
pub(super) struct Heading {
    title: String,
    note: &'static str,
    is_archived: bool,
}

impl Heading {
    pub(super) fn shared() -> Self {
        Self {
            title: "todos".to_owned(),
            note: "Shared by everyone who has this page open.",
            is_archived: false,
        }
    }

    pub(super) fn of(list: &ListItem) -> Self {
        let note = if list.archived {
            "Archived: it takes no new todos until it is restored."
        } else {
            "A list that everyone shares."
        };
        Self {
            title: list.name.to_string(),
            note,
            is_archived: list.archived,
        }
    }
}

/// A part of a list, and what is in it.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) location: Location,
    pub(super) page: TodoPage,
}

/// The whole page, with what was typed and why it was refused, if so.
pub(super) fn page(
    heading: &Heading,
    shown: &Shown,
    is_behind: bool,
    refused: Option<&Refused>,
) -> Response {
    let at = shown.location;
    let typed = refused.map_or("", Refused::new_todo);
    let content = html! {
        main.app data-init=(follow(at)) {
            header.masthead {
                (star())
                h1 dir="auto" { (heading.title) }
                p { (heading.note) " " a href="/lists" { "All lists" } }
            }
            @if !heading.is_archived {
                form.composer action={ "/todos" (at) } method="post" data-on:submit=(POST_FORM) {
                    input.new-todo name="text" data-bind="_text" value=(typed)
                        aria-label="New todo" aria-describedby="notice"
                        placeholder="What needs to be done?" autocomplete="off" dir="auto" autofocus;
                    button.add { "Add" }
                }
            }
            (notice(refused))
            @if is_behind {
                p.behind role="status" { "This page may be out of date: the newest changes are still being worked in." }
            }
            (section(shown, refused))
        }
    };
    layout::page(&format!("ironstar · {}", heading.title), &content)
}

/// Opens the live stream, and opens it again whenever it ends.
fn follow(at: Location) -> String {
    format!(
        "@get('/api/sse/todos{at}', {{retry: 'always', retryInterval: 500, \
         retryMaxWait: 5000, retryMaxCount: Infinity}})"
    )
}

/// The part of the page that the log decides.
fn section(shown: &Shown, refused: Option<&Refused>) -> Markup {
    let Shown { location: at, page } = shown;
    html! {
        section #todos aria-label="Todos" {
            ul #todo-list .todo-list {
                @for todo in &page.todos {
                    (item(todo, *at, refused.and_then(|refused| refused.rename_of(todo.id))))
                }
            }
            p.empty { (nothing(*at)) }
            @if let Some(next) = page.next {
                @let next = Location { after: Some(next), ..*at };
                p.more { a href=(next.page()) { "Next page" } }
            }
            (summary(*at, page.counts))
        }
    }
}

/// What stands there if there is nothing to show.
fn nothing(at: Location) -> &'static str {
    match (at.show, at.after) {
        (_, Some(_)) => "There are no more.",
        (Show::All, None) => "Nothing to do. Add your first todo above.",
        (Show::Active, None) => "Nothing left to do.",
        (Show::Completed, None) => "Nothing is done yet.",
    }
}

/// The counts, the filters, and what can be done to all todos at once.
fn summary(at: Location, counts: TodoCounts) -> Markup {
    let noun = if counts.active == 1 { "item" } else { "items" };
    let all = Location::of(at.list);
    html! {
        footer #todo-summary .summary hidden[counts.all() == 0] {
            p.todo-count { strong { (counts.active) } " " (noun) " left" }
            nav.filters aria-label="Filter" {
                @for (show, label) in [(Show::All, "All"), (Show::Active, "Active"), (Show::Completed, "Completed")] {
                    a href=(all.showing(show).page()) aria-current=[(show == at.show).then_some("page")] { (label) }
                }
            }
            div.at-once {
                @if counts.active > 0 { (at_once("complete-all", "Complete all", at)) }
                @else { (at_once("reopen-all", "Reopen all", at)) }
                @if counts.completed > 0 { (at_once("clear-completed", "Clear completed", at)) }
            }
        }
    }
}

/// A button that does something to all todos of a list.
fn at_once(action: &str, label: &str, at: Location) -> Markup {
    html! {
        form action={ "/todos/" (action) (at) } method="post" data-on:submit=(POST_FORM) {
            button class=(action) { (label) }
        }
    }
}

/// A part of a list that somebody watches.
#[derive(Debug)]
pub(super) struct TodoView {
    pub(super) location: Location,
    pub(super) lists: TodoLists,
}

/// What has changed about the todos that a view shows.
#[derive(Debug, Default)]
struct Difference<'a> {
    counts: Option<TodoCounts>,
    /// In no order yet.
    added: Vec<&'a TodoItem>,
    changed: Vec<&'a TodoItem>,
    removed: Vec<&'a TodoItem>,
    /// Some have come into view that are not new.
    is_mixed: bool,
}

impl Difference<'_> {
    /// How many todos have changed.
    fn len(&self) -> usize {
        self.added.len() + self.changed.len() + self.removed.len()
    }
}

impl View for TodoView {
    type Projection = TodoProjection;

    fn draw(&self, changes: &Changes<TodoDocument>) -> Drawing {
        let mut difference = self.difference(changes);
        if difference.len() > PATCHED {
            return Drawing::Whole;
        }
        let Some(shown) = difference.counts.map(|counts| self.shown(counts)) else {
            let Difference {
                added,
                changed,
                removed,
                is_mixed,
                ..
            } = difference;
            return match (&*added, &*removed, is_mixed, &*changed) {
                ([], [], false, []) => Drawing::Nothing,
                ([], [], false, changed) => Drawing::Patches(vec![self.items(changed, None)]),
                _ => Drawing::Whole,
            };
        };
        let (added, removed) = (difference.added.len(), difference.removed.len());
        let most = shown + removed as u64;
        let moves = added + removed > 0;
        let is_first = self.location.after.is_none();
        let fits = is_first && most <= PAGE as u64;
        // What is added behind a page that is full is counted, and not shown.
        let is_behind = is_first && removed == 0 && shown - (added as u64) > PAGE as u64;
        if difference.is_mixed || (moves && !fits && !is_behind) {
            return Drawing::Whole;
        }
        if is_behind {
            difference.added.clear();
        }
        let summary = difference
            .counts
            .map(|counts| summary(self.location, counts));
        let mut patches = vec![self.items(&difference.changed, summary)];
        for todo in &difference.removed {
            patches.push(PatchElements::new_remove(format!(
                "#{}",
                element_id(todo.id)
            )));
        }
        if !difference.added.is_empty() {
            difference.added.sort_by_key(|todo| todo.created);
            // Not idempotent, so it comes last.
            patches.push(
                self.items(&difference.added, None)
                    .selector("#todo-list")
                    .mode(ElementPatchMode::Append),
            );
        }
        Drawing::Patches(patches)
    }

    fn draw_whole(&self) -> BoxFuture<'_, Result<(Position, PatchElements), ReadError>> {
        async move {
            let Location { list, show, after } = self.location;
            let page = self.lists.page(list, show, after, PAGE).await?;
            let position = page.position;
            let shown = Shown {
                location: self.location,
                page,
            };
            let whole = section(&shown, None).into_string();
            Ok((position, PatchElements::new(whole)))
        }
        .boxed()
    }
}

impl TodoView {
    /// How many todos there are to show.
    fn shown(&self, counts: TodoCounts) -> u64 {
        match self.location.show {
            Show::All => counts.all(),
            Show::Active => counts.active,
            Show::Completed => counts.completed,
        }
    }

    fn difference<'a>(&self, changes: &'a Changes<TodoDocument>) -> Difference<'a> {
        let Location { list, show, .. } = self.location;
        let counts = counts_key(list);
        let mut difference = Difference::default();
        for (key, document) in &changes.documents {
            if *key == counts {
                let after = document.after.as_deref().cloned();
                let after = after.and_then(TodoDocument::counts);
                difference.counts = Some(after.unwrap_or_default());
            }
            let (was, is) = todos(document);
            let is_here = |todo: &&TodoItem| todo.list == list && shows(show, todo);
            match (was.filter(is_here), is.filter(is_here)) {
                (None, None) => {}
                (None, Some(todo)) if was.is_none() => difference.added.push(todo),
                (None, Some(_)) => difference.is_mixed = true,
                (Some(_), Some(todo)) => difference.changed.push(todo),
                (Some(todo), None) => difference.removed.push(todo),
            }
        }
        difference
    }

    /// The patch that shows these todos as they are, and more.
    fn items(&self, todos: &[&TodoItem], more: Option<Markup>) -> PatchElements {
        let items = html! {
            @for todo in todos { (item(todo, self.location, None)) }
            @if let Some(more) = more { (more) }
        };
        PatchElements::new(items.into_string())
    }
}

/// The todo that a document was, and the one that it is.
fn todos(document: &Changed<TodoDocument>) -> (Option<&TodoItem>, Option<&TodoItem>) {
    (
        of(document.before.as_deref()),
        of(document.after.as_deref()),
    )
}

fn of(document: Option<&TodoDocument>) -> Option<&TodoItem> {
    match document? {
        TodoDocument::Todo(todo) => Some(todo),
        TodoDocument::Counts(_) => None,
    }
}

fn shows(show: Show, todo: &TodoItem) -> bool {
    match show {
        Show::All => true,
        Show::Active => !todo.completed,
        Show::Completed => todo.completed,
    }
}

/// Where the page says why something was refused; empty if nothing was.
pub(super) fn notice(refused: Option<&Refused>) -> Markup {
    crate::notice::notice(refused.map(|refused| &*refused.problem.detail))
}

/// A todo in the list; with its editor open, if a draft of it was refused.
fn item(todo: &TodoItem, at: Location, draft: Option<&str>) -> Markup {
    let text = todo.text.as_str();
    let toggle = if todo.completed { "reopen" } else { "complete" };
    html! {
        li id=(element_id(todo.id)) class=[todo.completed.then_some("completed")] {
            form action=(path(todo.id, toggle, at)) method="post" data-on:submit=(POST_FORM) {
                button.toggle role="checkbox" aria-checked=(todo.completed) aria-label=(text) { (check()) }
            }
            span.text dir="auto" { (text) }
            // What others do to the todo leaves an open editor and its draft alone.
            (editor(todo.id, text, at, draft, Some("open"), Some("value")))
            form action=(path(todo.id, "delete", at)) method="post" data-on:submit=(POST_FORM) {
                button.destroy aria-label={ "Delete " (text) } title="Delete" { (cross()) }
            }
        }
    }
}

/// The editor of a todo, as it is once its form was carried out: closed.
pub(super) fn closed_editor(id: TodoId, text: &TodoText, at: Location) -> Markup {
    editor(id, text.as_str(), at, None, None, None)
}

/// An editor, and which attributes of it and of its field a patch leaves as
/// they are.
fn editor(
    id: TodoId,
    text: &str,
    at: Location,
    draft: Option<&str>,
    keep: Option<&str>,
    keep_field: Option<&str>,
) -> Markup {
    html! {
        details.editor id=(format!("editor-{id}")) open[draft.is_some()]
            data-on:toggle=(BEGIN_TO_EDIT) data-preserve-attr=[keep] {
            summary aria-label={ "Edit " (text) } title="Edit" { (pencil()) }
            form action=(path(id, "rename", at)) method="post" data-on:submit=(POST_FORM) {
                input.edit name="text" value=(draft.unwrap_or(text)) required dir="auto"
                    data-preserve-attr=[keep_field] aria-label={ "New text for " (text) }
                    autocomplete="off";
                button { "Save" }
            }
        }
    }
}

fn path(id: TodoId, action: &str, at: Location) -> String {
    format!("/todos/{id}/{action}{at}")
}

fn element_id(id: TodoId) -> String {
    format!("todo-{id}")
}
