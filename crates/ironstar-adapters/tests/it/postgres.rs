//! Tests of the PostgreSQL adapters, on a real server.

mod appending;
mod faults;
mod opening;
mod projections;

use std::sync::Arc;
use std::time::Duration;

use ironstar_adapters::postgres::{PostgresDatabase, PostgresEventStore, PostgresUrl};
use ironstar_adapters::sqlite::DEFAULT_COMMAND_RETENTION;
use ironstar_adapters::system::SystemClock;
use ironstar_cluster::Cluster;
use ironstar_ports::contract::{
    event_store, projection_store, secret_store, session_store, snapshot_store,
};
use ironstar_ports::{EventStore, ProjectionStore, SecretStore, SessionStore, SnapshotStore};

use crate::contract::passes;

async fn fresh_url(cluster: &Cluster) -> PostgresUrl {
    let url = cluster.database().await.expect("a database");
    url.parse().expect("a URL")
}

async fn open(url: &PostgresUrl) -> PostgresEventStore {
    open_with_retention(url, DEFAULT_COMMAND_RETENTION).await
}

async fn open_with_retention(url: &PostgresUrl, retention: Duration) -> PostgresEventStore {
    let database = PostgresDatabase::open(url, Arc::new(SystemClock)).await;
    PostgresEventStore::new(database.expect("a database"), retention)
}

async fn fresh(cluster: &Cluster) -> PostgresEventStore {
    open(&fresh_url(cluster).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_store_keeps_the_contract() {
    let Some(cluster) = Cluster::shared("the_event_store_keeps_the_contract") else {
        return;
    };
    passes(event_store::RULES, async || {
        Arc::new(fresh(cluster).await) as Arc<dyn EventStore>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_snapshot_store_keeps_the_contract() {
    let Some(cluster) = Cluster::shared("the_snapshot_store_keeps_the_contract") else {
        return;
    };
    passes(snapshot_store::RULES, async || {
        Arc::new(fresh(cluster).await) as Arc<dyn SnapshotStore>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_projection_store_keeps_the_contract() {
    let Some(cluster) = Cluster::shared("the_projection_store_keeps_the_contract") else {
        return;
    };
    passes(projection_store::RULES, async || {
        Arc::new(fresh(cluster).await.projections()) as Arc<dyn ProjectionStore>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_store_keeps_the_contract() {
    let Some(cluster) = Cluster::shared("the_session_store_keeps_the_contract") else {
        return;
    };
    passes(session_store::RULES, async || {
        Arc::new(fresh(cluster).await.sessions()) as Arc<dyn SessionStore>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_store_keeps_the_contract() {
    let Some(cluster) = Cluster::shared("the_secret_store_keeps_the_contract") else {
        return;
    };
    passes(secret_store::RULES, async || {
        Arc::new(fresh(cluster).await.sessions()) as Arc<dyn SecretStore>
    })
    .await;
}
