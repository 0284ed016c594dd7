//! How many people are here: who has a list open, as far as streams tell. A visitor
//! with a session is one of them, however many pages they have open; of others,
//! each page is.
//!
//! Everyone who watches a list is told when that changes, but not each time: at
//! most once a second, or ten thousand people who come would be told of each
//! other a hundred million times. And that somebody has gone is told only when
//! he has not been back within a while, since streams break and are opened again.
//!
//! A list that nobody watches leaves nothing here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use datastar::prelude::PatchElements;
use ironstar_domain::list::ListId;
use maud::Markup;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::session::SessionId;
use crate::stream::latest::{Side, side};
use crate::stream::shared::{Life, Shared};
use crate::stream::sse;

/// How often people are told at the most.
const PACE: Duration = Duration::from_secs(1);

/// How long somebody is still here who has gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who is where.
#[derive(Clone, Debug)]
pub(crate) struct Presence {
    draw: fn(usize) -> Markup,
    rooms: Shared<ListId, Room>,
}

/// A list that somebody has open.
#[derive(Debug)]
struct Room {
    people: Arc<People>,
    told: watch::Sender<Bytes>,
    /// The task that tells lives as long.
    _life: Life,
}

/// Who has it open.
#[derive(Debug, Default)]
struct People {
    counts: Mutex<Counts>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    /// How many people are here.
    people: usize,
    /// How many streams each visitor has open who has a session.
    visitors: HashMap<SessionId, usize>,
    /// How many were, at the most, since the first of those left who are about
    /// to be told gone.
    peak: usize,
}

/// Somebody who is here until this is dropped.
#[derive(Debug)]
struct Seat {
    room: Arc<Room>,
    visitor: Option<SessionId>,
}

impl Presence {
    /// Nobody is anywhere. What people are told is drawn by `draw`, from how
    /// many they are.
    pub(crate) fn new(draw: fn(usize) -> Markup) -> Self {
        Self {
            draw,
            rooms: Shared::default(),
        }
    }

    /// Comes to a list, and stays for as long as the stream: it tells how many
    /// are there.
    pub(crate) fn enter(&self, list: ListId, visitor: Option<SessionId>) -> Side {
        let (room, _) = self.rooms.get_or_make(&list, |life| self.open(life));
        room.people.take_in(visitor);
        side(room.told.subscribe(), Seat { room, visitor })
    }

    /// Opens a room for the first who comes.
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

    /// Tells everyone in a room how many they are, from when there was one.
    async fn tell(self, people: Arc<People>, told: watch::Sender<Bytes>) {
        let mut shown = 1;
        let mut not_before = Instant::now() + PACE;
        // When those are gone who have left.
        let mut gone_at = None;
        loop {
            let count = people.counts().people;
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
            // Some of those who left have been replaced meanwhile.
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
        let mut counts = self.counts();
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
        let mut counts = self.counts();
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

    /// How many they are; or were, at the most, since the peak was forgotten.
    fn count(&self, at_peak: bool) -> usize {
        let counts = self.counts();
        if at_peak { counts.peak } else { counts.people }
    }

    fn forget_peak(&self) {
        let mut counts = self.counts();
        counts.peak = counts.people;
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Nothing panics between the changes that belong together.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.people.let_out(self.visitor);
    }
}

#[cfg(test)]
mod tests;
