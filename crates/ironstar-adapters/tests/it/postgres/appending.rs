//! Appends by several stores, each with a task and connections of its own, as several servers
//! have them.

use std::time::Duration;

use futures::future::join_all;
use ironstar_adapters::postgres::PostgresEventStore;
use ironstar_cluster::Cluster;
use ironstar_ports::{
    Append, AppendError, Appended, CommandKey, CommandRecord, Envelope, EventStore,
    ExpectedSequence, Mark, Metadata, NewEvent, Payload, Position, Sequence, StreamId,
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{fresh, fresh_url, open};

pub(super) fn event(number: u64) -> NewEvent {
    NewEvent {
        event_type: "happened".to_owned(),
        schema_version: 1,
        payload: Payload::from_text(format!(r#"{{"number":{number}}}"#)).expect("JSON"),
        metadata: Metadata::new(Uuid::from_u128(u128::from(number))),
    }
}

/// An append of one event to a stream.
pub(super) fn one(stream: u64, expected: ExpectedSequence, number: u64) -> Append {
    let stream = StreamId::new("Test", stream.to_string());
    Append::to_stream(stream, expected, vec![event(number)])
}

fn key(key: &str) -> CommandKey {
    key.parse().expect("a key")
}

fn with_key(append: Append, text: &str) -> Append {
    let command = Some(CommandRecord::new(key(text), "request".to_owned()));
    Append { command, ..append }
}

pub(super) async fn log(store: &PostgresEventStore) -> Vec<Envelope> {
    let log = store.load_after(Position::START, 100_000).await;
    log.expect("the log")
}

pub(super) fn is_contiguous(log: &[Envelope]) -> bool {
    let positions = log.iter().map(|event| event.position.get());
    positions.eq(1..=log.len() as u64)
}

fn conflicts(outcomes: &[Result<Appended, AppendError>]) -> usize {
    let is_conflict = |outcome: &&_| matches!(outcome, Err(AppendError::Conflict { .. }));
    outcomes.iter().filter(is_conflict).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_stores_append_without_gaps() {
    let Some(cluster) = Cluster::shared("several_stores_append_without_gaps") else {
        return;
    };
    let url = fresh_url(cluster).await;
    let stores = join_all((0..3).map(|_| open(&url))).await;
    let writers = (0..48).map(|writer| {
        let store = &stores[writer as usize % stores.len()];
        async move {
            let mut expected = ExpectedSequence::NoStream;
            for number in 0..20 {
                let append = one(writer, expected, writer * 100 + number);
                store.append(append).await.expect("appended");
                expected = ExpectedSequence::Exact(Sequence::new(number));
            }
        }
    });
    join_all(writers).await;
    for store in &stores {
        let log = log(store).await;
        assert!(is_contiguous(&log));
        assert_eq!(log.len(), 48 * 20);
        assert_eq!(store.head().await.expect("the head").get(), 48 * 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_acknowledged_append_to_one_stream_is_stored_once() {
    let test = "each_acknowledged_append_to_one_stream_is_stored_once";
    let Some(cluster) = Cluster::shared(test) else {
        return;
    };
    let url = fresh_url(cluster).await;
    let stores = join_all((0..3).map(|_| open(&url))).await;
    for round in 0..10 {
        let expected = match round {
            0 => ExpectedSequence::NoStream,
            _ => ExpectedSequence::Exact(Sequence::new(round - 1)),
        };
        let appends = (0..21).map(|number| {
            let store = &stores[number as usize % stores.len()];
            store.append(one(1, expected, round * 100 + number))
        });
        let outcomes = join_all(appends).await;
        assert_eq!(conflicts(&outcomes), 20, "{outcomes:?}");
        assert_eq!(log(&stores[0]).await.len() as u64, round + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_to_a_repeated_command_is_the_same_on_each_store() {
    let test = "answer_to_a_repeated_command_is_the_same_on_each_store";
    let Some(cluster) = Cluster::shared(test) else {
        return;
    };
    let url = fresh_url(cluster).await;
    let (one_store, other) = (open(&url).await, open(&url).await);
    let appends = (0..9).map(|number| one(number, ExpectedSequence::NoStream, number));
    join_all(appends.map(|append| one_store.append(append))).await;
    let append = with_key(one(9, ExpectedSequence::NoStream, 9), "k");
    let first = one_store.append(append.clone()).await.expect("appended");
    let head = &first.streams[0];
    assert_eq!(head.position, Position::new(10));
    assert_eq!(head.mark, Some(Mark::of(Uuid::from_u128(9))));
    let again = other.append(append).await.expect("the first answer");
    assert_eq!(again, first);
    let outcome = other.outcome(&key("k")).await.expect("read");
    assert_eq!(outcome.expect("an outcome").appended, first);
    assert_eq!(log(&other).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_command_without_streams_gets_its_first_answer() {
    let Some(cluster) = Cluster::shared("repeated_command_without_streams_gets_its_first_answer")
    else {
        return;
    };
    let store = fresh(cluster).await;
    let append = Append {
        streams: Vec::new(),
        command: Some(CommandRecord::new(key("k"), "request".to_owned())),
    };
    let first = store.append(append.clone()).await.expect("accepted");
    assert_eq!(first.streams, []);
    let again = store.append(append).await.expect("the first answer");
    assert_eq!(again, first);
    assert_eq!(log(&store).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn event_that_the_database_refuses_fails_alone() {
    let Some(cluster) = Cluster::shared("event_that_the_database_refuses_fails_alone") else {
        return;
    };
    let store = fresh(cluster).await;
    // An index has no room for this id, and no compression makes it small.
    let mut random = 1_u64;
    let id: String = (0..20_000)
        .map(|_| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'!' + ((random >> 33) % 89) as u8)
        })
        .collect();
    let too_long = StreamId::new("Test", id);
    let too_long = Append::to_stream(too_long, ExpectedSequence::NoStream, vec![event(0)]);
    let nul = StreamId::new("Test", "a\0b");
    let nul = Append::to_stream(nul, ExpectedSequence::NoStream, vec![event(0)]);
    let good = (1..=8).map(|number| one(number, ExpectedSequence::NoStream, number));
    let appends = [too_long, nul].into_iter().chain(good);
    let outcomes = join_all(appends.map(|append| store.append(append))).await;
    let failed: Vec<bool> = outcomes.iter().map(Result::is_err).collect();
    let expected: Vec<bool> = (0..10).map(|number| number < 2).collect();
    assert_eq!(failed, expected, "{outcomes:?}");
    let log = log(&store).await;
    assert_eq!(log.len(), 8);
    assert!(is_contiguous(&log));
}

#[tokio::test(flavor = "multi_thread")]
async fn append_happens_even_if_its_caller_goes_away() {
    let Some(cluster) = Cluster::shared("append_happens_even_if_its_caller_goes_away") else {
        return;
    };
    let store = fresh(cluster).await;
    for number in 0..50 {
        let append = store.append(one(number, ExpectedSequence::NoStream, number));
        let patience = Duration::from_micros(number * 20);
        // The caller may have its answer by then.
        let _ = tokio::time::timeout(patience, append).await;
    }
    let since = Instant::now();
    // The first caller has no time to ask.
    while log(&store).await.len() < 49 {
        assert!(
            since.elapsed() < Duration::from_secs(30),
            "appends are lost"
        );
        sleep(Duration::from_millis(10)).await;
    }
    assert!(is_contiguous(&log(&store).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_events_can_be_neither_changed_nor_followed_by_a_gap() {
    let test = "stored_events_can_be_neither_changed_nor_followed_by_a_gap";
    let Some(cluster) = Cluster::shared(test) else {
        return;
    };
    let url = fresh_url(cluster).await;
    let store = open(&url).await;
    let append = one(1, ExpectedSequence::NoStream, 1);
    store.append(append).await.expect("appended");
    let url = url.to_string();
    let (_, name) = url.rsplit_once('/').expect("a database");
    let insert = |id: i64, stream: &str, sequence: i64| {
        format!(
            "INSERT INTO events VALUES ({id}, 'Test', '{stream}', {sequence}, 'happened', 1, \
             '{{}}', '{{}}', now())"
        )
    };
    for statement in [
        "UPDATE events SET payload = '{}'".to_owned(),
        "DELETE FROM events".to_owned(),
        "TRUNCATE events".to_owned(),
        insert(1, "2", 0),
        insert(3, "2", 0),
        insert(0, "2", 0),
        insert(2, "1", 0),
        insert(2, "1", 2),
        insert(2, "2", 1),
        insert(2, "2", 0) + ", (4, 'Test', '3', 0, 'happened', 1, '{}', '{}', now())",
    ] {
        let refused = cluster.execute(name, &statement).await;
        refused.expect_err(&statement);
    }
    let good = insert(2, "2", 0) + ", (3, 'Test', '2', 1, 'happened', 1, '{}', '{}', now())";
    cluster.execute(name, &good).await.expect("these come next");
    let next = store.append(one(3, ExpectedSequence::NoStream, 3)).await;
    assert_eq!(next.expect("appended").place().position, Position::new(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_commands_are_forgotten() {
    let Some(cluster) = Cluster::shared("old_commands_are_forgotten") else {
        return;
    };
    let url = fresh_url(cluster).await;
    let keeps = open(&url).await;
    let append = with_key(one(1, ExpectedSequence::NoStream, 1), "k");
    keeps.append(append).await.expect("appended");
    let remembered = keeps.outcome(&key("k")).await.expect("read");
    assert!(remembered.is_some());
    let forgets = super::open_with_retention(&url, Duration::ZERO).await;
    let since = Instant::now();
    while forgets.outcome(&key("k")).await.expect("read").is_some() {
        assert!(
            since.elapsed() < Duration::from_secs(30),
            "it is remembered"
        );
        sleep(Duration::from_millis(10)).await;
    }
}
