//! States that are kept in memory, so that a command need not read its stream.
//!
//! What is kept may be behind the log, since other nodes append too. That does
//! no harm: the append verifies it, and a refusal is only believed of a state
//! that was read anew.

use std::any::Any;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ironstar_ports::{StreamHead, StreamId};
use lru::LruCache;

/// How many states are kept; the ones used last.
const STATES: NonZeroUsize = NonZeroUsize::new(16_384).expect("it is not zero");

/// The states of the streams that were used last, whatever their aggregate.
#[derive(Clone, Debug)]
pub(crate) struct WarmStates {
    states: Arc<Mutex<LruCache<StreamId, Warm>>>,
}

/// A state, and where its stream was then.
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
        let warm = self.lock().get(stream)?.clone();
        Some((warm.state.downcast_ref::<A>()?.clone(), warm.head))
    }

    /// Keeps a state, unless a later one is kept already.
    pub(crate) fn put<A: Any + Send + Sync>(&self, state: A, head: StreamHead) {
        let mut states = self.lock();
        let is_later = states
            .peek(&head.stream)
            .is_none_or(|kept| kept.head.sequence < head.sequence);
        if is_later {
            let stream = head.stream.clone();
            let state = Arc::new(state);
            states.put(stream, Warm { state, head });
        }
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<StreamId, Warm>> {
        // The cache is whole between any two calls.
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
