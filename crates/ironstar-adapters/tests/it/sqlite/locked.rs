//! Another process holds the write lock, so the store has to wait.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, join_all, select_all};
use ironstar_adapters::sqlite::{DEFAULT_COMMAND_RETENTION, SqliteDatabase, SqliteEventStore};
use ironstar_adapters::system::SystemClock;
use ironstar_ports::{
    BuildUpdate, EventStore, Payload, Position, ProjectionStore, SecretStore, Sequence,
    SessionStore, Snapshot, SnapshotStore, StreamId,
};
use sqlx::sqlite::SqliteConnection;
use tempfile::TempDir;

use super::projections::batch;
use super::sessions::session;
use super::{append_one, raw, url};

/// Far longer than sending all requests takes, and than one attempt.
const PATIENCE: Duration = Duration::from_millis(700);

async fn open(directory: &TempDir, patience: Duration) -> SqliteEventStore {
    let database = SqliteDatabase::open(&url(directory)).await.expect("open");
    SqliteEventStore::new(
        database.with_patience(patience),
        Arc::new(SystemClock),
        DEFAULT_COMMAND_RETENTION,
    )
}

/// Takes the write lock.
async fn lock(directory: &TempDir) -> SqliteConnection {
    let mut other = raw(url(directory).path()).await;
    run(&mut other, "BEGIN IMMEDIATE").await;
    other
}

async fn run(connection: &mut SqliteConnection, statement: &'static str) {
    let outcome = sqlx::raw_sql(statement).execute(connection).await;
    outcome.expect("carried out");
}

/// Requests of each kind. Each returns the text of its error, if it fails.
async fn requests(store: &SqliteEventStore) -> Vec<BoxFuture<'_, Option<String>>> {
    let said = |error: &dyn std::error::Error| {
        let cause = std::iter::successors(error.source(), |error| error.source());
        cause
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": ")
    };
    let build = store.projections().begin("todos", 1).await.expect("begun");
    let mut requests: Vec<BoxFuture<'_, Option<String>>> = Vec::new();
    for number in 0..5 {
        let append = async move { append_one(store).await.err().map(|error| said(&error)) };
        requests.push(append.boxed());
        let create = async move {
            let created = store.sessions().create(session(number)).await;
            created.err().map(|error| said(&error))
        };
        requests.push(create.boxed());
        let secret = async move {
            let name = format!("secret {number}");
            let secret = store.sessions().secret(&name, [1; 32]).await;
            secret.err().map(|error| said(&error))
        };
        requests.push(secret.boxed());
        let build = build.clone();
        let commit = async move {
            let batch = batch(&build, number, number + 1, 0..3);
            let committed = store.projections().commit(batch).await;
            committed.err().map(|error| said(&error))
        };
        requests.push(commit.boxed());
    }
    let save = async move {
        let saved = store.save_snapshot(snapshot()).await;
        saved.err().map(|error| said(&error))
    };
    requests.push(save.boxed());
    let id = build.id;
    let update = async move {
        let updated = store.projections().update(id, BuildUpdate::Cancel).await;
        updated.err().map(|error| said(&error))
    };
    requests.push(update.boxed());
    let begin = async move {
        let begun = store.projections().begin("lists", 1).await;
        begun.err().map(|error| said(&error))
    };
    requests.push(begin.boxed());
    requests
}

pub(super) fn snapshot() -> Snapshot {
    Snapshot {
        stream: StreamId::new("Todo", "1"),
        sequence: Sequence::new(0),
        position: Position::new(1),
        mark: None,
        fingerprint: "fingerprint".to_owned(),
        state: Payload::from_text("{}".to_owned()).expect("JSON"),
    }
}

/// The lock is released as soon as the first request has waited too long. If other requests
/// had to wait for that one, they would now succeed.
#[tokio::test(flavor = "multi_thread")]
async fn requests_wait_for_a_lock_together() {
    let directory = TempDir::new().expect("a directory");
    let store = open(&directory, PATIENCE).await;
    let requests = requests(&store).await;
    let all = requests.len();
    let mut other = lock(&directory).await;

    let (first, _, rest) = select_all(requests).await;
    run(&mut other, "ROLLBACK").await;
    let mut outcomes = join_all(rest).await;
    outcomes.push(first);
    let refused = outcomes.iter().flatten().collect::<Vec<_>>();
    assert_eq!(
        refused.len(),
        all,
        "all requests wait together: {outcomes:?}"
    );
    for message in refused {
        assert!(
            message.contains("another process keeps it locked"),
            "{message}"
        );
    }
    append_one(&store).await.expect("the lock is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_succeed_when_a_lock_is_released_in_time() {
    let directory = TempDir::new().expect("a directory");
    let impatient = open(&directory, Duration::ZERO).await;
    let patient = open(&directory, Duration::from_secs(60)).await;
    let requests = requests(&patient).await;
    let mut other = lock(&directory).await;

    let release = async {
        // Several attempts fail meanwhile.
        for _ in 0..5 {
            append_one(&impatient).await.expect_err("locked");
        }
        run(&mut other, "ROLLBACK").await;
    };
    let (outcomes, ()) = futures::join!(join_all(requests), release);
    // The build of the commits is cancelled after them.
    assert!(outcomes.iter().all(Option::is_none), "{outcomes:?}");
    assert_eq!(patient.head().await.expect("read"), Position::new(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn store_closes_while_the_file_is_locked() {
    let directory = TempDir::new().expect("a directory");
    let store = open(&directory, Duration::ZERO).await;
    let other = lock(&directory).await;
    let (appended, closed) = futures::join!(append_one(&store), store.close());
    appended.expect_err("locked");
    closed.expect("closed");
    drop(other);
}
