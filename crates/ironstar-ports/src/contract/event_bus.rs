//! The promises of [`EventBus`].

use std::sync::Arc;

use futures::{FutureExt, StreamExt};

use super::{Rule, Verdict, Violation, equal, failed};
use crate::{EventBus, Key, KeyExpr, StreamId, Subscription};

type Bus = Arc<dyn EventBus>;

/// All rules, in reading order.
pub const RULES: &[Rule<Bus>] = &[
    rule!("delivers-matching-messages", delivers_matching_messages),
    rule!("every-subscriber", every_subscriber),
    rule!("publisher-order", publisher_order),
    rule!("never-blocks", never_blocks),
    rule!("drop-is-isolated", drop_is_isolated),
];

/// A subscriber gets the messages whose keys match its expression, complete, and no others.
async fn delivers_matching_messages(bus: Bus) -> Verdict {
    let mut one = subscribe(&bus, &KeyExpr::of_stream(&stream("1"))).await?;
    let mut typed = subscribe(&bus, &KeyExpr::of_type("Todo")).await?;
    let foreign = Key::of_stream(&StreamId::new("List", "1"));
    publish(&bus, &foreign, b"foreign").await?;
    publish(&bus, &key("2"), b"").await?;
    publish(&bus, &key("1"), b"\x00\xff{}").await?;
    expect(&mut typed, &key("2"), b"").await?;
    expect(&mut typed, &key("1"), b"\x00\xff{}").await?;
    expect(&mut one, &key("1"), b"\x00\xff{}").await
}

/// Every subscriber gets every message, even if two have the same expression.
async fn every_subscriber(bus: Bus) -> Verdict {
    let mut first = subscribe(&bus, &KeyExpr::all_events()).await?;
    let mut second = subscribe(&bus, &KeyExpr::all_events()).await?;
    publish(&bus, &key("1"), b"hint").await?;
    expect(&mut first, &key("1"), b"hint").await?;
    expect(&mut second, &key("1"), b"hint").await
}

/// A subscriber that keeps up gets the messages of one publisher in their order.
async fn publisher_order(bus: Bus) -> Verdict {
    let mut subscription = subscribe(&bus, &KeyExpr::all_events()).await?;
    for number in 0..100_u8 {
        publish(&bus, &key("1"), &[number]).await?;
    }
    for number in 0..100_u8 {
        expect(&mut subscription, &key("1"), &[number]).await?;
    }
    Ok(())
}

/// A subscriber that does not read delays neither publishers nor other subscribers.
async fn never_blocks(bus: Bus) -> Verdict {
    let stalled = subscribe(&bus, &KeyExpr::all_events()).await?;
    let mut live = subscribe(&bus, &KeyExpr::all_events()).await?;
    for number in 0..10_000_u32 {
        let number = number.to_be_bytes();
        publish(&bus, &key("1"), &number).await?;
        expect(&mut live, &key("1"), &number).await?;
    }
    drop(stalled);
    Ok(())
}

/// Dropping a subscription does not affect other subscriptions.
async fn drop_is_isolated(bus: Bus) -> Verdict {
    let dropped = subscribe(&bus, &KeyExpr::all_events()).await?;
    let mut kept = subscribe(&bus, &KeyExpr::all_events()).await?;
    drop(dropped);
    publish(&bus, &key("1"), b"hint").await?;
    expect(&mut kept, &key("1"), b"hint").await
}

fn stream(id: &str) -> StreamId {
    StreamId::new("Todo", id)
}

fn key(id: &str) -> Key {
    Key::of_stream(&stream(id))
}

async fn subscribe(bus: &Bus, keys: &KeyExpr) -> Result<Subscription, Violation> {
    bus.subscribe(keys).await.map_err(failed("subscribe"))
}

async fn publish(bus: &Bus, key: &Key, payload: &[u8]) -> Verdict {
    bus.publish(key, payload).await.map_err(failed("publish"))
}

/// Waits for the next message, and requires that it is this one. The caller sets the deadline.
async fn expect(subscription: &mut Subscription, key: &Key, payload: &[u8]) -> Verdict {
    let message = subscription
        .next()
        .await
        .ok_or_else(|| Violation("the subscription ended".to_owned()))?;
    equal("key", message.key.as_str(), key.as_str())?;
    equal("payload", &message.payload[..], payload)
}
