//! A small world of numbers in cells, views of it, and a browser that applies the frames of a
//! view.
//!
//! As with todos, there are many cells, their order is that of their creation, and a view shows
//! only some of them. The browser is strict: a patch that does not fit its content is a bug of
//! the sender.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use crate::stream::shared::Life;
use datastar::consts::ElementPatchMode;
use datastar::prelude::PatchElements;
use futures::FutureExt;
use futures::future::BoxFuture;
use ironstar_app::projection::{
    Changed, Changes, Documents, FoldError, News, Projection, ReadError,
};
use ironstar_ports::{Envelope, Place, Position};
use serde::{Deserialize, Serialize};

use crate::stream::live::Whole;
use crate::stream::live::live_view::LiveView;
use crate::stream::live::log::Bounds;
use crate::stream::live::{Drawing, View};

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Cell {
    /// The position at which the cell was created.
    pub(super) made: u64,
    pub(super) value: u64,
}

/// A projection that is never folded. The tests make up its documents.
#[derive(Debug)]
pub(super) struct Cells;

impl Projection for Cells {
    const NAME: &'static str = "cells";
    const VERSION: u32 = 1;
    const AGGREGATES: &'static [&'static str] = &[];

    type Document = Cell;

    fn fold(_: &Envelope, _: &mut Documents<Cell>) -> Result<(), FoldError> {
        Ok(())
    }

    fn place(_: &Cell) -> Option<Place> {
        None
    }
}

/// All cells by their keys.
pub(super) type World = BTreeMap<String, Cell>;

/// The stored cells and their position.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) cells: World,
    pub(super) position: u64,
}

/// A view of the cells with even values, or of all cells.
#[derive(Clone, Debug, Default)]
pub(super) struct CellsView {
    pub(super) stored: Arc<Mutex<Stored>>,
    pub(super) is_even_only: bool,
    /// The maximum number of changes that are patched. With more changes, the whole view is
    /// drawn.
    pub(super) patched: usize,
    pub(super) drawn: Arc<AtomicUsize>,
    pub(super) drawn_whole: Arc<AtomicUsize>,
}

impl CellsView {
    pub(super) fn shows(&self, cell: &Cell) -> bool {
        !self.is_even_only || cell.value.is_multiple_of(2)
    }

    /// The cells of a world that the view shows, in their order.
    pub(super) fn of(&self, world: &World) -> Vec<(String, u64)> {
        let shown = world.iter().filter(|(_, cell)| self.shows(cell));
        let mut shown: Vec<_> = shown.collect();
        shown.sort_by_key(|(_, cell)| cell.made);
        let cells = shown.into_iter();
        cells.map(|(key, cell)| (key.clone(), cell.value)).collect()
    }

    /// A view as of a boundary, without a follower.
    pub(super) fn alone(self, position: u64, bounds: Bounds) -> Arc<LiveView<Self>> {
        let position = Position::new(position);
        Arc::new(LiveView::new(self, position.into(), bounds, Life::alone()))
    }
}

fn text(cells: impl IntoIterator<Item = (String, u64)>) -> String {
    let cells = cells.into_iter();
    cells
        .map(|(key, value)| format!(" {key}={value}"))
        .collect()
}

impl View for CellsView {
    type Projection = Cells;

    fn concerns(&self, _: &str, changed: &Changed<Cell>) -> bool {
        let mut sides = [&changed.before, &changed.after].into_iter().flatten();
        sides.any(|cell| self.shows(cell))
    }

    fn draw(&self, changes: &Changes<Cell>) -> Drawing {
        self.drawn.fetch_add(1, SeqCst);
        let (mut updated, mut removed, mut added) = (vec![], vec![], vec![]);
        for (key, Changed { before, after }) in &changes.documents {
            let was = before.as_deref().filter(|cell| self.shows(cell));
            let is = after.as_deref().filter(|cell| self.shows(cell));
            match (was, is) {
                (None, None) => {}
                (Some(_), Some(cell)) => updated.push((key.clone(), cell.value)),
                (Some(_), None) => removed.push(key),
                (None, Some(cell)) if before.is_none() => {
                    added.push((cell.made, (key.clone(), cell.value)));
                }
                // The place of the cell among the others is unknown.
                (None, Some(_)) => return Drawing::Whole,
            }
        }
        let changed = updated.len() + removed.len() + added.len();
        if changed > self.patched {
            return Drawing::Whole;
        }
        let mut patches = vec![];
        if !updated.is_empty() {
            patches.push(PatchElements::new(format!("cells{}", text(updated))));
        }
        for key in removed {
            patches.push(PatchElements::new_remove(format!("#{key}")));
        }
        if !added.is_empty() {
            added.sort_unstable();
            let added = text(added.into_iter().map(|(_, cell)| cell));
            let added = PatchElements::new(format!("cells{added}"));
            patches.push(added.mode(ElementPatchMode::Append));
        }
        if patches.is_empty() {
            return Drawing::Nothing;
        }
        Drawing::Patches(patches)
    }

    fn draw_whole(&self) -> BoxFuture<'_, Result<Whole, ReadError>> {
        async {
            self.drawn_whole.fetch_add(1, SeqCst);
            // Other watchers may arrive during the drawing.
            tokio::task::yield_now().await;
            let stored = self.stored.lock().expect("the lock");
            let whole = format!("whole{}", text(self.of(&stored.cells)));
            Ok(Whole {
                place: Position::new(stored.position).into(),
                end: None,
                patch: PatchElements::new(whole),
            })
        }
        .boxed()
    }
}

/// News of one event: a cell before and after it.
pub(super) fn news(at: u64, key: &str, before: Option<Cell>, after: Option<Cell>) -> News<Cell> {
    let changed = Changed {
        before: before.map(Arc::new),
        after: after.map(Arc::new),
    };
    News::Changed(Arc::new(Changes {
        from: Position::new(at - 1),
        to: Position::new(at).into(),
        documents: HashMap::from([(key.to_owned(), changed)]),
    }))
}

/// The content of a browser, and its last id.
#[derive(Clone, Debug, Default)]
pub(super) struct Browser {
    pub(super) cells: Vec<(String, u64)>,
    pub(super) id: Option<u64>,
}

impl Browser {
    /// Applies an event, which is given as text.
    pub(super) fn apply(&mut self, event: &str) {
        let (mut mode, mut selector, mut elements) = ("outer", "", "");
        for line in event.lines() {
            match line.split_once(": ").expect("a field") {
                ("event", event) => assert_eq!(event, "datastar-patch-elements"),
                ("id", id) => self.id = id.parse().ok(),
                ("data", data) => match data.split_once(' ').expect("data") {
                    ("mode", data) => mode = data,
                    ("selector", data) => selector = data,
                    ("elements", data) => elements = data,
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            }
        }
        if mode == "remove" {
            let key = selector.strip_prefix('#').expect("a key");
            let place = self.place(key).expect("the removed cell exists");
            self.cells.remove(place);
            return;
        }
        let mut words = elements.split(' ');
        let is_whole = words.next() == Some("whole");
        let cells = words.map(|word| {
            let (key, value) = word.split_once('=').expect("a cell");
            (key.to_owned(), value.parse().expect("a value"))
        });
        if is_whole {
            self.cells = cells.collect();
            return;
        }
        for (key, value) in cells {
            match (self.place(&key), mode) {
                (Some(place), "outer") => self.cells[place].1 = value,
                (None, "append") => self.cells.push((key, value)),
                (place, mode) => panic!("{mode} of {key}, which is at {place:?}"),
            }
        }
    }

    fn place(&self, key: &str) -> Option<usize> {
        self.cells.iter().position(|(cell, _)| cell == key)
    }
}

/// The events of one or several frames.
pub(super) fn events(frames: &[u8]) -> Vec<String> {
    let frames = std::str::from_utf8(frames).expect("text");
    let events = frames.split_terminator("\n\n");
    events.map(ToOwned::to_owned).collect()
}
