//! Turns at a stream that several callers want to change at the same time.
//!
//! A decision is optimistic: it costs nothing until another caller appends first. The caller
//! that lost the race then takes a turn: it waits until all earlier callers have been decided.
//! So within one process no caller loses again and again. Other processes do not take turns;
//! against these, the append compares sequences as always.
//!
//! A stream is in the map only while a caller waits for it or holds it. Callers get their turns
//! in the order in which they have asked. A caller that is dropped gives up its turn. A caller
//! that needs several turns must ask for all of them together ([`Turns::take_all`]), and for
//! the turn at a stream that it only watches before those at streams that it changes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ironstar_ports::StreamId;
use parking_lot::Mutex;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// The maximum number of turns that are waited for or held at the same time.
const MOST: usize = 4_096;

/// The turns at all streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The number of turns that are waited for or held. A command without a conflict only reads
    /// this number.
    asked: AtomicUsize,
    streams: Mutex<HashMap<StreamId, Waiting>>,
}

/// The callers that wait for one stream or hold it.
#[derive(Debug, Default)]
struct Waiting {
    lock: Arc<RwLock<()>>,
    asked: usize,
}

/// A turn. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    // The order of these fields matters: the next caller gets its turn before the stream is
    // removed.
    _held: Held,
    _ticket: Ticket,
}

#[derive(Debug)]
enum Held {
    Alone { _guard: OwnedRwLockWriteGuard<()> },
    Together { _guard: OwnedRwLockReadGuard<()> },
}

/// A place in the queue of one stream.
#[derive(Debug)]
struct Ticket {
    turns: Turns,
    stream: StreamId,
}

/// Too many callers are waiting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TooManyWait;

impl Turns {
    /// A turn at a stream, if other callers already take turns there. A later caller must not
    /// append before the waiting ones.
    pub(crate) async fn join(&self, stream: &StreamId) -> Result<Option<Turn>, TooManyWait> {
        if self.0.asked.load(Ordering::Relaxed) == 0 || !self.0.streams.lock().contains_key(stream)
        {
            return Ok(None);
        }
        self.take(stream).await.map(Some)
    }

    /// A turn at a stream, to change it.
    pub(crate) async fn take(&self, stream: &StreamId) -> Result<Turn, TooManyWait> {
        let (lock, ticket) = self.ask(stream)?;
        let guard = lock.write_owned().await;
        Ok(Turn {
            _held: Held::Alone { _guard: guard },
            _ticket: ticket,
        })
    }

    /// A turn at a stream that must not change meanwhile. Several callers can hold such turns
    /// together.
    pub(crate) async fn watch(&self, stream: &StreamId) -> Result<Turn, TooManyWait> {
        let (lock, ticket) = self.ask(stream)?;
        let guard = lock.read_owned().await;
        Ok(Turn {
            _held: Held::Together { _guard: guard },
            _ticket: ticket,
        })
    }

    /// Turns at several streams, one for each. All callers take them in the same order, so no
    /// two callers wait for each other.
    pub(crate) async fn take_all(
        &self,
        mut streams: Vec<StreamId>,
    ) -> Result<Vec<Turn>, TooManyWait> {
        let name = |stream: &StreamId| (stream.aggregate_type.clone(), stream.aggregate_id.clone());
        streams.sort_by_cached_key(name);
        streams.dedup();
        let mut turns = Vec::with_capacity(streams.len());
        for stream in &streams {
            turns.push(self.take(stream).await?);
        }
        Ok(turns)
    }

    fn ask(&self, stream: &StreamId) -> Result<(Arc<RwLock<()>>, Ticket), TooManyWait> {
        let mut streams = self.0.streams.lock();
        if self.0.asked.load(Ordering::Relaxed) >= MOST {
            return Err(TooManyWait);
        }
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        let waiting = streams.entry(stream.clone()).or_default();
        waiting.asked += 1;
        let ticket = Ticket {
            turns: self.clone(),
            stream: stream.clone(),
        };
        Ok((Arc::clone(&waiting.lock), ticket))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut streams = self.turns.0.streams.lock();
        self.turns.0.asked.fetch_sub(1, Ordering::Relaxed);
        if let Entry::Occupied(mut waiting) = streams.entry(self.stream.clone()) {
            waiting.get_mut().asked -= 1;
            if waiting.get().asked == 0 {
                waiting.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests;
