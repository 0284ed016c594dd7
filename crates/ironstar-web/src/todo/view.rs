//! What the pages of todos show, whole and in patches.

use axum::response::Response;
use datastar::consts::ElementPatchMode;
use datastar::prelude::PatchElements;
use futures::FutureExt;
use futures::future::BoxFuture;
use ironstar_app::projection::{Changed, Changes, ReadError};
use ironstar_app::todo::{
    Show, TodoCounts, TodoDocument, TodoItem, TodoLists, TodoPage, TodoProjection, counts_key,
};
use ironstar_domain::TodoId;
use ironstar_ports::Position;
use maud::{Markup, html};

use super::heading::Heading;
use super::location::Location;
use super::parts::{element_id, item, nothing, summary, toggle_all};
use crate::kit::{Banner, Button};
use crate::live::{Drawing, View};
use crate::problem::Problem;
use crate::{layout, notice};

/// How many todos a page shows.
pub(super) const PAGE: usize = 50;

/// How many todos are patched one by one; a page where more have changed is
/// drawn anew.
const PATCHED: usize = 20;

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

/// A part of a list, and what is in it.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) location: Location,
    pub(super) page: TodoPage,
}

/// The whole page, with what was typed and why it was refused, if so. Its key is
/// where those of its commands begin.
pub(super) fn page(
    heading: &Heading,
    shown: &Shown,
    key: &str,
    is_behind: bool,
    refused: Option<&Refused>,
) -> Response {
    let at = shown.location;
    let typed = refused.map_or("", Refused::new_todo);
    let content = html! {
        main.page.todoapp data-page=(key) data-on:send=(layout::SEND) {
            header.header.masthead {
                (heading.draw())
                p #presence .presence {}
            }
            (layout::connection(&format!("/api/sse/todos{at}"), shown.page.position))
            (notice::notices(refused.map(|refused| &*refused.problem.detail)))
            @if is_behind {
                (Banner::Note.draw("This page may be out of date: the newest changes are still being worked in."))
            }
            div.card {
                div.entry {
                    (toggle_all(at, shown.page.counts))
                    form.composer action={ "/todos" (at) } method="post" {
                        input type="hidden" name="key" value=(key) autocomplete="off";
                        input.new-todo name="text" value=(typed)
                            aria-label="New todo" aria-describedby="notice"
                            placeholder="What needs to be done?" autocomplete="off" dir="auto" autofocus;
                        (Button::Primary.draw_as("add", "Add", None))
                    }
                }
                (section(shown, refused))
            }
        }
    };
    layout::page(&format!("ironstar · {}", heading.title), &content)
}

/// How many people have the list open. The page comes without: its own stream
/// counts, too.
pub(super) fn presence(count: usize) -> Markup {
    html! {
        p #presence .presence {
            @if count == 1 { "Only you are here" } @else { (count) " people are here" }
        }
    }
}

/// The part of the page that the log decides.
fn section(shown: &Shown, refused: Option<&Refused>) -> Markup {
    let Shown { location: at, page } = shown;
    html! {
        section #todos aria-label="Todos" {
            div.main {
                ul #todo-list .todo-list {
                    @for todo in &page.todos {
                        (item(todo, *at, refused.and_then(|refused| refused.rename_of(todo.id))))
                    }
                }
            }
            (nothing(*at, page.counts))
            (more(*at, page.next))
        }
        (summary(*at, page.counts))
    }
}

/// The ways to the rest of a list that is not shown as a whole.
fn more(at: Location, next: Option<Position>) -> Markup {
    html! {
        nav #more .more aria-label="Pages" hidden[at.after.is_none() && next.is_none()] {
            @if at.after.is_some() {
                a href=(at.showing(at.show).page()) { "First page" }
            }
            @if let Some(next) = next {
                @let next = Location { after: Some(next), ..at };
                a href=(next.page()) rel="next" { "Next page" }
            }
        }
    }
}

/// All that depends on the counts.
fn counted(at: Location, counts: TodoCounts) -> Markup {
    html! {
        (toggle_all(at, counts))
        (nothing(at, counts))
        (summary(at, counts))
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

    fn concerns(&self, key: &str, changed: &Changed<TodoDocument>) -> bool {
        let Location { list, show, .. } = self.location;
        let is_here = |todo: &TodoItem| todo.list == list && shows(show, todo);
        let (was, is) = todos(changed);
        was.is_some_and(is_here) || is.is_some_and(is_here) || key == counts_key(list)
    }

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
            .map(|counts| counted(self.location, counts));
        let mut patches = vec![self.items(&difference.changed, summary)];
        let removed = difference.removed.iter();
        let removed: Vec<String> = removed
            .map(|todo| format!("#{}", element_id(todo.id)))
            .collect();
        if !removed.is_empty() {
            patches.push(PatchElements::new_remove(removed.join(",")));
        }
        if !difference.added.is_empty() {
            difference.added.sort_by_key(|todo| todo.created);
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
            let whole = html! {
                (toggle_all(shown.location, shown.page.counts))
                (section(&shown, None))
            };
            Ok((position, PatchElements::new(whole.into_string())))
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
