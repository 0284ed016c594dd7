//! What has happened to a view lately.
//!
//! Not drawings are kept but the changes themselves, one entry for each news
//! that concerns the view. So whatever somebody has missed can be drawn as *one*
//! change: for each document, what it was before the first of the entries and
//! what it is after the last. A todo that has changed five hundred times is
//! drawn once, and one that has come and gone is not drawn at all.
//!
//! **A boundary** is a position at which no news begins in the middle: what a
//! view shows there is what somebody sees who holds it as an id. Whatever this
//! process hands out is a boundary. An id from elsewhere may not be, since
//! another process folds the same events in other batches; then nobody knows
//! what its holder has seen of the batch, and [`Log::admit`] takes it for
//! nothing.
//!
//! Two boundaries are *the same to the view* if no entry lies between them. So
//! news that do not concern it are not kept, however many they are: they neither
//! push out those that do, nor leave behind whoever waits for them.

use std::collections::{HashMap, VecDeque};

use ironstar_app::projection::{Changed, Changes};
use ironstar_ports::{LogPlace, Position};

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// How many entries, and how many documents they may have together. Who has
    /// missed more gets the whole view.
    pub(super) entries: usize,
    pub(super) documents: usize,
    /// How many of the newest batches of more than one event are known, so that
    /// ids from elsewhere that lie inside can be told.
    pub(super) batches: usize,
}

impl Bounds {
    pub(super) const OF_A_VIEW: Self = Self {
        entries: 1_024,
        documents: 10_000,
        batches: 1_024,
    };
}

/// The newest changes that concern a view. It goes on one news at a time, and
/// never back.
#[derive(Debug)]
pub(super) struct Log<D> {
    bounds: Bounds,
    /// How far the news have been taken in.
    place: LogPlace,
    /// Whoever has seen less than this needs the whole view.
    floor: LogPlace,
    entries: VecDeque<Entry<D>>,
    /// How many documents they have together.
    documents: usize,
    /// Batches of more than one event: no position inside is a boundary.
    batches: VecDeque<(Position, Position)>,
    /// Up to here, batches are no longer known.
    batches_floor: Position,
}

/// What one news has changed about the view.
#[derive(Debug)]
struct Entry<D> {
    from: Position,
    to: LogPlace,
    documents: Vec<(String, Changed<D>)>,
}

/// What somebody has missed who is at a boundary.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Missed {
    /// Nothing.
    Nothing,
    /// What comes after this gap.
    After(Gap),
    /// More than is known.
    TooMuch,
}

/// Boundaries that are the same to the view, and the last ones before an entry.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Gap {
    /// Where the entry before ends.
    pub(super) first: Position,
    /// Where the next one begins.
    pub(super) last: Position,
}

impl Gap {
    /// Whether a boundary is one of these.
    pub(super) fn has(self, boundary: Position) -> bool {
        (self.first..=self.last).contains(&boundary)
    }
}

impl<D: PartialEq> Log<D> {
    /// One that begins at a boundary.
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

    /// How far the news have been taken in.
    pub(super) fn place(&self) -> LogPlace {
        self.place
    }

    /// The last place at which something has changed that the view shows, as
    /// far as anybody has told.
    pub(super) fn changed(&self) -> LogPlace {
        self.entries.back().map_or(self.floor, |entry| entry.to)
    }

    /// Takes news in, of which only those documents are kept that the view
    /// `concerns`. Returns whether there are any.
    pub(super) fn take(
        &mut self,
        news: &Changes<D>,
        concerns: impl Fn(&str, &Changed<D>) -> bool,
    ) -> bool {
        let to = news.to.position;
        if to <= self.place.position {
            // They were part of where this began.
            return false;
        }
        if news.from < self.place.position {
            // Not batches that come one after the other: not to be merged.
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

    /// Goes on at a place without a word about what has changed.
    pub(super) fn jump(&mut self, place: LogPlace) {
        *self = Self::new(place, self.bounds);
    }

    /// The boundary that somebody is at who comes with an id, if it is one.
    /// Whoever does not come from this process may name any position. The read
    /// model has `reached` a boundary, of which not all may have been told.
    pub(super) fn admit(&self, seen: Position, reached: Position) -> Option<Position> {
        if seen > self.place.position {
            // Where the log ends, or beyond: then it was seen of another log.
            return (seen == reached).then_some(seen);
        }
        let next = self.batches.partition_point(|(_, to)| *to <= seen);
        let is_inside = self.batches.get(next).is_some_and(|(from, _)| *from < seen);
        (seen >= self.batches_floor.max(self.floor.position) && !is_inside).then_some(seen)
    }

    /// What somebody at a boundary has missed of what is known.
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
            // It was no boundary.
            Missed::TooMuch
        }
    }

    /// What has changed from a gap up to a boundary, as one change: nothing, if
    /// not all of it is known any more.
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

    /// The first entry that leads beyond a position.
    fn after(&self, position: Position) -> usize {
        self.entries
            .partition_point(|entry| entry.to.position <= position)
    }
}

#[cfg(test)]
mod tests;
