//! A backup that is restored over the file while it is open.

use ironstar_adapters::sqlite::{SqliteEventStore, SqliteUrl};
use ironstar_adapters::system::SystemIdSource;
use ironstar_ports::{
    Append, AppendError, EventStore, ExpectedSequence, IdSource, Metadata, NewEvent, Position,
    Sequence, SessionStore, StoreError, StreamId,
};
use tempfile::TempDir;

use super::{event, open, raw, url};

/// Sets the log back to its state after three events, without replacing the file. New events
/// get other ids.
async fn restore(url: &SqliteUrl, new_events: u64) {
    let mut restoring = raw(url.path()).await;
    sqlx::raw_sql(
        "DROP TRIGGER events_are_never_deleted;
         DELETE FROM events WHERE id > 3;
         CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
         BEGIN SELECT RAISE(ABORT, 'events are immutable'); END;",
    )
    .execute(&mut restoring)
    .await
    .expect("restored");
    let other = open(url).await;
    for _ in 0..new_events {
        append(&other, ExpectedSequence::Any)
            .await
            .expect("appended");
    }
    other.close().await.expect("closed");
}

async fn append(
    store: &SqliteEventStore,
    expected: ExpectedSequence,
) -> Result<Position, AppendError> {
    let event = NewEvent {
        metadata: Metadata::new(SystemIdSource.next_id()),
        ..event()
    };
    let append = Append::to_stream(StreamId::new("Todo", "1"), expected, vec![event]);
    Ok(store.append(append).await?.place().position)
}

async fn head(store: &SqliteEventStore) -> u64 {
    store.head().await.expect("read").get()
}

#[tokio::test]
async fn append_is_refused_after_another_history_was_restored() {
    for new_events in [0, 2, 4] {
        let directory = TempDir::new().expect("a directory");
        let url = url(&directory);
        let store = open(&url).await;
        let mut last = None;
        for _ in 0..5 {
            let expected = ExpectedSequence::after(last);
            append(&store, expected).await.expect("appended");
            last = Some(last.map_or(Sequence::FIRST, Sequence::next));
        }
        restore(&url, new_events).await;
        for expected in [ExpectedSequence::after(last), ExpectedSequence::Any] {
            let refused = append(&store, expected).await;
            assert!(
                matches!(refused, Err(AppendError::Store(StoreError::Unavailable(_)))),
                "{new_events} {expected:?}: {refused:?}"
            );
            assert_eq!(head(&store).await, 3 + new_events);
        }
        store.close().await.expect("closed");
        let again = open(&url).await;
        append(&again, ExpectedSequence::Any)
            .await
            .expect("appended after a restart");
        assert_eq!(head(&again).await, 4 + new_events);
    }
}

#[tokio::test]
async fn first_append_after_a_restore_is_refused() {
    let directory = TempDir::new().expect("a directory");
    let url = url(&directory);
    let before = open(&url).await;
    for _ in 0..5 {
        append(&before, ExpectedSequence::Any)
            .await
            .expect("appended");
    }
    before.close().await.expect("closed");
    let store = open(&url).await;
    // A request that is executed after the start's look at the end of the log.
    store
        .sessions()
        .sweep(time::OffsetDateTime::UNIX_EPOCH)
        .await
        .expect("swept");
    restore(&url, 2).await;
    append(&store, ExpectedSequence::Any)
        .await
        .expect_err("refused");
}

#[tokio::test]
async fn append_continues_after_the_events_of_another_process() {
    let directory = TempDir::new().expect("a directory");
    let url = url(&directory);
    let stores = [open(&url).await, open(&url).await];
    for round in 0..40 {
        let appended = append(&stores[round % 2], ExpectedSequence::Any).await;
        assert_eq!(appended.expect("appended").get(), round as u64 + 1);
    }
}
