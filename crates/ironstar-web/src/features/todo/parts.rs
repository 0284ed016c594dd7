//! The parts of a page of todos. Their class names are those of the TodoMVC application
//! specification.
//!
//! No text of a visitor ever gets into a `data-*` attribute, because these hold code.

use ironstar_app::todo::{Show, TodoCounts, TodoItem};
use ironstar_domain::todo::{TodoId, TodoText};
use maud::{Markup, html};

use super::location::Location;
use crate::page::icon::{check, chevron, cross, pencil};
use crate::page::kit::{Button, empty_state};

/// The number of characters of a todo's text in the names of its controls.
const NAME_CHARS: usize = 80;

/// A todo in the list. Its editor is open if a draft of its text was refused.
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
                // A patch after another visitor's change keeps an open editor and its draft.
                (editor(todo.id, text, at, draft, Some("open"), Some("value")))
                form.remove action=(path(todo.id, "delete", at)) method="post" {
                    button.destroy aria-label={ "Delete " (name) } title="Delete" { (cross()) }
                }
            }
        }
    }
}

/// The closed editor of a todo, after its form was carried out.
pub(super) fn closed_editor(id: TodoId, text: &TodoText, at: Location) -> Markup {
    editor(id, text.as_str(), at, None, None, None)
}

/// An editor. A patch leaves the attribute `keep` of it, and `keep_field` of its field, as
/// they are. All editors share a name, so the browser has at most one open.
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

/// The button that completes or reopens all todos at once.
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

/// The text in place of the todos of an empty page.
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

/// The number of active todos, the filters, and the button that clears completed todos.
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

/// The beginning of a text, for the name of a control.
fn shortened(text: &str) -> String {
    let mut chars = text.chars();
    let mut name: String = chars.by_ref().take(NAME_CHARS).collect();
    if chars.next().is_some() {
        name.push('…');
    }
    name
}
