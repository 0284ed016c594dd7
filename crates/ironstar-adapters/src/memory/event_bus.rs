//! A bus in a vector.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;
use ironstar_ports::{BusError, BusMessage, EventBus, Key, KeyExpr, Subscription};
use tokio::sync::mpsc::{self, Sender, error::TrySendError};

/// How many messages a subscriber may be behind before it loses some.
const QUEUE: usize = 1_024;

/// A bus that reaches as far as the process.
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
    /// A bus that nobody is subscribed to.
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
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|subscriber| !subscriber.is_gone_after(key, payload));
        Ok(())
    }

    async fn subscribe(&self, keys: &KeyExpr) -> Result<Subscription, BusError> {
        let (queue, messages) = mpsc::channel(QUEUE);
        self.subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Subscriber {
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
    /// Offers a message; true if the subscription has been dropped.
    fn is_gone_after(&self, key: &Key, payload: &[u8]) -> bool {
        if !self.keys.matches(key) {
            return self.queue.is_closed();
        }
        let message = BusMessage {
            key: key.as_str().to_owned(),
            payload: payload.to_vec(),
        };
        match self.queue.try_send(message) {
            // A full queue loses the message: publishers never wait.
            Ok(()) | Err(TrySendError::Full(_)) => false,
            Err(TrySendError::Closed(_)) => true,
        }
    }
}
