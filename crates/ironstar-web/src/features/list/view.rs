//! The page of all lists, as HTML.

use axum::response::Response;
use ironstar_app::list::ListItem;
use maud::{Markup, html};

use super::live::AllLists;
use crate::page::icon::{cross, pencil, star};
use crate::page::kit::{Button, empty_state};
use crate::page::layout::{self, Frame};
use crate::page::notice;

/// The whole page. `key` is the idempotency key of its form: submitting it twice creates one
/// list.
pub(super) fn page(frame: &Frame, all: &AllLists, key: &str) -> Response {
    let content = html! {
        main.page.lists {
            (layout::connection(frame, "/api/sse/lists", all.place.into()))
            header.masthead {
                (star())
                h1 { "lists" }
                p.note { (whose(frame)) }
            }
            (notice::notices(None))
            div.card {
                div.entry {
                    form.composer action="/lists" method="post" {
                        input type="hidden" name="key" value=(key) autocomplete="off";
                        input.new-list name="name" aria-label="Name of a new list" required
                            placeholder="What is it about?" autocomplete="off" dir="auto";
                        (Button::Primary.draw("Create"))
                    }
                }
                (in_use(all))
            }
            (everyones(all))
            (archived(all))
        }
    };
    layout::page(frame, "lists", &content)
}

/// The part of the page that changes with the log.
pub(super) fn lists(all: &AllLists) -> Markup {
    html! { (in_use(all)) (everyones(all)) (archived(all)) }
}

fn in_use(all: &AllLists) -> Markup {
    html! {
        section #lists aria-label="My lists" {
            @let mut own = all.open.iter().filter(|list| list.owner.is_some()).peekable();
            @if own.peek().is_none() {
                (empty_state("You have no list yet. Create one above."))
            } @else {
                ul.rows { @for list in own { (item(list)) } }
            }
        }
    }
}

/// The shared list, and the lists from before lists had owners.
fn everyones(all: &AllLists) -> Markup {
    html! {
        section #everyones .put-away aria-labelledby="everyones-name" {
            h2 #everyones-name { "Everyone’s" }
            div.card {
                ul.rows {
                    li { span.text { a href="/lists/shared" { "todos" } } }
                    @for list in all.open.iter().filter(|list| list.owner.is_none()) { (item(list)) }
                }
            }
        }
    }
}

fn archived(all: &AllLists) -> Markup {
    html! {
        section #put-away .put-away aria-labelledby="archived" hidden[all.archived.is_empty()] {
            h2 #archived { "Archived" }
            div.card {
                ul.rows {
                    @for list in &all.archived { (item(list)) }
                }
            }
        }
    }
}

/// The owner of the lists, and the way to get them on other devices.
fn whose(frame: &Frame) -> String {
    match frame.can_sign_in() {
        Some(provider) => {
            format!("Yours, on this device. Sign in with {provider} to have them everywhere.")
        }
        None => "Yours: only you see them, unless you share a link.".to_owned(),
    }
}

fn item(list: &ListItem) -> Markup {
    let name = list.name.as_str();
    let address = format!("/lists/{}", list.id);
    html! {
        li id={ "list-" (list.id) } class=[list.archived.then_some("completed")] {
            span.text dir="auto" { a href=(address) { (name) } }
            @if list.archived {
                form action={ (address) "/restore" } method="post" {
                    (Button::Quiet.draw_as("", "Restore", Some(&format!("Restore {name}"))))
                }
            } @else {
                // A patch after a change on another page keeps an open editor and its draft.
                details.editor id={ "editor-" (list.id) } name="editor" data-preserve-attr="open" {
                    summary aria-label={ "Rename " (name) } title="Rename" { (pencil()) (cross()) }
                    form action={ (address) "/rename" } method="post" {
                        input.edit name="name" value=(name) required dir="auto"
                            data-preserve-attr="value" aria-label={ "New name for " (name) } autocomplete="off";
                        (Button::Primary.draw("Save"))
                    }
                }
                form action={ (address) "/archive" } method="post" {
                    (Button::Quiet.draw_as("", "Archive", Some(&format!("Archive {name}"))))
                }
            }
        }
    }
}
