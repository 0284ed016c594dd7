//! The recent changes of a view.
//!
//! The log keeps changes instead of drawings, with one entry for each news that concerns the
//! view. So all changes that a watcher has missed can be drawn as *one* change: for each
//! document, the state before the first entry and the state after the last. A todo that has
//! changed five hundred times is drawn once. A todo that was added and removed is not drawn at
//! all.
//!
//! **A boundary** is a position that lies inside no news. A browser with that position as its id
//! shows exactly the state of the view at that position. All ids of this process are boundaries.
//! An id from another process may not be one, since that process folds the same events in other
//! batches. Then it is unknown which part of a batch the browser has seen, and [`Log::admit`]
//! rejects the id.
//!
//! Two boundaries are *the same to the view* if no entry lies between them. So news that do not
//! concern the view need no entry, however many they are. They displace no entry, and no watcher
//! falls behind because of them.

use std::collections::{HashMap, VecDeque};

use ironstar_app::projection::{Changed, Changes};
use ironstar_ports::{LogPlace, Position};

/// The limits of a log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The maximum number of entries, and of documents in all entries together. A watcher that
    /// has missed more gets the whole view.
    pub(super) entries: usize,
    pub(super) documents: usize,
    /// The number of newest batches with more than one event that are remembered. By them, the
    /// log recognises ids of other processes that lie inside a batch.
    pub(super) batches: usize,
}

impl Bounds {
    pub(super) const OF_A_VIEW: Self = Self {
        entries: 1_024,
        documents: 10_000,
        batches: 1_024,
    };
}

/// The newest changes that concern a view. Each news moves the log forward, never back.
#[derive(Debug)]
pub(super) struct Log<D> {
    bounds: Bounds,
    /// The place up to which news have been added.
    place: LogPlace,
    /// A watcher that has seen less than this needs the whole view.
    floor: LogPlace,
    entries: VecDeque<Entry<D>>,
    /// The number of documents in all entries together.
    documents: usize,
    /// The batches with more than one event. No position inside them is a boundary.
    batches: VecDeque<(Position, Position)>,
    /// Batches up to here are no longer remembered.
    batches_floor: Position,
}

/// The changes of the view by one news.
#[derive(Debug)]
struct Entry<D> {
    from: Position,
    to: LogPlace,
    documents: Vec<(String, Changed<D>)>,
}

/// The changes that a watcher at a boundary has missed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Missed {
    /// No changes.
    Nothing,
    /// The changes after this gap.
    After(Gap),
    /// More changes than the log holds.
    TooMuch,
}

/// The range of boundaries before an entry that are the same to the view.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Gap {
    /// The end of the entry before.
    pub(super) first: Position,
    /// The start of the next entry.
    pub(super) last: Position,
}

impl Gap {
    /// Returns true if a boundary is in this gap.
    pub(super) fn has(self, boundary: Position) -> bool {
        (self.first..=self.last).contains(&boundary)
    }
}

impl<D: PartialEq> Log<D> {
    /// An empty log that begins at a boundary.
    pub(super) fn new(place: LogPlace, bounds: Bounds) -> Self {
        Self {
            bounds,
            place,
            floor: place,
            entries: VecDeque::new(),
            documents: 0,
            batches: VecDeque::new(),
            batches_floor: place.position,
        }
    }

    /// The place up to which news have been added.
    pub(super) fn place(&self) -> LogPlace {
        self.place
    }

    /// The place of the last known change of the view.
    pub(super) fn changed(&self) -> LogPlace {
        self.entries.back().map_or(self.floor, |entry| entry.to)
    }

    /// Adds news. Only documents for which `concerns` is true are kept. Returns true if there
    /// are any.
    pub(super) fn take(
        &mut self,
        news: &Changes<D>,
        concerns: impl Fn(&str, &Changed<D>) -> bool,
    ) -> bool {
        let to = news.to.position;
        if to <= self.place.position {
            // The log began after these news.
            return false;
        }
        if news.from < self.place.position {
            // The news overlap with earlier ones, so they cannot be merged.
            self.jump(news.to);
            return true;
        }
        self.place = news.to;
        if to > news.from.next() {
            self.batches.push_back((news.from, to));
            if self.batches.len() > self.bounds.batches
                && let Some((_, forgotten)) = self.batches.pop_front()
            {
                self.batches_floor = forgotten;
            }
        }
        let concerning = news.documents.iter();
        let documents: Vec<_> = concerning
            .filter(|(key, changed)| concerns(key, changed))
            .map(|(key, changed)| (key.clone(), changed.clone()))
            .collect();
        if documents.is_empty() {
            return false;
        }
        let bounds = self.bounds;
        self.documents += documents.len();
        self.entries.push_back(Entry {
            from: news.from,
            to: news.to,
            documents,
        });
        while (self.entries.len() > bounds.entries || self.documents > bounds.documents)
            && let Some(forgotten) = self.entries.pop_front()
        {
            self.documents -= forgotten.documents.len();
            self.floor = forgotten.to;
        }
        true
    }

    /// Continues at a place without knowledge of the changes before it.
    pub(super) fn jump(&mut self, place: LogPlace) {
        *self = Self::new(place, self.bounds);
    }

    /// Returns a browser's id if it is a boundary. A browser that comes from another process may
    /// name any position. The boundary `reached` is that of the read model, whose latest news
    /// may not have arrived here yet.
    pub(super) fn admit(&self, seen: Position, reached: Position) -> Option<Position> {
        if seen > self.place.position {
            // The id is beyond all news here. Unless it is the end of the read model, it belongs
            // to another log.
            return (seen == reached).then_some(seen);
        }
        let next = self.batches.partition_point(|(_, to)| *to <= seen);
        let is_inside = self.batches.get(next).is_some_and(|(from, _)| *from < seen);
        (seen >= self.batches_floor.max(self.floor.position) && !is_inside).then_some(seen)
    }

    /// The changes that a watcher at a boundary has missed, as far as the log holds them.
    pub(super) fn missed(&self, seen: Position) -> Missed {
        if seen < self.floor.position {
            return Missed::TooMuch;
        }
        let next = self.after(seen);
        let Some(entry) = self.entries.get(next) else {
            return Missed::Nothing;
        };
        let before = next
            .checked_sub(1)
            .map(|index| self.entries[index].to.position);
        let gap = Gap {
            first: before.unwrap_or(self.floor.position),
            last: entry.from,
        };
        if gap.has(seen) {
            Missed::After(gap)
        } else {
            // The position was not a boundary.
            Missed::TooMuch
        }
    }

    /// The changes from a gap up to a boundary, merged into one; `None` if the log no longer
    /// holds all of them.
    pub(super) fn merge(&self, gap: Gap, to: LogPlace) -> Option<Changes<D>> {
        if gap.first < self.floor.position {
            return None;
        }
        let mut documents: HashMap<String, Changed<D>> = HashMap::new();
        let entries = self.entries.range(self.after(gap.last)..);
        for (key, changed) in entries
            .take_while(|entry| entry.to.position <= to.position)
            .flat_map(|entry| &entry.documents)
        {
            match documents.get_mut(key) {
                Some(merged) => merged.after.clone_from(&changed.after),
                None => {
                    documents.insert(key.clone(), changed.clone());
                }
            }
        }
        documents.retain(|_, changed| changed.before != changed.after);
        Some(Changes {
            from: gap.last,
            to,
            documents,
        })
    }

    /// The index of the first entry that leads beyond a position.
    fn after(&self, position: Position) -> usize {
        self.entries
            .partition_point(|entry| entry.to.position <= position)
    }
}

#[cfg(test)]
mod tests;
