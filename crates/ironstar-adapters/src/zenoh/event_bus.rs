//! Messages through a Zenoh session.
//!
//! Subscriber callbacks run on the publisher's thread when both are in one
//! process, so a callback never does more than `try_send`.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;
use ironstar_ports::{BusError, BusMessage, EventBus, Key, KeyExpr, Subscription};
use tokio::sync::mpsc;
use zenoh::pubsub::Subscriber;
use zenoh::{Config, Session};

/// How many messages a subscriber may be behind before it loses some.
const QUEUE: usize = 1_024;

/// What keeps a session to its own process: it opens no socket and looks for
/// nobody.
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
    /// A bus within this process.
    ///
    /// # Errors
    ///
    /// If Zenoh cannot open a session.
    pub async fn embedded() -> Result<Self, BusError> {
        let mut config = Config::default();
        for (key, value) in EMBEDDED {
            config.insert_json5(key, value).map_err(BusError)?;
        }
        let session = zenoh::open(config).await.map_err(BusError)?;
        Ok(Self { session })
    }

    /// Leaves the bus: subscriptions end, and what is published from now on is
    /// refused.
    ///
    /// # Errors
    ///
    /// If the session does not close in good order.
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
                // A full queue loses the message: publishers never wait. A
                // closed one belongs to a subscription that is being dropped.
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

/// What a subscription is made of. The subscriber is held only to be dropped
/// with it, which undeclares it.
type Received = (mpsc::Receiver<BusMessage>, Subscriber<()>);

async fn next_message((mut messages, subscriber): Received) -> Option<(BusMessage, Received)> {
    let message = messages.recv().await?;
    Some((message, (messages, subscriber)))
}
