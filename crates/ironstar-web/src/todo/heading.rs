//! What stands above a list, kept up to date for everyone who has it open: its
//! name, and whether it takes new todos.
//!
//! A list that nobody has open leaves nothing here.

use std::sync::Arc;

use bytes::Bytes;
use datastar::prelude::PatchElements;
use ironstar_app::ListService;
use ironstar_app::list::ListItem;
use ironstar_app::projection::{News, ReadError};
use ironstar_app::todo::Show;
use maud::{Markup, html};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use super::location::{Location, Mode};
use crate::icon::star;
use crate::kit::{Banner, Button};
use crate::latest::{Side, side};
use crate::shared::{Life, Shared};
use crate::sse;

/// What stands above a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Heading {
    pub(super) title: String,
    note: &'static str,
    /// Whether it has to be restored before it takes new todos.
    is_archived: bool,
    /// Where it is shown. Those who have come by a link are not its owner.
    at: Location,
}

/// The headings that somebody watches.
#[derive(Debug)]
pub(super) struct Headings {
    lists: ListService,
    watched: Shared<Location, Watched>,
}

/// A heading that somebody watches.
#[derive(Debug)]
struct Watched {
    drawn: watch::Sender<Bytes>,
    /// The task that keeps it up to date lives as long.
    _life: Life,
}

impl Heading {
    /// That of the list which is always there.
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
            (Some(_), Some(_), Mode::Edit) => "A list that somebody shares with you.",
            (Some(_), Some(_), Mode::Read) => "A list that somebody lets you see.",
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

    fn frame(&self) -> Bytes {
        let patch = PatchElements::new(self.draw().into_string());
        sse::datastar_frame(patch, None).into()
    }
}

impl Headings {
    pub(super) fn new(lists: ListService) -> Self {
        Self {
            lists,
            watched: Shared::default(),
        }
    }

    /// The heading of a list now, and each time that it is another one; nothing
    /// for the list that stays as it is.
    pub(super) fn watch(&self, at: Location) -> Option<Side> {
        if at.list.is_shared() {
            return None;
        }
        // It is the same on every page of the list.
        let at = at.showing(Show::All);
        let (watched, _) = self.watched.get_or_make(&at, |life| self.start(at, life));
        Some(side(watched.drawn.subscribe(), watched))
    }

    fn start(&self, at: Location, life: Life) -> Arc<Watched> {
        let drawn = watch::Sender::default();
        life.spawn(follow(self.lists.clone(), at, drawn.clone()));
        Arc::new(Watched { drawn, _life: life })
    }
}

/// Draws the heading of a list whenever something happens to the list.
async fn follow(lists: ListService, at: Location, drawn: watch::Sender<Bytes>) {
    // First listen, then look: what happens in between is heard.
    let Some(mut news) = lists.model().news() else {
        return;
    };
    let key = at.list.to_string();
    loop {
        match lists.list(at.list).await {
            Ok(Some(list)) => show(&drawn, &list, at),
            Ok(None) => {}
            Err(error) => complain(&error),
        }
        loop {
            match news.recv().await {
                Ok(News::Changed(changes)) => {
                    let changed = changes.documents.get(&key);
                    if let Some(list) = changed.and_then(|changed| changed.after.as_deref()) {
                        show(&drawn, list, at);
                    }
                }
                // Look again.
                Ok(News::Jumped(_)) | Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return,
            }
        }
    }
}

fn show(drawn: &watch::Sender<Bytes>, list: &ListItem, at: Location) {
    let frame = Heading::of(list, at).frame();
    drawn.send_if_modified(|shown| {
        let is_news = *shown != frame;
        *shown = frame;
        is_news
    });
}

fn complain(error: &ReadError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "the heading of a list cannot be drawn; it stays as it is until something happens to the list"
    );
}
