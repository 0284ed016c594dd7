//! The lines of a note, as its page shows them, and their live view.

use datastar::consts::ElementPatchMode;
use datastar::prelude::PatchElements;
use futures::FutureExt;
use futures::future::BoxFuture;
use ironstar_app::ReadModel;
use ironstar_app::projection::{Changed, Changes, ReadError};
use ironstar_web::stream::live::{Drawing, View, Whole};
use maud::{Markup, html};
use uuid::Uuid;

use crate::remarks::{Line, RemarkProjection, lines};

/// The view that all pages of a note share.
#[derive(Debug)]
pub(super) struct NoteView {
    pub(super) note: Uuid,
    pub(super) model: ReadModel<RemarkProjection>,
}

/// The part of the page that changes with the log.
pub(super) fn draw<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Markup {
    html! { ul #lines { (draw_items(lines)) } }
}

fn draw_items<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Markup {
    html! {
        @for line in lines {
            li id=(element(line)) .closed[line.is_closed] dir="auto" { (line.text) }
        }
    }
}

fn element(line: &Line) -> String {
    let of = if line.is_remark { "line" } else { "note" };
    format!("{of}-{}", line.id)
}

impl View for NoteView {
    type Projection = RemarkProjection;

    fn concerns(&self, _: &str, changed: &Changed<Line>) -> bool {
        let lines = [&changed.before, &changed.after];
        lines
            .into_iter()
            .flatten()
            .any(|line| line.note == self.note)
    }

    fn draw(&self, changes: &Changes<Line>) -> Drawing {
        let mut patches = Vec::new();
        let mut added = Vec::new();
        let here = changes.documents.iter();
        for (_, changed) in here.filter(|(key, changed)| self.concerns(key, changed)) {
            match (&changed.before, &changed.after) {
                (None, None) => {}
                (None, Some(line)) => added.push(&**line),
                (Some(_), Some(line)) => {
                    let line = draw_items([&**line]).into_string();
                    patches.push(PatchElements::new(line));
                }
                (Some(line), None) => {
                    let gone = format!("#{}", element(line));
                    patches.push(PatchElements::new_remove(gone));
                }
            }
        }
        added.sort_by_key(|line| line.created);
        if !added.is_empty() {
            let added = PatchElements::new(draw_items(added).into_string());
            patches.push(added.selector("#lines").mode(ElementPatchMode::Append));
        }
        Drawing::Patches(patches)
    }

    fn draw_whole(&self) -> BoxFuture<'_, Result<Whole, ReadError>> {
        async move {
            let (place, lines) = lines(&self.model, self.note).await?;
            let patch = PatchElements::new(draw(&lines).into_string());
            let end = None;
            Ok(Whole { place, end, patch })
        }
        .boxed()
    }
}
