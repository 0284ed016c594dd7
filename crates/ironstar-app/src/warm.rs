//! Aggregate states in memory, which save a command from reading its stream.
//!
//! A state in memory may be behind the log, because other nodes append too. That does no harm:
//! the append compares sequences, and a refusal counts only on a state that was just read from
//! the store.

use std::any::Any;
use std::num::NonZeroUsize;
use std::sync::Arc;

use ironstar_ports::{StreamHead, StreamId};
use lru::LruCache;
use parking_lot::Mutex;

/// The number of states that are kept. The least recently used state goes first.
const STATES: NonZeroUsize = NonZeroUsize::new(16_384).expect("it is not zero");

/// The states of the most recently used streams, of all aggregates.
#[derive(Clone, Debug)]
pub(crate) struct WarmStates {
    states: Arc<Mutex<LruCache<StreamId, Warm>>>,
}

/// A state, and the head of its stream at that state.
#[derive(Clone, Debug)]
struct Warm {
    state: Arc<dyn Any + Send + Sync>,
    head: StreamHead,
}

impl WarmStates {
    pub(crate) fn new() -> Self {
        Self {
            states: Arc::new(Mutex::new(LruCache::new(STATES))),
        }
    }

    /// The state that is kept for a stream.
    pub(crate) fn get<A: Any + Clone>(&self, stream: &StreamId) -> Option<(A, StreamHead)> {
        let warm = self.states.lock().get(stream)?.clone();
        Some((warm.state.downcast_ref::<A>()?.clone(), warm.head))
    }

    /// Keeps a state, unless a later one is already kept.
    pub(crate) fn put<A: Any + Send + Sync>(&self, state: A, head: StreamHead) {
        let mut states = self.states.lock();
        let is_later = states
            .peek(&head.stream)
            .is_none_or(|kept| kept.head.sequence < head.sequence);
        if is_later {
            let stream = head.stream.clone();
            let state = Arc::new(state);
            states.put(stream, Warm { state, head });
        }
    }
}
