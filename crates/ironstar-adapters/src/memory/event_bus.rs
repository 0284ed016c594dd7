//! An event bus in a vector.

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;
use ironstar_ports::{BusError, BusMessage, EventBus, Key, KeyExpr, Subscription};
use parking_lot::Mutex;
use tokio::sync::mpsc::{self, Sender, error::TrySendError};

/// The number of messages that may wait for one subscriber. Later messages are lost.
const QUEUE: usize = 1_024;

/// A bus inside this process.
#[derive(Debug, Default)]
pub struct MemoryEventBus {
    subscribers: Mutex<Vec<Subscriber>>,
}

#[derive(Debug)]
struct Subscriber {
    keys: KeyExpr,
    queue: Sender<BusMessage>,
}

impl MemoryEventBus {
    /// Creates a bus without subscribers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl EventBus for MemoryEventBus {
    async fn publish(&self, key: &Key, payload: &[u8]) -> Result<(), BusError> {
        self.subscribers
            .lock()
            .retain(|subscriber| !subscriber.is_gone_after(key, payload));
        Ok(())
    }

    async fn subscribe(&self, keys: &KeyExpr) -> Result<Subscription, BusError> {
        let (queue, messages) = mpsc::channel(QUEUE);
        self.subscribers.lock().push(Subscriber {
            keys: keys.clone(),
            queue,
        });
        let next = |mut messages: mpsc::Receiver<BusMessage>| async move {
            messages.recv().await.map(|message| (message, messages))
        };
        Ok(stream::unfold(messages, next).boxed())
    }
}

impl Subscriber {
    /// Offers a message to the subscriber. Returns true if its subscription has been dropped.
    fn is_gone_after(&self, key: &Key, payload: &[u8]) -> bool {
        if !self.keys.matches(key) {
            return self.queue.is_closed();
        }
        let message = BusMessage {
            key: key.as_str().to_owned(),
            payload: payload.to_vec(),
        };
        match self.queue.try_send(message) {
            // If the queue is full, the message is lost, because publishers never wait.
            Ok(()) | Err(TrySendError::Full(_)) => false,
            Err(TrySendError::Closed(_)) => true,
        }
    }
}
