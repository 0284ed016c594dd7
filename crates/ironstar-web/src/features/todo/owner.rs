//! The panel below a list, for its owner: to rename, archive and share the list.

use ironstar_app::caller::Links;
use ironstar_app::list::ListItem;
use ironstar_domain::{LinkAccess, LinkId};
use maud::{Markup, html};

use crate::edge::base_address::BaseAddress;
use crate::features::list::address_of_link;
use crate::page::kit::Button;

/// The owner's controls of a list.
#[derive(Debug)]
pub(super) struct Panel {
    /// The path of the list's page.
    path: String,
    name: String,
    is_archived: bool,
    /// True if the list has an owner, who can share it.
    is_owned: bool,
    links: Vec<ShownLink>,
    /// The idempotency key of the form for a link: submitting it twice creates one link.
    key: String,
}

/// A link, as the list's owner passes it on.
#[derive(Debug)]
struct ShownLink {
    id: LinkId,
    access: LinkAccess,
    address: String,
}

impl Panel {
    /// The panel of a list. Its links begin with the address of the site.
    pub(super) fn of(list: &ListItem, links: &Links, site: &BaseAddress, key: String) -> Self {
        let path = format!("/lists/{}", list.id);
        let shown = list.links.iter().map(|link| ShownLink {
            id: link.id,
            access: link.access,
            address: address_of_link(site, links, list.id, link.id),
        });
        Self {
            links: shown.collect(),
            name: list.name.to_string(),
            is_archived: list.archived,
            is_owned: list.owner.is_some(),
            path,
            key,
        }
    }

    pub(super) fn draw(&self) -> Markup {
        html! {
            section #panel .owner.card aria-labelledby="owner" {
                h2 #owner { "This list" }
                @if !self.is_archived { (self.changes()) }
                @if self.is_owned { (self.shares()) }
            }
        }
    }

    fn changes(&self) -> Markup {
        html! {
            form.plain.line action={ (self.path) "/rename" } method="post" {
                input type="hidden" name="then" value="list";
                input.edit name="name" value=(self.name) required dir="auto"
                    aria-label="Name of this list" autocomplete="off";
                (Button::Quiet.draw("Rename"))
            }
            form.plain.line action={ (self.path) "/archive" } method="post" {
                p { "Archive it until you need it again." }
                input type="hidden" name="then" value="list";
                (Button::Quiet.draw("Archive"))
            }
        }
    }

    fn shares(&self) -> Markup {
        html! {
            @if self.links.is_empty() {
                p.note { "Only you can see it" @if !self.is_archived { ", until you share a link" } "." }
            } @else {
                ul.links {
                    @for link in &self.links { (self.link(link)) }
                }
            }
            @if !self.is_archived {
                form.plain.line action={ (self.path) "/links" } method="post" {
                    p { "Share it by a new link:" }
                    input type="hidden" name="key" value=(self.key) autocomplete="off";
                    span.buttons {
                        (Button::Quiet.draw_named("access", "read", "Link to view"))
                        (Button::Quiet.draw_named("access", "edit", "Link to edit"))
                    }
                }
            }
        }
    }

    fn link(&self, link: &ShownLink) -> Markup {
        let what = match link.access {
            LinkAccess::Read => "Can view",
            LinkAccess::Edit => "Can edit",
        };
        html! {
            li {
                label {
                    span { (what) }
                    input.address readonly value=(link.address);
                }
                // `sharing.js` shows this button if the browser can copy.
                button.button.quiet.copy type="button" aria-label={ "Copy the link: " (what) }
                    data-preserve-attr="aria-label data-copied" {
                    span { "Copy" }
                    span.copied { "Copied" }
                }
                form.plain action={ (self.path) "/links/" (link.id) "/revoke" } method="post" {
                    (Button::Quiet.draw_as("", "Revoke", Some(&format!("Revoke the link: {what}"))))
                }
            }
        }
    }
}
