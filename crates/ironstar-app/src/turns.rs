//! Turns at a stream that several callers want to change at the same time.
//!
//! A decision is optimistic: it costs nothing until another caller gets in first. The
//! caller that was too late then takes a turn: it waits until those before it have been
//! decided, so within one process no caller loses again and again. Other processes take
//! no part in it; against these, the append compares sequences as ever.
//!
//! A stream is known here only while a caller waits for it or holds it, and turns are
//! given in the order in which callers have asked. A caller that goes away gives its turn
//! up. To hold several turns at once, ask for all of them together
//! ([`Turns::take_all`]), and for a list before its todos.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ironstar_ports::StreamId;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// How many turns may be asked for and held at the same time.
const MOST: usize = 4_096;

/// The turns at all streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// How many turns are asked for or held: a look at it is all that an uncontended
    /// command pays.
    asked: AtomicUsize,
    streams: Mutex<HashMap<StreamId, Waiting>>,
}

/// Those who ask for one stream.
#[derive(Debug, Default)]
struct Waiting {
    lock: Arc<RwLock<()>>,
    asked: usize,
}

/// A turn. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    // In this order: the next caller is let in before the stream is forgotten.
    _held: Held,
    _ticket: Ticket,
}

#[derive(Debug)]
enum Held {
    Alone { _guard: OwnedRwLockWriteGuard<()> },
    Together { _guard: OwnedRwLockReadGuard<()> },
}

/// A place among those who ask for a stream.
#[derive(Debug)]
struct Ticket {
    turns: Turns,
    stream: StreamId,
}

/// Too many callers are waiting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TooManyWait;

impl Turns {
    /// A turn at a stream, if others have taken turns at it already. A caller that comes
    /// later must not get in before those who wait.
    pub(crate) async fn join(&self, stream: &StreamId) -> Result<Option<Turn>, TooManyWait> {
        if self.0.asked.load(Ordering::Relaxed) == 0 || !self.lock().contains_key(stream) {
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

    /// A turn at a stream that must stay as it is meanwhile. Several callers hold such
    /// turns together.
    pub(crate) async fn watch(&self, stream: &StreamId) -> Result<Turn, TooManyWait> {
        let (lock, ticket) = self.ask(stream)?;
        let guard = lock.read_owned().await;
        Ok(Turn {
            _held: Held::Together { _guard: guard },
            _ticket: ticket,
        })
    }

    /// Turns at several streams, each of them once. All callers take them in the same
    /// order, so none waits for another that waits for it.
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
        let mut streams = self.lock();
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

    fn lock(&self) -> MutexGuard<'_, HashMap<StreamId, Waiting>> {
        // The map is whole between any two calls.
        self.0
            .streams
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut streams = self.turns.lock();
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
