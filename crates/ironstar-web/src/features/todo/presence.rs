//! The number of people who have a list open, counted by their streams. A visitor with a
//! session counts once, however many pages they have open. Without a session, each page
//! counts.
//!
//! All subscribers of a list get the number when it changes, but at most once a second.
//! Otherwise ten thousand people who arrive would cause a hundred million messages. A person
//! who leaves is subtracted only after a pause without a return, because streams break and
//! are opened again.
//!
//! A list without subscribers uses no memory and no task here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use datastar::prelude::PatchElements;
use ironstar_domain::list::ListId;
use maud::Markup;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::session::SessionId;
use crate::stream::latest::{Side, side};
use crate::stream::shared::{Life, Shared};
use crate::stream::sse;

/// The shortest time between two messages to the people at a list.
const PACE: Duration = Duration::from_secs(1);

/// The time for which a person still counts after the last stream has closed.
const PATIENCE: Duration = Duration::from_secs(2);

/// The number of people at each list.
#[derive(Clone, Debug)]
pub(crate) struct Presence {
    draw: fn(usize) -> Markup,
    rooms: Shared<ListId, Room>,
}

/// A list that at least one person has open.
#[derive(Debug)]
struct Room {
    people: Arc<People>,
    told: watch::Sender<Bytes>,
    /// The task that sends the number ends with this.
    _life: Life,
}

/// The people who have a list open.
#[derive(Debug, Default)]
struct People {
    counts: Mutex<Counts>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    /// The number of people who are here.
    people: usize,
    /// The number of open streams of each visitor with a session.
    visitors: HashMap<SessionId, usize>,
    /// The largest number of people since the first departure that has not been announced.
    peak: usize,
}

/// A person who is here until this is dropped.
#[derive(Debug)]
struct Seat {
    room: Arc<Room>,
    visitor: Option<SessionId>,
}

impl Presence {
    /// No people at any list. `draw` draws the message from the number of people.
    pub(crate) fn new(draw: fn(usize) -> Markup) -> Self {
        Self {
            draw,
            rooms: Shared::default(),
        }
    }

    /// Adds a person to a list for as long as the returned stream exists. The stream sends
    /// the number of people.
    pub(crate) fn enter(&self, list: ListId, visitor: Option<SessionId>) -> Side {
        let (room, _) = self.rooms.get_or_make(&list, |life| self.open(life));
        room.people.take_in(visitor);
        side(room.told.subscribe(), Seat { room, visitor })
    }

    /// Opens a room for its first person.
    fn open(&self, life: Life) -> Arc<Room> {
        let people = Arc::<People>::default();
        let told = watch::Sender::new(self.frame(1));
        life.spawn(self.clone().tell(Arc::clone(&people), told.clone()));
        Arc::new(Room {
            people,
            told,
            _life: life,
        })
    }

    /// Sends the number of people to everyone in a room, beginning with one person.
    async fn tell(self, people: Arc<People>, told: watch::Sender<Bytes>) {
        let mut shown = 1;
        let mut not_before = Instant::now() + PACE;
        // The time at which people who left are subtracted.
        let mut gone_at = None;
        loop {
            let count = people.counts.lock().people;
            if count < shown && gone_at.is_none() {
                gone_at = Some(Instant::now() + PATIENCE);
                people.forget_peak();
            }
            let due = if count > shown {
                Some(not_before)
            } else {
                gone_at.map(|gone_at| not_before.max(gone_at))
            };
            let is_due = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = people.changed.notified() => continue,
                () = is_due => {}
            }
            // New people may have replaced some of those who left.
            let has_left = gone_at.take().is_some();
            let count = people.count(has_left);
            if count != shown {
                shown = count;
                told.send_replace(self.frame(count));
                not_before = Instant::now() + PACE;
            }
        }
    }

    fn frame(&self, people: usize) -> Bytes {
        let patch = PatchElements::new((self.draw)(people).into_string());
        sse::datastar_frame(patch, None).into()
    }
}

impl People {
    fn take_in(&self, visitor: Option<SessionId>) {
        let mut counts = self.counts.lock();
        let streams = visitor.map(|visitor| counts.visitors.entry(visitor).or_default());
        let is_here = streams.is_some_and(|streams| {
            *streams += 1;
            *streams > 1
        });
        if !is_here {
            counts.people += 1;
            counts.peak = counts.peak.max(counts.people);
            self.changed.notify_one();
        }
    }

    fn let_out(&self, visitor: Option<SessionId>) {
        let mut counts = self.counts.lock();
        if let Some(visitor) = visitor
            && let Some(streams) = counts.visitors.get_mut(&visitor)
        {
            *streams -= 1;
            if *streams > 0 {
                return;
            }
            counts.visitors.remove(&visitor);
        }
        counts.people -= 1;
        self.changed.notify_one();
    }

    /// The number of people; `at_peak`, the largest number since the peak was forgotten.
    fn count(&self, at_peak: bool) -> usize {
        let counts = self.counts.lock();
        if at_peak { counts.peak } else { counts.people }
    }

    fn forget_peak(&self) {
        let mut counts = self.counts.lock();
        counts.peak = counts.people;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.people.let_out(self.visitor);
    }
}

#[cfg(test)]
mod tests;
