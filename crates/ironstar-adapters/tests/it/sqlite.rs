mod commands;
mod displaced;
mod locked;
mod opening;
mod pages;
mod projections;
mod restored;
mod sessions;
mod tools;
mod wal;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use ironstar_adapters::sqlite::{
    DEFAULT_COMMAND_RETENTION, SqliteDatabase, SqliteEventStore, SqliteUrl, migrate,
    migration_status,
};
use ironstar_adapters::system::SystemClock;
use ironstar_ports::contract::{event_store, snapshot_store};
use ironstar_ports::{
    Append, AppendError, EventStore, ExpectedSequence, Mark, Metadata, NewEvent, Payload, Position,
    Sequence, Snapshot, SnapshotStore, StreamHead, StreamId,
};
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tempfile::TempDir;
use uuid::Uuid;

use crate::contract::passes;

fn url(directory: &TempDir) -> SqliteUrl {
    directory.path().join("ironstar.db").into()
}

async fn open(url: &SqliteUrl) -> SqliteEventStore {
    let database = SqliteDatabase::open(url).await.expect("a database");
    SqliteEventStore::new(database, Arc::new(SystemClock), DEFAULT_COMMAND_RETENTION)
}

pub(crate) async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .connect()
        .await
        .expect("a connection")
}

fn event() -> NewEvent {
    NewEvent {
        event_type: "created".to_owned(),
        schema_version: 1,
        payload: Payload::from_text(r#"{"type":"created","text":"Buy milk"}"#.to_owned())
            .expect("JSON"),
        metadata: Metadata::new(Uuid::nil()),
    }
}

async fn append_one(store: &dyn EventStore) -> Result<StreamHead, AppendError> {
    let stream = StreamId::new("Todo", "1");
    let append = Append::to_stream(stream, ExpectedSequence::Any, vec![event()]);
    let appended = store.append(append).await?;
    let [head]: [StreamHead; 1] = appended.streams.try_into().expect("one stream");
    Ok(head)
}

/// Waits until the next append begins with a look at the files. An append without a look may
/// be executed, although it is refused afterwards.
async fn looks_again() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// Creates new stores, each in its own folder.
#[derive(Default)]
struct Fresh(Mutex<Vec<TempDir>>);

impl Fresh {
    async fn store(&self) -> Arc<SqliteEventStore> {
        let directory = TempDir::new().expect("a directory");
        let store = open(&url(&directory)).await;
        self.0.lock().expect("the lock").push(directory);
        Arc::new(store)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_store_keeps_the_contract() {
    let fresh = Fresh::default();
    passes(event_store::RULES, async || {
        fresh.store().await as Arc<dyn EventStore>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_snapshot_store_keeps_the_contract() {
    let fresh = Fresh::default();
    passes(snapshot_store::RULES, async || {
        fresh.store().await as Arc<dyn SnapshotStore>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_outlive_the_process() {
    let directory = TempDir::new().expect("a directory");
    let store = open(&url(&directory)).await;
    append_one(&store).await.expect("appended");
    let before = store.load_after(Position::START, 10).await.expect("read");
    store.close().await.expect("closed");
    let append = append_one(&store).await.expect_err("the store is closed");
    let read = store.head().await.expect_err("the store is closed");
    for refused in [format!("{append:?}"), format!("{read:?}")] {
        assert!(refused.contains("has been closed"), "{refused}");
    }

    let store = open(&url(&directory)).await;
    let after = store.load_after(Position::START, 10).await.expect("read");
    assert_eq!(after, before);
    let next = append_one(&store).await.expect("appended");
    assert_eq!(next.position, Position::new(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_row_has_the_documented_columns() {
    let directory = TempDir::new().expect("a directory");
    let url = url(&directory);
    append_one(&open(&url).await).await.expect("appended");

    let mut connection = raw(url.path()).await;
    let row: (i64, String, String, i64, String, String, String) = sqlx::query_as(
        "SELECT id, aggregate_type, aggregate_id, sequence, event_type, payload, created_at FROM events",
    )
    .fetch_one(&mut connection)
    .await
    .expect("a row");
    let created_at = row.6;
    assert_eq!(
        (row.0, &*row.1, &*row.2, row.3, &*row.4, &*row.5),
        (
            1,
            "Todo",
            "1",
            0,
            "created",
            r#"{"type":"created","text":"Buy milk"}"#
        )
    );
    assert_eq!(created_at.len(), "2026-11-24T06:00:00.000Z".len());
    assert!(created_at.ends_with('Z'));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_immutable_and_contiguous() {
    let directory = TempDir::new().expect("a directory");
    let url = url(&directory);
    append_one(&open(&url).await).await.expect("appended");

    let mut connection = raw(url.path()).await;
    for statement in [
        "UPDATE events SET payload = '{}'",
        "DELETE FROM events",
        "INSERT OR REPLACE INTO events SELECT * FROM events",
        "REPLACE INTO events SELECT id + 1, aggregate_type, aggregate_id, sequence, event_type,
             schema_version, '{}', metadata, created_at FROM events",
        "INSERT INTO events SELECT id + 2, aggregate_type, aggregate_id, sequence + 1, event_type,
             schema_version, payload, metadata, created_at FROM events",
        "INSERT INTO events SELECT id + 1, aggregate_type, aggregate_id, sequence + 2, event_type,
             schema_version, payload, metadata, created_at FROM events",
    ] {
        let refusal = sqlx::query(statement)
            .execute(&mut connection)
            .await
            .expect_err("refused");
        assert!(refusal.to_string().contains("immutable"), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_event_is_reported_with_its_position() {
    // Text of the wrong shape, and bytes that are not UTF-8.
    for damage in [
        "UPDATE events SET metadata = '{}' WHERE id = 2",
        "UPDATE events SET payload = CAST(x'7b2261223a22ff227d' AS TEXT) WHERE id = 2",
    ] {
        let directory = TempDir::new().expect("a directory");
        let url = url(&directory);
        let store = open(&url).await;
        append_one(&store).await.expect("appended");
        append_one(&store).await.expect("appended");

        let mut connection = raw(url.path()).await;
        for statement in ["DROP TRIGGER events_are_never_updated", damage] {
            sqlx::raw_sql(statement)
                .execute(&mut connection)
                .await
                .expect("damaged");
        }
        let sound = store.load_after(Position::START, 10).await.expect("read");
        assert_eq!(sound.len(), 1, "the event before it can be read");
        let stream = StreamId::new("Todo", "1");
        for error in [
            store.load_after(Position::new(1), 10).await,
            store.load_stream(&stream, None, 10).await,
        ] {
            let error = error.expect_err("damaged");
            assert_eq!(error.to_string(), "the event at position 2 is damaged");
        }
    }
}

#[tokio::test]
async fn snapshots_outlive_the_process() {
    let directory = TempDir::new().expect("a directory");
    let snapshot = Snapshot {
        stream: StreamId::new("Todo", "1"),
        sequence: Sequence::new(511),
        position: Position::new(512),
        mark: Some(Mark::of(Uuid::nil())),
        fingerprint: "fingerprint".to_owned(),
        state: Payload::from_text("{}".to_owned()).expect("JSON"),
    };
    let store = open(&url(&directory)).await;
    store.save_snapshot(snapshot.clone()).await.expect("saved");
    store.close().await.expect("closed");
    let store = open(&url(&directory)).await;
    let loaded = store.load_snapshot(&snapshot.stream).await.expect("loaded");
    assert_eq!(loaded, Some(snapshot));
}

#[tokio::test(flavor = "multi_thread")]
async fn append_is_completed_when_its_caller_goes_away() {
    let directory = TempDir::new().expect("a directory");
    let store = Arc::new(open(&url(&directory)).await);
    for _ in 0..100 {
        let store = Arc::clone(&store);
        let caller = tokio::spawn(async move { append_one(&*store).await });
        tokio::task::yield_now().await;
        caller.abort();
        // Some callers finish before the abort.
        let _ = caller.await;
    }
    // Every earlier request for an append is decided before this one.
    let last = append_one(&*store).await.expect("appended");
    assert_eq!(store.head().await.expect("read"), last.position);
    let sequence = last.sequence.expect("a sequence");
    assert_eq!(last.position.get(), sequence.get() + 1);
}

/// Three appends are committed together. The second has a wrong expectation about a stream,
/// and is refused for another reason. Its expectation must not affect the third.
#[tokio::test]
async fn wrong_expectation_of_one_caller_does_not_affect_another() {
    let directory = TempDir::new().expect("a directory");
    let store = open(&url(&directory)).await;
    for _ in 0..3 {
        append_one(&store).await.expect("appended");
    }
    let to =
        |id: &str, expected| Append::to_stream(StreamId::new("Todo", id), expected, vec![event()]);
    let exact = |sequence| ExpectedSequence::Exact(Sequence::new(sequence));
    let mut wrong = to("2", ExpectedSequence::NoStream);
    wrong.streams.extend(to("1", exact(0)).streams);
    let (first, refused, right) = tokio::join!(
        store.append(to("2", ExpectedSequence::NoStream)),
        store.append(wrong),
        store.append(to("1", exact(2))),
    );
    first.expect("the first append is accepted");
    assert!(
        matches!(refused, Err(AppendError::Conflict { .. })),
        "{refused:?}"
    );
    let right = right.expect("the stream is at the expected sequence");
    assert_eq!(right.streams[0].sequence, Some(Sequence::new(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_batch_fails_its_callers_and_no_later_ones() {
    let directory = TempDir::new().expect("a directory");
    let url = url(&directory);
    let store = open(&url).await;
    let mut saboteur = raw(url.path()).await;
    let sabotage = "CREATE TRIGGER sabotage BEFORE INSERT ON events
                    BEGIN SELECT RAISE(ABORT, 'sabotage'); END;";
    sqlx::raw_sql(sabotage)
        .execute(&mut saboteur)
        .await
        .expect("sabotaged");
    append_one(&store).await.expect_err("sabotaged");
    sqlx::raw_sql("DROP TRIGGER sabotage")
        .execute(&mut saboteur)
        .await
        .expect("repaired");
    let appended = append_one(&store).await.expect("appended");
    assert_eq!(appended.position, Position::new(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_are_listed_and_applied() {
    let directory = TempDir::new().expect("a directory");
    let url = url(&directory);
    let pending = migration_status(&url).await.expect("a list");
    assert!(!pending.is_empty());
    assert!(pending.iter().all(|migration| !migration.applied));
    assert!(!url.path().exists(), "the status must not create the file");

    let applied = migrate(&url).await.expect("migrated");
    assert!(applied.iter().all(|migration| migration.applied));
    assert_eq!(migrate(&url).await.expect("migrated again"), applied);
    assert_eq!(migration_status(&url).await.expect("a list"), applied);
}

#[tokio::test(flavor = "multi_thread")]
async fn append_is_refused_at_once_when_the_queue_is_full() {
    let directory = TempDir::new().expect("a directory");
    let url = url(&directory);
    let store = open(&url).await;
    let mut other = raw(url.path()).await;
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .expect("locked");
    // No append can be committed now. The futures are polled in turn, so all of them send
    // their requests before the first gets its answer.
    let appends = join_all((0..6_000).map(|_| append_one(&store)));
    let release = async {
        sqlx::query("ROLLBACK")
            .execute(&mut other)
            .await
            .expect("released");
    };
    let (outcomes, ()) = futures::join!(appends, release);
    let refused = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(AppendError::Overloaded)))
        .count();
    let appended = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(
        appended + refused,
        6_000,
        "{:?}",
        outcomes.iter().find(|o| o.is_err())
    );
    assert!(refused > 0, "the queue is bounded");
    let head = store.head().await.expect("read");
    assert_eq!(head.get(), appended as u64);
    append_one(&store).await.expect("the queue has room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn append_is_not_acknowledged_after_the_file_is_removed() {
    let directory = TempDir::new().expect("a directory");
    let url = url(&directory);
    let store = open(&url).await;
    append_one(&store).await.expect("appended");
    let elsewhere = directory.path().join("elsewhere.db");
    std::fs::rename(url.path(), &elsewhere).expect("moved");
    looks_again().await;
    append_one(&store).await.expect_err("the file is gone");
    assert!(url.path().exists(), "a copy takes its place");
    store.head().await.expect_err("reads are refused, too");
    std::fs::rename(&elsewhere, url.path()).expect("moved back");
    append_one(&store).await.expect_err("appends stay refused");
    store.close().await.expect_err("the file was displaced");
    let appended = append_one(&open(&url).await).await.expect("appended");
    assert_eq!(appended.position, Position::new(2));
}
