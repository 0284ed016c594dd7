//! Hints between parts of the application, and between its nodes.

use std::error::Error;
use std::fmt::Debug;

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::{Key, KeyExpr};

/// Carries messages from publishers to the subscribers of their keys.
///
/// A bus is fast and forgetful. It may lose, double or reorder messages without an error, so a
/// message never carries data that is not in the store. Every adapter passes
/// `contract::event_bus`.
#[async_trait]
pub trait EventBus: Debug + Send + Sync {
    /// Sends a message to all subscribers of its key. A subscriber that does not read never
    /// delays the publisher: it loses messages instead.
    ///
    /// # Errors
    ///
    /// If the bus is closed or not available.
    async fn publish(&self, key: &Key, payload: &[u8]) -> Result<(), BusError>;

    /// Subscribes to the messages whose keys match. Messages that are published after this method
    /// has returned arrive. Dropping the subscription ends it. The subscription also ends when
    /// the bus is closed.
    ///
    /// # Errors
    ///
    /// If the bus is closed or not available.
    async fn subscribe(&self, keys: &KeyExpr) -> Result<Subscription, BusError>;
}

/// The messages that match a subscription.
pub type Subscription = BoxStream<'static, BusMessage>;

/// A message on the bus.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BusMessage {
    /// The key to which the message was published.
    pub key: String,
    /// The published bytes.
    pub payload: Vec<u8>,
}

/// The error of a bus that is not available, with its cause.
#[derive(Debug, thiserror::Error)]
#[error("the event bus is not available")]
pub struct BusError(#[source] pub Box<dyn Error + Send + Sync>);

impl BusError {
    /// The bus is not available, with the cause.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}
