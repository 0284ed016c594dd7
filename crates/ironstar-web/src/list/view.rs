//! What the page of all lists shows.

use axum::response::Response;
use ironstar_app::list::ListItem;
use maud::{Markup, html};

use super::AllLists;
use crate::icon::{pencil, star};
use crate::layout;

pub(super) fn page(lists: &AllLists) -> Response {
    let content = html! {
        main.app {
            header.masthead {
                (star())
                h1 { "lists" }
                p { "Every list has a page of its own, and everyone can take part." }
            }
            form.composer action="/lists" method="post" {
                input.new-todo name="name" aria-label="Name of a new list" required
                    placeholder="What is it about?" autocomplete="off" dir="auto";
                button.add { "Create" }
            }
            section #lists aria-label="Lists" {
                ul.todo-list.lists {
                    li { span.text { a href="/" { "todos" } " " small { "shared by everyone" } } }
                    @for list in &lists.open { (item(list)) }
                }
            }
            @if !lists.archived.is_empty() {
                section.archived aria-label="Archived lists" {
                    h2 { "Archived" }
                    ul.todo-list.lists {
                        @for list in &lists.archived { (item(list)) }
                    }
                }
            }
        }
    };
    layout::page("ironstar · lists", &content)
}

fn item(list: &ListItem) -> Markup {
    let name = list.name.as_str();
    let address = format!("/lists/{}", list.id);
    html! {
        li class=[list.archived.then_some("completed")] {
            span.text dir="auto" { a href=(address) { (name) } }
            @if list.archived {
                form action={ (address) "/restore" } method="post" {
                    button.quiet aria-label={ "Restore " (name) } { "Restore" }
                }
            } @else {
                details.editor {
                    summary aria-label={ "Rename " (name) } title="Rename" { (pencil()) }
                    form action={ (address) "/rename" } method="post" {
                        input.edit name="name" value=(name) required dir="auto"
                            aria-label={ "New name for " (name) } autocomplete="off";
                        button { "Save" }
                    }
                }
                form action={ (address) "/archive" } method="post" {
                    button.quiet aria-label={ "Archive " (name) } { "Archive" }
                }
            }
        }
    }
}
