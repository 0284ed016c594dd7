//! The newest events in memory, shared by all consumers that keep up.

use std::collections::VecDeque;
use std::sync::Arc;

use ironstar_ports::{Envelope, LogPlace, Position};

use crate::history::FeedError;
use crate::history::Page;

/// The newest events, contiguous, up to the head. Behind a damaged event the tail begins again.
/// So a consumer in front of the damaged event does not find its next event here.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// The place in front of the first event.
    before: LogPlace,
    events: VecDeque<Arc<Envelope>>,
}

impl Tail {
    /// Adds the events after a place, which is the end of the tail.
    pub(super) fn extend(&mut self, last: LogPlace, page: VecDeque<Arc<Envelope>>, limit: usize) {
        if self.events.is_empty() {
            self.before = last;
        }
        self.events.extend(page);
        let surplus = self.events.len().saturating_sub(limit);
        if let Some(last) = self.events.drain(..surplus).next_back() {
            self.before = last.place();
        }
    }

    /// Removes all events, because the next events are not contiguous with them.
    pub(super) fn clear(&mut self) {
        self.events.clear();
    }

    /// Returns true if the tail has the event after a position.
    pub(super) fn begins_by(&self, last: Position) -> bool {
        let first = self.events.front();
        first.is_some_and(|first| first.position <= last.next())
    }

    /// Up to `limit` events after a place, or `None` if the tail no longer has the next one.
    pub(super) fn after(&self, last: LogPlace, limit: usize) -> Option<Page> {
        let first = self.events.front()?.position;
        let skip = last.position.next().get().checked_sub(first.get())?;
        let skip = usize::try_from(skip).ok()?;
        let found = self.place_at(last.position);
        if found.is_some_and(|found| !found.agrees_with(last)) {
            return Some(Err(FeedError::OtherHistory));
        }
        let events = self.events.iter().skip(skip).take(limit);
        Some(Ok(events.cloned().collect()))
    }

    /// The place of a position, if the tail has it.
    pub(super) fn place_at(&self, position: Position) -> Option<LogPlace> {
        let first = self.events.front()?.position;
        let index = position.get().checked_sub(first.get());
        match index {
            Some(index) => {
                let event = self.events.get(usize::try_from(index).ok()?)?;
                Some(event.place())
            }
            None => (self.before.position == position).then_some(self.before),
        }
    }
}
