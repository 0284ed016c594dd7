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
use ironstar_domain::ListId;
use maud::Markup;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::latest::{Side, side};
use crate::session::SessionId;
use crate::sse;

/// How often people are told at the most.
const PACE: Duration = Duration::from_secs(1);

/// How long somebody is still here who has gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who is where.
#[derive(Clone, Debug)]
pub(crate) struct Presence {
    draw: fn(usize) -> Markup,
    rooms: Arc<Mutex<HashMap<ListId, Room>>>,
}

/// A list that somebody has open.
#[derive(Debug)]
struct Room {
    /// How many people are here.
    count: usize,
    /// How many streams each visitor has open who has a session.
    visitors: HashMap<SessionId, usize>,
    /// How many were, at the most, since the first of those left who are about
    /// to be told gone.
    peak: usize,
    changed: Arc<Notify>,
    told: watch::Sender<Bytes>,
    /// Ends the task that tells.
    _open: DropGuard,
}

/// Somebody who is here until this is dropped.
#[derive(Debug)]
struct Seat {
    presence: Presence,
    list: ListId,
    visitor: Option<SessionId>,
}

impl Presence {
    /// Nobody is anywhere. What people are told is drawn by `draw`, from how
    /// many they are.
    pub(crate) fn new(draw: fn(usize) -> Markup) -> Self {
        Self {
            draw,
            rooms: Arc::default(),
        }
    }

    /// Comes to a list, and stays for as long as the stream: it tells how many
    /// are there.
    pub(crate) fn enter(&self, list: ListId, visitor: Option<SessionId>) -> Side {
        let told = {
            let mut rooms = self.rooms();
            let room = rooms.entry(list).or_insert_with(|| self.open(list));
            room.take_in(visitor);
            room.told.subscribe()
        };
        let presence = self.clone();
        let seat = Seat {
            presence,
            list,
            visitor,
        };
        side(told, seat)
    }

    /// Opens a room for the first who comes.
    fn open(&self, list: ListId) -> Room {
        let told = watch::Sender::new(self.frame(1));
        let changed = Arc::new(Notify::new());
        let closed = CancellationToken::new();
        let open = closed.clone().drop_guard();
        let telling = self.clone().tell(list, Arc::clone(&changed), told.clone());
        tokio::spawn(async move { closed.run_until_cancelled(telling).await });
        Room {
            count: 0,
            visitors: HashMap::new(),
            peak: 0,
            changed,
            told,
            _open: open,
        }
    }

    /// Tells everyone in a room how many they are, from when there was one.
    async fn tell(self, list: ListId, changed: Arc<Notify>, told: watch::Sender<Bytes>) {
        let mut shown = 1;
        let mut not_before = Instant::now() + PACE;
        // When those are gone who have left.
        let mut gone_at = None;
        loop {
            let count = self.with_room(list, |room| room.count).unwrap_or(shown);
            if count < shown && gone_at.is_none() {
                gone_at = Some(Instant::now() + PATIENCE);
                self.with_room(list, |room| room.peak = room.count);
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
                () = changed.notified() => continue,
                () = is_due => {}
            }
            let (count, peak) = self
                .with_room(list, |room| (room.count, room.peak))
                .unwrap_or((shown, shown));
            // Some of those who left have been replaced meanwhile.
            let people = if gone_at.take().is_some() {
                peak
            } else {
                count
            };
            if people != shown {
                shown = people;
                told.send_replace(self.frame(people));
                not_before = Instant::now() + PACE;
            }
        }
    }

    fn with_room<T>(&self, list: ListId, look: impl FnOnce(&mut Room) -> T) -> Option<T> {
        self.rooms().get_mut(&list).map(look)
    }

    fn frame(&self, people: usize) -> Bytes {
        let patch = PatchElements::new((self.draw)(people).into_string());
        sse::datastar_frame(patch, None).into()
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<ListId, Room>> {
        // Nothing panics between the changes that belong together.
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    fn take_in(&mut self, visitor: Option<SessionId>) {
        let streams = visitor.map(|visitor| self.visitors.entry(visitor).or_default());
        let is_here = streams.is_some_and(|streams| {
            *streams += 1;
            *streams > 1
        });
        if !is_here {
            self.count += 1;
            self.peak = self.peak.max(self.count);
            self.changed.notify_one();
        }
    }

    fn let_out(&mut self, visitor: Option<SessionId>) {
        if let Some(visitor) = visitor
            && let Some(streams) = self.visitors.get_mut(&visitor)
        {
            *streams -= 1;
            if *streams > 0 {
                return;
            }
            self.visitors.remove(&visitor);
        }
        self.count -= 1;
        self.changed.notify_one();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut rooms = self.presence.rooms();
        let Some(room) = rooms.get_mut(&self.list) else {
            return;
        };
        room.let_out(self.visitor);
        if room.count == 0 {
            rooms.remove(&self.list);
        }
    }
}

#[cfg(test)]
mod tests;
