//! An event bus on a Zenoh session.
//!
//! If publisher and subscriber are in the same process, a subscriber's callback runs on the
//! publisher's thread. So a callback never does more than `try_send`.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;
use ironstar_ports::{BusError, BusMessage, EventBus, Key, KeyExpr, Subscription};
use tokio::sync::mpsc;
use zenoh::pubsub::Subscriber;
use zenoh::{Config, Session};

/// The number of messages that may wait for one subscriber. Later messages are lost.
const QUEUE: usize = 1_024;

/// Settings that keep a session inside its own process: it opens no socket, and does not look
/// for other peers.
const EMBEDDED: &[(&str, &str)] = &[
    ("mode", r#""peer""#),
    ("listen/endpoints", "[]"),
    ("connect/endpoints", "[]"),
    ("scouting/multicast/enabled", "false"),
    ("scouting/gossip/enabled", "false"),
    ("adminspace/enabled", "false"),
];

/// A bus on a Zenoh session. It needs a multi-threaded Tokio runtime.
pub struct ZenohEventBus {
    session: Session,
}

impl ZenohEventBus {
    /// Opens a bus inside this process.
    ///
    /// # Errors
    ///
    /// Zenoh cannot open a session.
    pub async fn embedded() -> Result<Self, BusError> {
        let mut config = Config::default();
        for (key, value) in EMBEDDED {
            config.insert_json5(key, value).map_err(BusError)?;
        }
        let session = zenoh::open(config).await.map_err(BusError)?;
        Ok(Self { session })
    }

    /// Leaves the bus. All subscriptions end, and later messages are refused.
    ///
    /// # Errors
    ///
    /// The session does not close cleanly.
    pub async fn close(&self) -> Result<(), BusError> {
        self.session.close().await.map_err(BusError)
    }
}

#[async_trait]
impl EventBus for ZenohEventBus {
    async fn publish(&self, key: &Key, payload: &[u8]) -> Result<(), BusError> {
        self.session
            .put(key.as_str(), payload)
            .await
            .map_err(BusError)
    }

    async fn subscribe(&self, keys: &KeyExpr) -> Result<Subscription, BusError> {
        let (queue, messages) = mpsc::channel(QUEUE);
        let subscriber = self
            .session
            .declare_subscriber(keys.as_str())
            .callback(move |sample| {
                // If the queue is full, the message is lost, because publishers never wait.
                // If the queue is closed, its subscription is being dropped.
                let _ = queue.try_send(BusMessage {
                    key: sample.key_expr().as_str().to_owned(),
                    payload: sample.payload().to_bytes().into_owned(),
                });
            })
            .await
            .map_err(BusError)?;
        Ok(stream::unfold((messages, subscriber), next_message).boxed())
    }
}

impl Debug for ZenohEventBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZenohEventBus").finish_non_exhaustive()
    }
}

/// The state of a subscription. It only keeps the Zenoh subscriber alive: dropping the
/// subscriber undeclares it.
type Received = (mpsc::Receiver<BusMessage>, Subscriber<()>);

async fn next_message((mut messages, subscriber): Received) -> Option<(BusMessage, Received)> {
    let message = messages.recv().await?;
    Some((message, (messages, subscriber)))
}
