//! The heading of a list, live on all pages of the list: its name, and a note if it is
//! archived. For the owner it comes with the panel of the list's controls.
//!
//! A list that no page has open uses no memory and no task here.

use std::sync::Arc;

use bytes::Bytes;
use datastar::prelude::PatchElements;
use ironstar_app::caller::Links;
use ironstar_app::list::ListItem;
use ironstar_app::projection::{News, ReadError};
use ironstar_app::todo::Show;
use ironstar_app::{EventFeed, ListService};
use maud::{Markup, html};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use super::location::{Location, Mode};
use super::owner::Panel;
use crate::edge::base_address::BaseAddress;
use crate::page::icon::star;
use crate::page::kit::{Banner, Button};
use crate::site::SiteName;
use crate::stream::latest::{Side, side};
use crate::stream::shared::{Life, Shared};
use crate::stream::sse;

/// The heading above the todos of a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Heading {
    pub(super) title: String,
    note: &'static str,
    /// True if the list takes no new todos until it is restored.
    is_archived: bool,
    /// The page that shows the heading. A visitor who came by a link is not the owner.
    at: Location,
}

/// The headings of all lists that pages have open.
#[derive(Debug)]
pub(super) struct Headings {
    lists: ListService,
    links: Links,
    feed: EventFeed,
    watched: Shared<Seen, Watched>,
}

/// A page of a list, as its owner or another visitor sees it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Seen {
    site: SiteName,
    at: Location,
    /// The address of the site, if the visitor is the owner.
    owner: Option<BaseAddress>,
}

/// A heading that at least one stream subscribes to.
#[derive(Debug)]
struct Watched {
    drawn: watch::Sender<Bytes>,
    /// The task that draws the heading ends with this.
    _life: Life,
}

impl Heading {
    /// The heading of the shared list, which always exists.
    pub(super) fn shared() -> Self {
        Self {
            title: "todos".to_owned(),
            note: "Shared by everyone who has this page open.",
            is_archived: false,
            at: Location::default(),
        }
    }

    pub(super) fn of(list: &ListItem, at: Location) -> Self {
        let note = match (list.owner, at.link, at.mode) {
            (None, _, _) => "A list that everyone shares.",
            (Some(_), None, _) => "Your own list.",
            (Some(_), Some(_), Mode::Edit) => "This list is shared with you.",
            (Some(_), Some(_), Mode::Read) => "You can view this list, but not change it.",
        };
        Self {
            title: list.name.to_string(),
            note,
            is_archived: list.archived,
            at,
        }
    }

    pub(super) fn draw(&self) -> Markup {
        html! {
            div #heading {
                (star())
                h1 dir="auto" { (self.title) }
                p.note { (self.note) }
                @if self.is_archived {
                    div.archived {
                        (Banner::Note.draw(html! {
                            "Archived: it takes no new todos until it is restored."
                            @if self.at.link.is_none() {
                                form.plain action={ "/lists/" (self.at.list) "/restore" } method="post" {
                                    input type="hidden" name="then" value="list";
                                    (Button::Quiet.draw("Restore"))
                                }
                            }
                        }))
                    }
                }
            }
        }
    }
}

impl Headings {
    pub(super) fn new(lists: ListService, links: Links, feed: EventFeed) -> Self {
        Self {
            lists,
            links,
            feed,
            watched: Shared::default(),
        }
    }

    /// The heading of a list now, and after each change. Returns `None` for the shared list,
    /// whose heading never changes. `owner` is the address of the site if the visitor is the
    /// owner.
    pub(super) fn watch(
        &self,
        site: SiteName,
        at: Location,
        owner: Option<BaseAddress>,
    ) -> Option<Side> {
        if at.list.is_shared() {
            return None;
        }
        // All pages of a list have the same heading.
        let seen = Seen {
            site,
            at: at.showing(Show::All),
            owner,
        };
        let start = |life| self.start(seen.clone(), life);
        let (watched, _) = self.watched.get_or_make(&seen, start);
        Some(side(watched.drawn.subscribe(), watched))
    }

    fn start(&self, seen: Seen, life: Life) -> Arc<Watched> {
        let drawn = watch::Sender::default();
        let follower = Follower {
            lists: self.lists.clone(),
            links: self.links.clone(),
            feed: self.feed.clone(),
            seen,
            shown: None,
            drawn: drawn.clone(),
        };
        life.spawn(follower.follow());
        Arc::new(Watched { drawn, _life: life })
    }
}

/// Draws the heading of a list again after each change of the list.
struct Follower {
    lists: ListService,
    links: Links,
    feed: EventFeed,
    seen: Seen,
    /// The list, as it was drawn last.
    shown: Option<ListItem>,
    drawn: watch::Sender<Bytes>,
}

impl Follower {
    async fn follow(mut self) {
        // Subscribe before the first read, so that no change in between is missed.
        let Some(mut news) = self.lists.model().news() else {
            return;
        };
        let list = self.seen.at.list;
        let key = list.to_string();
        loop {
            match self.lists.list(list).await {
                Ok((as_of, Some(list))) => {
                    // Another process may have folded events that the feed of this process
                    // has not read yet. Permits that these events end have ended after this.
                    self.feed.reached(as_of.position).await;
                    self.show(&list);
                }
                Ok((_, None)) => {}
                Err(error) => complain(&error),
            }
            loop {
                match news.recv().await {
                    Ok(News::Changed(changes)) => {
                        let changed = changes.documents.get(&key);
                        if let Some(list) = changed.and_then(|changed| changed.after.as_deref()) {
                            self.show(list);
                        }
                    }
                    // Changes were missed: read the list again.
                    Ok(News::Jumped(_)) | Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return,
                }
            }
        }
    }

    fn show(&mut self, list: &ListItem) {
        if self.shown.as_ref() == Some(list) {
            return;
        }
        let panel = self.seen.owner.as_ref().map(|address| {
            let key = self.lists.next_id().to_string();
            Panel::of(list, &self.links, address, key)
        });
        let around = html! {
            (Heading::of(list, self.seen.at).draw())
            @if let Some(panel) = panel { (panel.draw()) }
        };
        let around = PatchElements::new(around.into_string());
        let title = html! { title { (self.seen.site.title(list.name.as_str())) } };
        let title = PatchElements::new(title.into_string()).selector("title");
        let frames = [around, title].map(|patch| sse::datastar_frame(patch, None));
        self.drawn.send_replace(frames.concat().into());
        self.shown = Some(list.clone());
    }
}

fn complain(error: &ReadError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "the heading of a list cannot be drawn; pages keep the last one until the list changes again"
    );
}
