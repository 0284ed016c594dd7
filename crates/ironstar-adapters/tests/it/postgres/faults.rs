//! Faults of the database server while a store uses it.

use std::error::Error;
use std::fmt::Debug;
use std::iter;
use std::time::Duration;

use futures::future::join_all;
use ironstar_adapters::postgres::{LostEvents, PostgresEventStore};
use ironstar_cluster::Cluster;
use ironstar_ports::{EventStore, ExpectedSequence, Position, ProjectionStore, Sequence};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio::time::{Instant, sleep};

use super::appending::{is_contiguous, log, one};
use super::{fresh_url, open};

/// A server of its own, because it is stopped.
fn own_cluster(test: &str) -> Option<Cluster> {
    Cluster::shared(test)?;
    Some(Cluster::start().expect("PostgreSQL starts"))
}

fn causes(error: &dyn Error) -> Vec<String> {
    let causes = iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect()
}

/// Appends until an append succeeds. Returns the number of the stream.
async fn append_until_accepted(store: &PostgresEventStore, from: u64) -> u64 {
    let since = Instant::now();
    for stream in from.. {
        let append = one(stream, ExpectedSequence::NoStream, stream);
        match store.append(append).await {
            Ok(_) => return stream,
            Err(error) => assert!(since.elapsed() < Duration::from_secs(30), "{error:?}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
    unreachable!("streams have no end")
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_of_the_database_loses_no_acknowledged_event() {
    let Some(cluster) = own_cluster("crash_of_the_database_loses_no_acknowledged_event") else {
        return;
    };
    let url = fresh_url(&cluster).await;
    let stores = join_all((0..2).map(|_| open(&url))).await;
    let writers = (0..16).map(|writer| {
        let store = &stores[writer as usize % stores.len()];
        async move {
            let (mut acknowledged, mut refused) = (Vec::new(), 0);
            let since = Instant::now();
            for number in 0.. {
                let number = writer * 1_000_000 + number;
                match store
                    .append(one(number, ExpectedSequence::NoStream, number))
                    .await
                {
                    Ok(appended) => acknowledged.push((appended.place(), number)),
                    Err(_) => {
                        refused += 1;
                        sleep(Duration::from_millis(20)).await;
                    }
                }
                let is_over = acknowledged.len() >= 200 && refused > 0;
                if is_over || since.elapsed() > Duration::from_secs(40) {
                    break;
                }
            }
            (acknowledged, refused)
        }
    });
    let crash = async {
        sleep(Duration::from_millis(300)).await;
        cluster.crash().expect("crashed");
        sleep(Duration::from_millis(300)).await;
        cluster.start_again().expect("started again");
    };
    let (outcomes, ()) = futures::join!(join_all(writers), crash);
    let log = log(&stores[0]).await;
    assert!(is_contiguous(&log));
    for (acknowledged, refused) in outcomes {
        assert!(refused > 0, "a writer did not meet the crash");
        assert!(acknowledged.len() >= 200, "{} appends", acknowledged.len());
        for (place, number) in acknowledged {
            let stored = &log[place.position.get() as usize - 1];
            assert_eq!(stored.place(), place);
            assert_eq!(stored.stream.aggregate_id, number.to_string());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_store_appends_at_once_after_a_restart_of_the_database() {
    let Some(cluster) = own_cluster("idle_store_appends_at_once_after_a_restart_of_the_database")
    else {
        return;
    };
    let store = open(&fresh_url(&cluster).await).await;
    append_until_accepted(&store, 1).await;
    log(&store).await;
    cluster.crash().expect("crashed");
    cluster.start_again().expect("started again");
    // A connection that was idle for so long is tried before it is used.
    sleep(Duration::from_millis(1_100)).await;
    let append = one(2, ExpectedSequence::NoStream, 2);
    store.append(append).await.expect("appended at once");
    assert_eq!(log(&store).await.len(), 2);
    store.projections().builds().await.expect("read at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_are_refused_while_an_operator_holds_a_lock_and_succeed_afterwards() {
    let Some(cluster) = Cluster::shared(
        "appends_are_refused_while_an_operator_holds_a_lock_and_succeed_afterwards",
    ) else {
        return;
    };
    let url = fresh_url(cluster).await;
    let store = open(&url).await;
    append_until_accepted(&store, 1).await;
    let options: PgConnectOptions = url.to_string().parse().expect("a URL");
    let mut operator = options.connect().await.expect("a connection");
    for (lock, stream) in [
        ("LOCK TABLE events IN ACCESS EXCLUSIVE MODE", 100),
        ("SELECT FROM log_lock FOR UPDATE", 200),
    ] {
        let mut transaction = operator.begin().await.expect("begun");
        sqlx::query(lock)
            .execute(&mut *transaction)
            .await
            .expect("locked");
        let since = Instant::now();
        let appends = (0..20)
            .map(|number| store.append(one(stream + number, ExpectedSequence::NoStream, number)));
        let outcomes = join_all(appends).await;
        assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
        assert!(
            since.elapsed() < Duration::from_secs(30),
            "{:?}",
            since.elapsed()
        );
        transaction.rollback().await.expect("unlocked");
        append_until_accepted(&store, stream + 50).await;
    }
    assert_eq!(log(&store).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn session_that_is_idle_in_an_append_gives_up_the_lock() {
    let Some(cluster) = Cluster::shared("session_that_is_idle_in_an_append_gives_up_the_lock")
    else {
        return;
    };
    let url = fresh_url(cluster).await;
    let store = open(&url).await;
    append_until_accepted(&store, 1).await;
    // As a server that was stopped in the middle of an append.
    let options: PgConnectOptions = url.to_string().parse().expect("a URL");
    let options = options.options([("idle_in_transaction_session_timeout", "2s")]);
    let mut stopped = options.connect().await.expect("a connection");
    sqlx::raw_sql("BEGIN; SELECT FROM log_lock FOR UPDATE")
        .execute(&mut stopped)
        .await
        .expect("locked");
    let append = one(2, ExpectedSequence::Any, 2);
    store.append(append).await.expect("appended after 2 s");
}

/// Waits until a store refuses requests, because it has seen an event that is lost.
async fn serves_no_more<T: Debug, E: Error>(request: impl AsyncFn() -> Result<T, E>) {
    let lost = LostEvents {
        position: Position::new(5),
    };
    let since = Instant::now();
    loop {
        let refused = request().await.expect_err("it is another log");
        if causes(&refused).contains(&lost.to_string()) {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(30), "{refused:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn assert_appends_are_refused(store: &PostgresEventStore) {
    serves_no_more(async || store.append(one(1_000, ExpectedSequence::Any, 0)).await).await;
}

async fn assert_reads_are_refused(store: &PostgresEventStore) {
    serves_no_more(async || store.load_after(Position::START, 10).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn store_refuses_a_standby_that_lacks_events() {
    let Some(cluster) = own_cluster("store_refuses_a_standby_that_lacks_events") else {
        return;
    };
    let url = fresh_url(&cluster).await;
    let (store, other) = (open(&url).await, open(&url).await);
    for number in 0..3 {
        append_until_accepted(&store, number).await;
    }
    let standby = cluster.standby().expect("a standby");
    for number in 3..5 {
        append_until_accepted(&store, number).await;
    }
    // This store has only read.
    assert_eq!(log(&other).await.len(), 5);
    cluster.crash().expect("crashed");
    standby.take_over().expect("taken over");
    assert_reads_are_refused(&other).await;
    assert_appends_are_refused(&other).await;
    assert_appends_are_refused(&store).await;
    assert_reads_are_refused(&store).await;
    let restarted = open(&url).await;
    assert_eq!(log(&restarted).await.len(), 3);
    append_until_accepted(&restarted, 3).await;
}

/// The connections of the stores stay, so only an append or a read can notice.
#[tokio::test(flavor = "multi_thread")]
async fn log_that_becomes_shorter_gets_no_events() {
    let Some(cluster) = Cluster::shared("log_that_becomes_shorter_gets_no_events") else {
        return;
    };
    // An append that is a guess, and one that is not.
    for expected in [ExpectedSequence::NoStream, ExpectedSequence::Any] {
        let url = fresh_url(cluster).await;
        let store = open(&url).await;
        for number in 0..5 {
            append_until_accepted(&store, number).await;
        }
        let cut = "ALTER TABLE events DISABLE TRIGGER USER; DELETE FROM events WHERE id > 3;
                   ALTER TABLE events ENABLE TRIGGER USER";
        let name = url.to_string();
        let (_, name) = name.rsplit_once('/').expect("a database");
        let reader = open(&url).await;
        assert_eq!(log(&reader).await.len(), 5);
        cluster.execute(name, cut).await.expect("cut");
        assert_reads_are_refused(&reader).await;
        serves_no_more(async || store.append(one(10, expected, 10)).await).await;
        assert_reads_are_refused(&store).await;
        assert_eq!(log(&open(&url).await).await.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_go_on_while_readers_use_all_their_connections() {
    let Some(cluster) = Cluster::shared("appends_go_on_while_readers_use_all_their_connections")
    else {
        return;
    };
    let url = fresh_url(cluster).await;
    let store = open(&url).await;
    append_until_accepted(&store, 1).await;
    // Readers wait for this lock, and appends do not need it.
    let options: PgConnectOptions = url.to_string().parse().expect("a URL");
    let mut operator = options.connect().await.expect("a connection");
    let mut transaction = operator.begin().await.expect("begun");
    sqlx::query("LOCK TABLE projections IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await
        .expect("locked");
    let projections = store.projections();
    let readers = join_all((0..16).map(|_| projections.builds()));
    let appends = async {
        for number in 0..5 {
            let expected = ExpectedSequence::Exact(Sequence::new(number));
            let append = one(1, expected, number + 2);
            store.append(append).await.expect("appended");
        }
        transaction.rollback().await.expect("unlocked");
    };
    let (read, ()) = futures::join!(readers, appends);
    assert!(read.iter().all(Result::is_ok), "{read:?}");
}
