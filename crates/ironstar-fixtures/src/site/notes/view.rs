//! The notes of a visitor, as their page shows them, and their live view.

use datastar::prelude::PatchElements;
use futures::FutureExt;
use futures::future::BoxFuture;
use ironstar_app::projection::{Changed, Changes, ReadError};
use ironstar_app::{ByOwner, ReadModel};
use ironstar_domain::Principal;
use ironstar_ports::{DocumentPage, LogPlace};
use ironstar_web::stream::live::{Drawing, View, Whole};
use maud::{Markup, html};
use uuid::Uuid;

use crate::notes::{NoteItem, NoteProjection};

/// The most notes on a page.
const MOST: usize = 500;

/// The notes of a visitor, which all pages of that visitor share.
#[derive(Debug)]
pub(super) struct NotesView {
    /// All identities of the visitor.
    pub(super) owners: Vec<Principal>,
    pub(super) model: ReadModel<NoteProjection>,
}

impl NotesView {
    pub(super) async fn read(&self) -> Result<(LogPlace, Vec<(Uuid, NoteItem)>), ReadError> {
        let owners = self.owners.iter().copied();
        let page = DocumentPage {
            collections: owners.flat_map(NoteProjection::collections).collect(),
            after: None,
            limit: MOST,
        };
        let found = self.model.find(Vec::new(), Some(page)).await?;
        let notes = found.page.into_iter();
        let notes = notes.filter_map(|(key, note)| Some((key.parse().ok()?, note)));
        Ok((found.place, notes.collect()))
    }

    fn is_mine(&self, note: &NoteItem) -> bool {
        let owner = note.ownership.owner;
        owner.is_some_and(|owner| self.owners.contains(&owner))
    }
}

impl View for NotesView {
    type Projection = NoteProjection;

    fn concerns(&self, _: &str, changed: &Changed<NoteItem>) -> bool {
        let notes = [&changed.before, &changed.after];
        notes.into_iter().flatten().any(|note| self.is_mine(note))
    }

    fn draw(&self, _: &Changes<NoteItem>) -> Drawing {
        Drawing::Whole
    }

    fn draw_whole(&self) -> BoxFuture<'_, Result<Whole, ReadError>> {
        async move {
            let (place, notes) = self.read().await?;
            let patch = PatchElements::new(draw(&notes).into_string());
            let end = None;
            Ok(Whole { place, end, patch })
        }
        .boxed()
    }
}

/// The part of the page that changes with the log.
pub(super) fn draw(notes: &[(Uuid, NoteItem)]) -> Markup {
    html! {
        ul #notes {
            @for (id, note) in notes { li { a href={ "/notes/" (id) } dir="auto" { (note.text) } } }
        }
    }
}
