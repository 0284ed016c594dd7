//! An event bus on Zenoh: a session inside the process, and one on a network if there is one.
//!
//! Messages between parts of this process do not depend on the network. They go through the
//! session inside the process, and reach the other nodes through the other one.
//!
//! If publisher and subscriber are in the same process, a subscriber's callback runs on the
//! publisher's thread. So a callback never does more than `try_send`.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;
use ironstar_ports::{BusError, BusMessage, EventBus, Key, KeyExpr, Subscription};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use zenoh::pubsub::Subscriber;
use zenoh::sample::{Locality, Sample};
use zenoh::{Config, Session};

use super::network::{Connection, LARGEST, ZenohNetwork};

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

/// A bus on Zenoh. It needs a multi-threaded Tokio runtime.
pub struct ZenohEventBus {
    /// The session inside the process.
    local: Session,
    /// The connection to the other nodes; `None` without a network.
    network: Option<Connection>,
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
        let local = zenoh::open(config).await.map_err(BusError)?;
        Ok(Self {
            local,
            network: None,
        })
    }

    /// Opens a bus inside this process that also joins a network. It does not wait for the
    /// network, and keeps trying to reach it.
    ///
    /// # Errors
    ///
    /// Zenoh cannot open a session inside the process, or does not accept the settings.
    pub async fn on(network: &ZenohNetwork) -> Result<Self, BusError> {
        let mut bus = Self::embedded().await?;
        bus.network = Some(network.connect()?);
        Ok(bus)
    }

    /// Leaves the bus. All subscriptions end, and later messages are refused.
    ///
    /// # Errors
    ///
    /// The session does not close cleanly.
    pub async fn close(&self) -> Result<(), BusError> {
        if let Some(network) = &self.network {
            network.give_up();
        }
        // The network may take its time, if it is not there.
        self.local.close().await.map_err(BusError)?;
        match &self.network {
            Some(network) => network.close().await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl EventBus for ZenohEventBus {
    async fn publish(&self, key: &Key, payload: &[u8]) -> Result<(), BusError> {
        // All subscribers belong to this session. Otherwise the message would pass Zenoh's
        // router, which takes longer than the rest.
        self.local
            .put(key.as_str(), payload)
            .allowed_destination(Locality::SessionLocal)
            .await
            .map_err(BusError)?;
        if let Some(network) = self.network.as_ref().and_then(Connection::session) {
            network
                .put(key.as_str(), payload)
                .allowed_destination(Locality::Remote)
                .await
                .map_err(BusError)?;
        }
        Ok(())
    }

    async fn subscribe(&self, keys: &KeyExpr) -> Result<Subscription, BusError> {
        let (queue, messages) = mpsc::channel(QUEUE);
        let local = declare(&self.local, keys, queue.clone()).await?;
        let network = self.network.clone();
        let network = network.map(|network| tokio::spawn(hear(network, keys.clone(), queue)));
        let received = Received {
            messages,
            _local: local,
            _network: network.map(AbortOnDropHandle::new),
        };
        Ok(stream::unfold(received, next_message).boxed())
    }
}

/// Lets messages of other nodes into a queue, once there is a connection. Ends when the
/// connection is closed.
async fn hear(mut network: Connection, keys: KeyExpr, queue: mpsc::Sender<BusMessage>) {
    let Some(session) = network.opened().await else {
        return;
    };
    match declare(&session, &keys, queue).await {
        Ok(_subscriber) => network.closed().await,
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            keys = keys.as_str(),
            "messages of other nodes do not arrive"
        ),
    }
}

/// Declares a subscriber that fills a queue. It ends when it is dropped.
async fn declare(
    session: &Session,
    keys: &KeyExpr,
    queue: mpsc::Sender<BusMessage>,
) -> Result<Subscriber<()>, BusError> {
    let receive = move |sample: Sample| {
        // Nothing that is published here is so large.
        if sample.payload().len() > LARGEST {
            return;
        }
        // If the queue is full, the message is lost, because publishers never wait. If the
        // queue is closed, its subscription is being dropped.
        let _ = queue.try_send(BusMessage {
            key: sample.key_expr().as_str().to_owned(),
            payload: sample.payload().to_bytes().into_owned(),
        });
    };
    let subscriber = session.declare_subscriber(keys.as_str()).callback(receive);
    subscriber.await.map_err(BusError)
}

impl Drop for ZenohEventBus {
    fn drop(&mut self) {
        if let Some(network) = &self.network {
            network.give_up();
        }
    }
}

impl Debug for ZenohEventBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZenohEventBus").finish_non_exhaustive()
    }
}

/// The state of a subscription. It only keeps the Zenoh subscribers alive: dropping them
/// undeclares them.
struct Received {
    messages: mpsc::Receiver<BusMessage>,
    _local: Subscriber<()>,
    _network: Option<AbortOnDropHandle<()>>,
}

async fn next_message(mut received: Received) -> Option<(BusMessage, Received)> {
    let message = received.messages.recv().await?;
    Some((message, received))
}
