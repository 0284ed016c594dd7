mod network;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use ironstar_adapters::zenoh::ZenohEventBus;
use ironstar_ports::contract::event_bus;
use ironstar_ports::{EventBus, Key, KeyExpr, StreamId};
use proptest::prelude::*;
use zenoh::key_expr::OwnedKeyExpr;

use crate::contract::passes;

async fn bus() -> ZenohEventBus {
    ZenohEventBus::embedded().await.expect("an embedded bus")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_bus_keeps_the_contract() {
    passes(event_bus::RULES, async || {
        Arc::new(bus().await) as Arc<dyn EventBus>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_buses_do_not_receive_each_others_messages() {
    let (one, other) = (bus().await, bus().await);
    let mut subscription = one
        .subscribe(&KeyExpr::all_events())
        .await
        .expect("a subscription");
    let key = |id| Key::of_stream(&StreamId::new("Todo", id));
    other
        .publish(&key("foreign"), b"")
        .await
        .expect("published");
    one.publish(&key("own"), b"").await.expect("published");
    let first = subscription.next().await.expect("a message");
    assert_eq!(first.key, key("own").as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_bus_ends_subscriptions_and_refuses_messages() {
    let bus = bus().await;
    let mut subscription = bus
        .subscribe(&KeyExpr::all_events())
        .await
        .expect("a subscription");
    bus.close().await.expect("closed");
    let end = tokio::time::timeout(Duration::from_secs(10), subscription.next())
        .await
        .expect("the subscription ends");
    assert_eq!(end, None);
    let key = Key::of_stream(&StreamId::new("Todo", "1"));
    bus.publish(&key, b"").await.expect_err("the bus is closed");
}

proptest! {
    /// Canonical forms and matches agree with those of Zenoh.
    #[test]
    fn key_expressions_match_the_same_keys_as_in_zenoh(
        chunks in prop::collection::vec(prop::sample::select(vec!["events", "a", "b", "*", "**"]), 1..7),
        stream in ("[ab]", "[ab]"),
    ) {
        let text = chunks.join("/");
        let ours: KeyExpr = text.parse().expect("made of allowed chunks");
        let theirs = OwnedKeyExpr::autocanonize(text).expect("made of allowed chunks");
        prop_assert_eq!(ours.as_str(), theirs.as_str());

        let key = Key::of_stream(&StreamId::new(stream.0, stream.1));
        let their_key = OwnedKeyExpr::new(key.as_str()).expect("a key");
        prop_assert_eq!(ours.matches(&key), theirs.includes(&their_key), "{} on {}", ours.as_str(), key);
    }

    /// Zenoh accepts every expression that the port accepts.
    #[test]
    fn zenoh_accepts_every_accepted_expression(text in "[a-c*/$#?@%. é\r-]{1,12}") {
        if let Ok(ours) = text.parse::<KeyExpr>() {
            prop_assert!(OwnedKeyExpr::new(ours.as_str()).is_ok(), "{}", ours.as_str());
        }
    }

    /// For every name of a stream, Zenoh accepts the key, and sees no wildcards in it.
    #[test]
    fn zenoh_accepts_every_stream_key(stream in ("\\PC{1,8}", any::<String>().prop_filter("an id", |id| !id.is_empty()))) {
        let key = Key::of_stream(&StreamId::new(stream.0, stream.1));
        let theirs = OwnedKeyExpr::new(key.as_str());
        prop_assert!(theirs.is_ok_and(|theirs| !theirs.is_wild()), "{}", key);
    }
}
