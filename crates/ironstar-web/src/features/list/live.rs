//! The live view of a visitor's lists, which all of the visitor's pages share.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use datastar::prelude::PatchElements;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use ironstar_app::list::{ListItem, ListProjection};
use ironstar_app::projection::{Changed, Changes, ReadError};
use ironstar_app::{Caller, ListService};
use ironstar_domain::Principal;
use ironstar_domain::list::ListName;
use ironstar_ports::LogPlace;

use super::{Lists, view};
use crate::edge::problem::Problem;
use crate::session::Session;
use crate::session::origin::RequestOrigin;
use crate::stream::live::{Drawing, View, Whole};
use crate::stream::sse::LastEventId;

/// The largest number of lists in use on a page, and of archived lists.
const PAGE: usize = 500;

/// The owners of the lists on a page: all identities of a visitor. The page shows their
/// lists first. Lists from before lists had owners follow, and belong to everyone.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Whose(Arc<[Option<Principal>]>);

/// The owner of lists that belong to everyone.
const EVERYONES: [Option<Principal>; 1] = [None];

/// Lists in use, and archived lists.
#[derive(Debug)]
pub(super) struct AllLists {
    /// The lists include all events up to this place.
    pub(super) place: LogPlace,
    pub(super) open: Vec<ListItem>,
    pub(super) archived: Vec<ListItem>,
}

/// A visitor's lists. They are few and change seldom, so they are drawn as a whole.
#[derive(Debug)]
pub(super) struct ListsView {
    whose: Whose,
    service: ListService,
}

impl Whose {
    pub(super) fn of(caller: &Caller) -> Self {
        Self(caller.principals().iter().copied().map(Some).collect())
    }
}

impl AllLists {
    pub(super) async fn read(service: &ListService, whose: &Whose) -> Result<Self, ReadError> {
        let read = async |archived| {
            let everyones = service.lists(&EVERYONES, archived, PAGE).await?;
            if whose.0.is_empty() {
                return Ok((everyones.place, everyones.lists));
            }
            let own = service.lists(&whose.0, archived, PAGE).await?;
            let place = own.place.earlier(everyones.place);
            let lists = own.lists.into_iter().chain(everyones.lists).collect();
            Ok::<_, ReadError>((place, lists))
        };
        let (open_as_of, open) = read(false).await?;
        let (archived_as_of, archived) = read(true).await?;
        Ok(Self {
            place: open_as_of.earlier(archived_as_of),
            open,
            archived,
        })
    }
}

impl ListsView {
    /// The parts of a list that the page shows; `None` if another caller owns the list.
    fn shown<'a>(&self, list: Option<&'a ListItem>) -> Option<(&'a ListName, bool)> {
        let is_shown =
            |list: &&ListItem| list.owner.is_none() || self.whose.0.contains(&list.owner);
        let list = list.filter(is_shown)?;
        Some((&list.name, list.archived))
    }
}

impl View for ListsView {
    type Projection = ListProjection;

    fn concerns(&self, _: &str, changed: &Changed<ListItem>) -> bool {
        self.shown(changed.before.as_deref()) != self.shown(changed.after.as_deref())
    }

    fn draw(&self, _: &Changes<ListItem>) -> Drawing {
        Drawing::Whole
    }

    fn draw_whole(&self) -> BoxFuture<'_, Result<Whole, ReadError>> {
        async move {
            let lists = AllLists::read(&self.service, &self.whose).await?;
            Ok(Whole {
                place: lists.place,
                end: None,
                patch: PatchElements::new(view::lists(&lists).into_string()),
            })
        }
        .boxed()
    }
}

/// `GET /api/sse/lists`: Datastar patches, and the news for this visitor alone.
pub(super) async fn stream(
    State(lists): State<Arc<Lists>>,
    last_event_id: LastEventId,
    session: Session,
    origin: RequestOrigin,
) -> Result<Response, Problem> {
    lists.services.settle(lists.service.model()).await?;
    let whose = Whose::of(&origin.caller);
    let make = || ListsView {
        whose: whose.clone(),
        service: lists.service.clone(),
    };
    let view = lists.views.open(&whose, make).await;
    let seen = last_event_id.seen(&lists.services.feed).await;
    let frames = view.watch(seen);
    let frames = frames.map(|(_, frame)| frame).boxed();
    Ok(lists.news.stream(&session, frames, vec![]).await?)
}
