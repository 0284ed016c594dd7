//! What a page of todos is made of. The names of its classes are those of the
//! TodoMVC application specification.
//!
//! No text of a user ever gets into a `data-*` attribute: those hold code.

use ironstar_app::todo::{Show, TodoCounts, TodoItem};
use ironstar_domain::todo::{TodoId, TodoText};
use maud::{Markup, html};

use super::location::Location;
use crate::page::icon::{check, chevron, cross, pencil};
use crate::page::kit::{Button, empty_state};

/// How much of a todo's text is in the names of its controls.
const NAME_CHARS: usize = 80;

/// A todo in the list; with its editor open, if a draft of it was refused.
pub(super) fn item(todo: &TodoItem, at: Location, draft: Option<&str>) -> Markup {
    let text = todo.text.as_str();
    let name = shortened(text);
    let toggle = if todo.completed { "reopen" } else { "complete" };
    html! {
        li id=(element_id(todo.id)) class=[todo.completed.then_some("completed")] {
            div.view {
                @if at.may_be_edited() {
                    form action=(path(todo.id, toggle, at)) method="post" {
                        button.toggle role="checkbox" aria-checked=(todo.completed) aria-label=(name) { (check()) }
                    }
                } @else {
                    span.toggle role="img" aria-label=(if todo.completed { "Completed" } else { "Active" }) { (check()) }
                }
                label dir="auto" { (text) }
            }
            @if at.may_be_edited() {
                // What others do to the todo leaves an open editor and its draft alone.
                (editor(todo.id, text, at, draft, Some("open"), Some("value")))
                form.remove action=(path(todo.id, "delete", at)) method="post" {
                    button.destroy aria-label={ "Delete " (name) } title="Delete" { (cross()) }
                }
            }
        }
    }
}

/// The editor of a todo, as it is once its form was carried out: closed.
pub(super) fn closed_editor(id: TodoId, text: &TodoText, at: Location) -> Markup {
    editor(id, text.as_str(), at, None, None, None)
}

/// An editor, and which attributes of it and of its field a patch leaves as
/// they are. The browser has one open at a time, for they share a name.
fn editor(
    id: TodoId,
    text: &str,
    at: Location,
    draft: Option<&str>,
    keep: Option<&str>,
    keep_field: Option<&str>,
) -> Markup {
    let name = shortened(text);
    html! {
        details.editor id={ "editor-" (id) } name="editor" open[draft.is_some()] data-preserve-attr=[keep] {
            summary aria-label={ "Edit " (name) } title="Edit" { (pencil()) (cross()) }
            form action=(path(id, "rename", at)) method="post" {
                input.edit name="text" value=(draft.unwrap_or(text)) dir="auto"
                    data-preserve-attr=[keep_field] aria-label={ "New text for " (name) }
                    autocomplete="off";
                (Button::Primary.draw("Save"))
            }
        }
    }
}

/// The toggle of all todos at once.
pub(super) fn toggle_all(at: Location, counts: TodoCounts) -> Markup {
    let is_done = counts.active == 0;
    let action = if is_done {
        "reopen-all"
    } else {
        "complete-all"
    };
    if !at.may_be_edited() {
        return Markup::default();
    }
    html! {
        form #toggle-all action={ "/todos/" (action) (at) } method="post" hidden[counts.all() == 0] {
            button.toggle-all role="checkbox" aria-checked=(is_done)
                aria-label="Mark all as complete" title="Mark all as complete" { (chevron()) }
        }
    }
}

/// What stands there if there is nothing to show.
pub(super) fn nothing(at: Location, counts: TodoCounts) -> Markup {
    let text = match (at.show, at.after) {
        _ if counts.all() == 0 => "Nothing to do.",
        (_, Some(_)) => "There are no more.",
        (Show::All, None) => "Nothing to show.",
        (Show::Active, None) => "Nothing left to do.",
        (Show::Completed, None) => "Nothing is done yet.",
    };
    let content = html! {
        (text)
        @if counts.all() == 0 && at.may_be_edited() { span.hint { " Add your first todo above." } }
    };
    html! { div #nothing { (empty_state(content)) } }
}

/// The counts, the filters, and what can be done to those that are done.
pub(super) fn summary(at: Location, counts: TodoCounts) -> Markup {
    let noun = if counts.active == 1 { "item" } else { "items" };
    html! {
        footer #todo-summary .footer hidden[counts.all() == 0] {
            p.todo-count role="status" { strong { (counts.active) } " " (noun) " left" }
            nav aria-label="Filter" {
                ul.filters {
                    @for (show, label) in [(Show::All, "All"), (Show::Active, "Active"), (Show::Completed, "Completed")] {
                        @let is_shown = show == at.show;
                        li {
                            a href=(at.showing(show).page()) class=[is_shown.then_some("selected")]
                                aria-current=[is_shown.then_some("page")] { (label) }
                        }
                    }
                }
            }
            @if counts.completed > 0 && at.may_be_edited() {
                form.at-once action={ "/todos/clear-completed" (at) } method="post" {
                    (Button::Quiet.draw_as("clear-completed", "Clear completed", None))
                }
            }
        }
    }
}

fn path(id: TodoId, action: &str, at: Location) -> String {
    format!("/todos/{id}/{action}{at}")
}

pub(super) fn element_id(id: TodoId) -> String {
    format!("todo-{id}")
}

/// As much of a text as a name needs.
fn shortened(text: &str) -> String {
    let mut chars = text.chars();
    let mut name: String = chars.by_ref().take(NAME_CHARS).collect();
    if chars.next().is_some() {
        name.push('…');
    }
    name
}
