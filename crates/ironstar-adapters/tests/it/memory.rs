use std::sync::Arc;
use std::time::Duration;

use ironstar_adapters::memory::{
    MemoryEventBus, MemoryEventStore, MemoryLeaseStore, MemoryProjectionStore, MemorySecretStore,
    MemorySessionStore, MemorySnapshotStore,
};
use ironstar_adapters::system::SystemClock;
use ironstar_ports::contract::{
    event_bus, event_store, lease_store, projection_store, secret_store, session_store,
    snapshot_store,
};
use ironstar_ports::{
    EventBus, EventStore, LeaseStore, ProjectionStore, SecretStore, SessionStore, SnapshotStore,
};

use crate::contract::passes;

#[tokio::test(flavor = "multi_thread")]
async fn the_event_store_keeps_the_contract() {
    passes(event_store::RULES, async || {
        Arc::new(MemoryEventStore::new(Arc::new(SystemClock))) as Arc<dyn EventStore>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_snapshot_store_keeps_the_contract() {
    passes(snapshot_store::RULES, async || {
        Arc::new(MemorySnapshotStore::new()) as Arc<dyn SnapshotStore>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_projection_store_keeps_the_contract() {
    passes(projection_store::RULES, async || {
        Arc::new(MemoryProjectionStore::new()) as Arc<dyn ProjectionStore>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_store_keeps_the_contract() {
    passes(session_store::RULES, async || {
        Arc::new(MemorySessionStore::new()) as Arc<dyn SessionStore>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_store_keeps_the_contract() {
    passes(secret_store::RULES, async || {
        Arc::new(MemorySecretStore::new()) as Arc<dyn SecretStore>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lease_store_keeps_the_contract() {
    passes(lease_store::RULES, async || {
        let leases = MemoryLeaseStore::new(Duration::from_millis(500), Arc::new(SystemClock));
        Arc::new(leases) as Arc<dyn LeaseStore>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_bus_keeps_the_contract() {
    passes(event_bus::RULES, async || {
        Arc::new(MemoryEventBus::new()) as Arc<dyn EventBus>
    })
    .await;
}
