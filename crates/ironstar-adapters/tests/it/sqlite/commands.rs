//! The stored answers to commands with keys.

use std::time::Duration;

use futures::future::try_join_all;
use ironstar_adapters::sqlite::{SqliteDatabase, SqliteEventStore};
use ironstar_ports::contract::doubles::ManualClock;
use ironstar_ports::{Append, CommandRecord, EventStore, ExpectedSequence, Position, StreamId};
use tempfile::TempDir;
use time::macros::datetime;

use super::{append_one, event, open, raw, url};

pub(super) fn with_key(key: &str) -> Append {
    let mut append = Append::to_stream(
        StreamId::new("Todo", key),
        ExpectedSequence::NoStream,
        vec![event()],
    );
    let key = key.parse().expect("a key");
    append.command = Some(CommandRecord::new(key, "create".to_owned()));
    append
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_commands_outlive_the_process() {
    let directory = TempDir::new().expect("a directory");
    let store = open(&url(&directory)).await;
    let first = store.append(with_key("key")).await.expect("appended");
    store.close().await.expect("closed");
    let store = open(&url(&directory)).await;
    let again = store.append(with_key("key")).await.expect("answered");
    assert_eq!(again, first);
    assert_eq!(store.head().await.expect("read"), Position::new(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_commands_are_swept() {
    let directory = TempDir::new().expect("a directory");
    let database = SqliteDatabase::open(&url(&directory)).await.expect("open");
    let clock = ManualClock::at(datetime!(2026-11-29 12:00 UTC));
    let retention = Duration::from_secs(3_600);
    let store = SqliteEventStore::new(database, clock.clone(), retention);
    let is_known = async |key: &str| {
        let key = key.parse().expect("a key");
        store.outcome(&key).await.expect("read").is_some()
    };
    store.append(with_key("old")).await.expect("appended");
    clock.pass(retention / 2);
    store.append(with_key("new")).await.expect("appended");
    assert!(is_known("old").await && is_known("new").await);
    clock.pass(retention / 2 + Duration::from_secs(100));
    append_one(&store).await.expect("appended");
    assert!(!is_known("old").await && is_known("new").await);
}

/// One batch removes at most 1,000 commands.
#[tokio::test(flavor = "multi_thread")]
async fn many_old_commands_are_swept_soon() {
    const OLD: usize = 2_500;

    let directory = TempDir::new().expect("a directory");
    let database = SqliteDatabase::open(&url(&directory)).await.expect("open");
    let clock = ManualClock::at(datetime!(2026-11-29 12:00 UTC));
    let retention = Duration::from_secs(3_600);
    let store = SqliteEventStore::new(database, clock.clone(), retention);
    let keys: Vec<String> = (0..OLD).map(|number| number.to_string()).collect();
    let appends = keys.iter().map(|key| store.append(with_key(key)));
    try_join_all(appends).await.expect("appended");
    clock.pass(retention + Duration::from_secs(100));
    let mut batches = 0;
    let left = async || {
        let mut reader = raw(url(&directory).path()).await;
        let left = sqlx::query_scalar("SELECT count(*) FROM commands");
        let left: i64 = left.fetch_one(&mut reader).await.expect("read");
        left
    };
    while left().await > 0 {
        append_one(&store).await.expect("appended");
        clock.pass(Duration::from_secs(1));
        batches += 1;
        assert!(batches <= 3, "a command is left after 3 batches");
    }
    assert_eq!(batches, 3);
}
