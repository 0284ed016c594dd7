//! The page of a list, as HTML.

use axum::response::Response;
use ironstar_domain::todo::TodoId;
use ironstar_ports::Position;
use maud::{Markup, html};

use super::heading::Heading;
use super::location::Location;
use super::owner::Panel;
use super::parts::{item, nothing, summary, toggle_all};
use super::window::Cut;
use crate::edge::problem::Problem;
use crate::page::kit::{Banner, Button};
use crate::page::layout;
use crate::page::layout::Frame;
use crate::page::notice;

/// A form that was refused.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) problem: Problem,
    /// The typed text, so that the visitor need not type it again.
    pub(super) typed: Typed,
}

/// The text that a visitor typed into a refused form.
#[derive(Debug)]
pub(super) enum Typed {
    /// The form has no field for a text.
    Nothing,
    /// The text of a new todo.
    NewTodo(String),
    /// A new text for this todo.
    Rename(TodoId, String),
}

impl Refused {
    pub(super) fn new_todo(&self) -> &str {
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

/// A page of a list, and the todos on it.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) location: Location,
    pub(super) cut: Cut,
}

/// The parts of a whole page.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub(super) frame: &'a Frame,
    pub(super) heading: &'a Heading,
    /// The owner's controls; `None` for all other visitors.
    pub(super) panel: Option<&'a Panel>,
    pub(super) shown: &'a Shown,
    /// The beginning of the idempotency keys of the page's commands.
    pub(super) key: &'a str,
    pub(super) is_behind: bool,
    /// The refused form, with its text and the reason.
    pub(super) refused: Option<&'a Refused>,
}

impl Page<'_> {
    pub(super) fn draw(&self) -> Response {
        let at = self.shown.location;
        let refused = self.refused;
        let content = html! {
            main.page.todoapp data-page=(self.key) data-on:send=(layout::SEND) {
                (layout::connection(self.frame, &format!("/api/sse/todos{at}"), self.shown.cut.id()))
                header.header.masthead {
                    (self.heading.draw())
                    p #presence .presence {}
                }
                (notice::notices(refused.map(|refused| &*refused.problem.detail)))
                @if self.is_behind {
                    (Banner::Note.draw("This page may be out of date: the newest changes are still being processed."))
                }
                div.card {
                    @if at.may_be_edited() { (self.entry()) }
                    (section(self.shown, refused))
                }
                @if let Some(panel) = self.panel { (panel.draw()) }
            }
        };
        layout::page(self.frame, &self.heading.title, &content)
    }

    /// The form for a new todo, and the button that toggles all todos.
    fn entry(&self) -> Markup {
        let at = self.shown.location;
        html! {
            div.entry {
                (toggle_all(at, self.shown.cut.page.counts))
                form.composer action={ "/todos" (at) } method="post" {
                    (composer(self.key, self.refused.map_or("", Refused::new_todo)))
                }
            }
        }
    }
}

/// The field for a new todo.
pub(super) fn composer(key: &str, typed: &str) -> Markup {
    html! {
        input type="hidden" name="key" value=(key) autocomplete="off";
        input.new-todo name="text" value=(typed)
            aria-label="New todo" aria-describedby="notice"
            placeholder="What needs to be done?" autocomplete="off" dir="auto" autofocus;
        (Button::Primary.draw_as("add", "Add", None))
    }
}

/// The number of people who have the list open. A new page begins without the number,
/// because its own stream counts, too.
pub(super) fn presence(count: usize) -> Markup {
    html! {
        p #presence .presence {
            @if count == 1 { "Only you are here" } @else { (count) " people are here" }
        }
    }
}

/// The part of the page that changes with the log.
pub(super) fn section(shown: &Shown, refused: Option<&Refused>) -> Markup {
    let Shown { location: at, cut } = shown;
    let page = &cut.page;
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

/// The links to the other pages of a list that is too long for one page.
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
