//! Tests of the PostgreSQL adapters, on a real server.

mod appending;
mod faults;
mod leases;
mod opening;
mod projections;

use std::sync::Arc;
use std::time::Duration;

use ironstar_adapters::postgres::{PostgresDatabase, PostgresEventStore, PostgresUrl};
use ironstar_adapters::sqlite::DEFAULT_COMMAND_RETENTION;
use ironstar_adapters::system::SystemClock;
use ironstar_cluster::Cluster;
use ironstar_ports::contract::{
    event_store, lease_store, projection_store, secret_store, session_store, snapshot_store,
};
use ironstar_ports::{
    EventStore, LeaseStore, ProjectionStore, SecretStore, SessionStore, SnapshotStore,
};

use crate::contract::passes;

/// The term of leases, which is longer than any call takes on a busy machine.
const TERM: Duration = Duration::from_secs(2);

async fn fresh_url(cluster: &Cluster) -> PostgresUrl {
    let url = cluster.database().await.expect("a database");
    url.parse().expect("a URL")
}

/// The name of the database.
fn name(url: &PostgresUrl) -> String {
    let url = url.to_string();
    let (_, name) = url.rsplit_once('/').expect("a database");
    name.to_owned()
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

#[tokio::test(flavor = "multi_thread")]
async fn the_lease_store_keeps_the_contract() {
    let Some(cluster) = Cluster::shared("the_lease_store_keeps_the_contract") else {
        return;
    };
    passes(lease_store::RULES, async || {
        let leases = fresh(cluster).await.leases();
        Arc::new(leases.with_term(TERM)) as Arc<dyn LeaseStore>
    })
    .await;
}
