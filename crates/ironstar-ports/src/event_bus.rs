//! Hints between parts of the application, and between its nodes.

use std::error::Error;
use std::fmt::Debug;

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::{Key, KeyExpr};

/// Carries messages from publishers to whoever has subscribed to their key.
///
/// A bus is fast and forgetful: a message may be lost, doubled or overtaken
/// without an error, so it never carries anything that is not in the store.
/// Every adapter passes `contract::event_bus`.
#[async_trait]
pub trait EventBus: Debug + Send + Sync {
    /// Sends a message to all who are subscribed to its key. A subscriber that
    /// does not read never delays the publisher: it loses messages instead.
    ///
    /// # Errors
    ///
    /// If the bus is closed or does not work.
    async fn publish(&self, key: &Key, payload: &[u8]) -> Result<(), BusError>;

    /// Receives the messages whose keys match, from now on: what is published
    /// after this has returned arrives. Dropping the subscription ends it. The
    /// subscription ends by itself when the bus is closed.
    ///
    /// # Errors
    ///
    /// If the bus is closed or does not work.
    async fn subscribe(&self, keys: &KeyExpr) -> Result<Subscription, BusError>;
}

/// The messages that match a subscription.
pub type Subscription = BoxStream<'static, BusMessage>;

/// One message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BusMessage {
    /// The key that it was published to.
    pub key: String,
    /// What was published.
    pub payload: Vec<u8>,
}

/// Why the bus does not work.
#[derive(Debug, thiserror::Error)]
#[error("the event bus is not available")]
pub struct BusError(#[source] pub Box<dyn Error + Send + Sync>);

impl BusError {
    /// A bus that does not work, and why.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}
