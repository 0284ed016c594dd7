//! Broken event buses.

use std::sync::Mutex;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use ironstar_ports::contract::event_bus::RULES;
use ironstar_ports::{BusError, BusMessage, EventBus, Key, KeyExpr, Subscription};
use tokio::sync::mpsc;

mutants! {
    dyn EventBus, around ();
    "delivers-matching-messages" => IgnoresTheExpression,
    "every-subscriber" => ReplacesSameExpression,
    "publisher-order" => SwapsTwoMessages,
    "never-blocks" => WaitsForSlowSubscribers,
    "drop-is-isolated" => FailsOnDroppedSubscription,
}

type Mutant = super::Mutant<Mutation, (), Notes>;

#[derive(Debug, Default)]
struct Notes {
    subscribers: Mutex<Vec<(KeyExpr, mpsc::Sender<BusMessage>)>>,
    held_back: Mutex<Option<BusMessage>>,
}

impl Mutant {
    async fn deliver(&self, key: &Key, message: BusMessage) -> Result<(), BusError> {
        let subscribers = self.notes.subscribers.lock().expect("the lock").clone();
        for (keys, queue) in subscribers {
            if !keys.matches(key) && !self.is(Mutation::IgnoresTheExpression) {
                continue;
            }
            if self.is(Mutation::WaitsForSlowSubscribers) {
                // A dropped subscription is not an error here.
                let _ = queue.send(message.clone()).await;
            } else if queue.try_send(message.clone()).is_err()
                && queue.is_closed()
                && self.is(Mutation::FailsOnDroppedSubscription)
            {
                return Err(BusError::new("a subscription was dropped"));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl EventBus for Mutant {
    async fn publish(&self, key: &Key, payload: &[u8]) -> Result<(), BusError> {
        let message = BusMessage {
            key: key.as_str().to_owned(),
            payload: payload.to_vec(),
        };
        if self.is(Mutation::SwapsTwoMessages) && payload == [50] {
            *self.notes.held_back.lock().expect("the lock") = Some(message);
            return Ok(());
        }
        self.deliver(key, message).await?;
        let held_back = self.notes.held_back.lock().expect("the lock").take();
        match held_back {
            Some(message) => self.deliver(key, message).await,
            None => Ok(()),
        }
    }

    async fn subscribe(&self, keys: &KeyExpr) -> Result<Subscription, BusError> {
        let (queue, messages) = mpsc::channel(1_024);
        let mut subscribers = self.notes.subscribers.lock().expect("the lock");
        if self.is(Mutation::ReplacesSameExpression) {
            subscribers.retain(|(other, _)| other != keys);
        }
        subscribers.push((keys.clone(), queue));
        let next = |mut messages: mpsc::Receiver<BusMessage>| async move {
            messages.recv().await.map(|message| (message, messages))
        };
        Ok(stream::unfold(messages, next).boxed())
    }
}
