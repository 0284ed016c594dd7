//! Broken event buses.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use ironstar_ports::contract::event_bus::RULES;
use ironstar_ports::{BusError, BusMessage, EventBus, Key, KeyExpr, Subscription};
use tokio::sync::mpsc;

use crate::contract::each_breaks_its_rule_and_no_other;

/// The rules, each with the mutation that breaks it.
const MUTANTS: &[(&str, Mutation)] = &[
    ("delivers-what-matches", Mutation::IgnoresTheExpression),
    ("every-subscriber", Mutation::ReplacesSameExpression),
    ("publisher-order", Mutation::SwapsTwoMessages),
    ("never-blocks", Mutation::WaitsForSlowSubscribers),
    ("drop-is-isolated", Mutation::FailsOnDroppedSubscription),
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mutation {
    IgnoresTheExpression,
    ReplacesSameExpression,
    SwapsTwoMessages,
    WaitsForSlowSubscribers,
    FailsOnDroppedSubscription,
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mutant_breaks_its_rule_and_no_other() {
    each_breaks_its_rule_and_no_other(RULES, MUTANTS, Mutant::with).await;
}

/// A bus with one mutation.
#[derive(Debug)]
struct Mutant {
    mutation: Mutation,
    subscribers: Mutex<Vec<(KeyExpr, mpsc::Sender<BusMessage>)>>,
    held_back: Mutex<Option<BusMessage>>,
}

impl Mutant {
    fn with(mutation: Mutation) -> Arc<dyn EventBus> {
        Arc::new(Self {
            mutation,
            subscribers: Mutex::default(),
            held_back: Mutex::default(),
        })
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == mutation
    }

    async fn deliver(&self, key: &Key, message: BusMessage) -> Result<(), BusError> {
        let subscribers = self.subscribers.lock().expect("the lock").clone();
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
            *self.held_back.lock().expect("the lock") = Some(message);
            return Ok(());
        }
        self.deliver(key, message).await?;
        let held_back = self.held_back.lock().expect("the lock").take();
        match held_back {
            Some(message) => self.deliver(key, message).await,
            None => Ok(()),
        }
    }

    async fn subscribe(&self, keys: &KeyExpr) -> Result<Subscription, BusError> {
        let (queue, messages) = mpsc::channel(1_024);
        let mut subscribers = self.subscribers.lock().expect("the lock");
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
