//! One command on many aggregates.

use std::sync::Arc;

use ironstar_adapters::memory::MemoryEventStore;
use ironstar_app::{AcceptedOnAll, CommandContext, CommandError, CommandHandler, KeyedRequest};
use ironstar_domain::{Aggregate, DomainEvent};
use ironstar_fixtures::remark::{RemarkCommand, RemarkEvent, RemarkState};
use ironstar_ports::{
    Append, Envelope, EventStore, ExpectedSequence, Metadata, NewEvent, Payload, Position,
    StreamAppend, StreamId,
};
use uuid::Uuid;

use crate::support::{Meddle, TestStore, handler, memory_store};

const NOTE: Uuid = Uuid::from_u128(1);

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn stream(id: Uuid) -> StreamId {
    StreamId::new(RemarkState::TYPE, id.to_string())
}

fn created() -> RemarkEvent {
    let text = "Buy milk".to_owned();
    RemarkEvent::Created { note: NOTE, text }
}

fn events(stream: StreamId, events: &[RemarkEvent]) -> StreamAppend {
    let event = |event: &RemarkEvent| NewEvent {
        event_type: event.event_type().to_owned(),
        schema_version: event.schema_version(),
        payload: Payload::of(event).expect("JSON"),
        metadata: Metadata::new(Uuid::nil()),
    };
    StreamAppend {
        stream,
        expected: ExpectedSequence::Any,
        events: events.iter().map(event).collect(),
    }
}

/// Another caller deletes the remark.
fn delete(stream: &StreamId) -> Append {
    Append {
        streams: vec![events(stream.clone(), &[RemarkEvent::Deleted])],
        command: None,
    }
}

/// Another caller rewrites the remark.
fn rewrite(stream: &StreamId) -> Append {
    let text = "Tea".to_owned();
    Append {
        streams: vec![events(stream.clone(), &[RemarkEvent::Rewritten { text }])],
        command: None,
    }
}

/// Appends new remarks with these numbers, in this order.
async fn create(store: &MemoryEventStore, numbers: impl IntoIterator<Item = u128>) {
    let created = [created()];
    let streams = numbers
        .into_iter()
        .map(|number| events(stream(id(number)), &created));
    let append = Append {
        streams: streams.collect(),
        command: None,
    };
    store.append(append).await.expect("appended");
}

fn meddled(store: &Arc<MemoryEventStore>, times: u64, meddle: Meddle) -> CommandHandler {
    let store = TestStore::meddled(store.clone(), times, meddle);
    handler(Arc::new(store))
}

async fn log(store: &MemoryEventStore, after: u64) -> Vec<Envelope> {
    let after = Position::new(after);
    store.load_after(after, 100).await.expect("read")
}

/// The ids and types of the events after a position.
async fn happened(store: &MemoryEventStore, after: u64) -> Vec<(String, String)> {
    let log = log(store, after).await.into_iter();
    log.map(|event| (event.stream.aggregate_id, event.event_type))
        .collect()
}

fn all(numbers: &[u128], event_type: &str) -> Vec<(String, String)> {
    let ids = numbers.iter().map(|number| id(*number).to_string());
    ids.map(|id| (id, event_type.to_owned())).collect()
}

fn recorded(request: &str) -> CommandContext {
    CommandContext {
        keyed: Some(KeyedRequest::new(
            "key".parse().expect("a key"),
            request.to_owned(),
        )),
        ..CommandContext::default()
    }
}

/// The number of changed aggregates, and the position.
fn told<E: std::fmt::Debug>(outcome: Result<AcceptedOnAll, E>) -> (usize, u64) {
    let accepted = outcome.expect("accepted");
    (accepted.changed, accepted.place.position.get())
}

#[tokio::test]
async fn command_on_many_remarks_is_one_append_to_the_changed_ones() {
    let store = memory_store();
    create(&store, [1, 2, 3]).await;
    create(&store, [4]).await;
    let commands = handler(store.clone());
    let context = CommandContext::default();
    let on_two = async |command: RemarkCommand| {
        let done = commands
            .execute::<RemarkState>(&id(2), &command, &context)
            .await;
        done.expect("accepted");
    };
    let on_all = async |command: RemarkCommand| {
        let ids = [1, 2, 3].map(id);
        let done = commands.execute_on_all::<RemarkState>(&ids, &command, &context);
        told(done.await)
    };
    on_two(RemarkCommand::Close).await;
    assert_eq!(on_all(RemarkCommand::Close).await, (2, 7));
    assert_eq!(happened(&store, 5).await, all(&[1, 3], "closed"));
    assert_eq!(on_all(RemarkCommand::Close).await, (0, 7));

    on_two(RemarkCommand::Reopen).await;
    assert_eq!(on_all(RemarkCommand::Reopen).await, (2, 10));
    assert_eq!(happened(&store, 8).await, all(&[1, 3], "reopened"));

    on_two(RemarkCommand::Delete).await;
    assert_eq!(on_all(RemarkCommand::Delete).await, (2, 13));
    assert_eq!(happened(&store, 11).await, all(&[1, 3], "deleted"));
}

#[tokio::test]
async fn events_of_many_remarks_name_their_note() {
    let store = memory_store();
    create(&store, [1, 2]).await;
    let commands = handler(store.clone());
    let context = CommandContext::default();
    for command in [RemarkCommand::Close, RemarkCommand::Delete] {
        commands
            .execute_on_all::<RemarkState>(&[1, 2].map(id), &command, &context)
            .await
            .expect("accepted");
    }
    let parent = StreamId::new("Note", NOTE.to_string());
    let log = log(&store, 2).await;
    assert_eq!(log.len(), 4);
    for event in log {
        assert_eq!(event.metadata.parent, Some(parent.clone()), "{event:?}");
    }
}

#[tokio::test]
async fn remarks_that_refuse_are_left_out() {
    let store = memory_store();
    create(&store, [1, 2, 3]).await;
    let commands = handler(store);
    let context = CommandContext::default();
    let complete = RemarkCommand::Close;
    commands
        .execute::<RemarkState>(&id(2), &complete, &context)
        .await
        .expect("closed");
    // One remark is already closed, one does not exist, and two change.
    let ids = [1, 2, 3, 9].map(id);
    let closed = commands
        .execute_on_all::<RemarkState>(&ids, &complete, &context)
        .await;
    assert_eq!(told(closed), (2, 6));
    // The new states are in memory: the next command reads nothing to notice that nothing
    // changes.
    let text = "Buy milk".to_owned();
    let same = RemarkCommand::Rewrite { text };
    let rewritten = commands
        .execute_on_all::<RemarkState>(&ids, &same, &context)
        .await;
    assert_eq!(told(rewritten), (0, 6));
    let of_none = commands
        .execute_on_all::<RemarkState>(&[], &complete, &context)
        .await;
    assert_eq!(told(of_none), (0, 6));
}

#[tokio::test(start_paused = true)]
async fn command_is_decided_again_for_all_after_a_lost_race() {
    let store = memory_store();
    create(&store, [1, 2, 3]).await;
    let commands = meddled(&store, 3, rewrite);
    let context = CommandContext::default();
    let closed = commands
        .execute_on_all::<RemarkState>(&[1, 2, 3].map(id), &RemarkCommand::Close, &context)
        .await;
    assert_eq!(told(closed), (3, 9));
    assert_eq!(happened(&store, 6).await, all(&[1, 2, 3], "closed"));
}

#[tokio::test(start_paused = true)]
async fn remark_that_was_deleted_in_between_is_left_out() {
    let store = memory_store();
    create(&store, [1, 2, 3]).await;
    let commands = meddled(&store, 1, delete);
    let context = CommandContext::default();
    let closed = commands
        .execute_on_all::<RemarkState>(&[1, 2, 3].map(id), &RemarkCommand::Close, &context)
        .await;
    assert_eq!(told(closed), (2, 6));
    assert_eq!(happened(&store, 4).await, all(&[2, 3], "closed"));
}

#[tokio::test(start_paused = true)]
async fn command_that_loses_every_race_changes_nothing() {
    let store = memory_store();
    create(&store, [1, 2]).await;
    let commands = meddled(&store, u64::MAX, rewrite);
    let context = CommandContext::default();
    let error = commands
        .execute_on_all::<RemarkState>(&[1, 2, 3].map(id), &RemarkCommand::Close, &context)
        .await
        .expect_err("always late");
    assert!(matches!(error, CommandError::Contended { .. }), "{error}");
    let happened = happened(&store, 0).await;
    assert!(
        happened
            .iter()
            .all(|(_, event_type)| event_type != "closed")
    );
}

#[tokio::test]
async fn repeated_command_gets_the_first_answer() {
    let store = memory_store();
    create(&store, [1, 2, 3]).await;
    let commands = handler(store.clone());
    let close = async |numbers: &[u128], context: &CommandContext| {
        let ids: Vec<Uuid> = numbers.iter().copied().map(id).collect();
        let close = RemarkCommand::Close;
        let done = commands.execute_on_all::<RemarkState>(&ids, &close, context);
        done.await
    };
    let first = close(&[1, 2], &recorded("close")).await.expect("accepted");
    assert_eq!((first.changed, first.place.position.get()), (2, 5));
    // The sender names another remark, too, that is still open.
    let again = close(&[1, 2, 3], &recorded("close")).await;
    assert_eq!(again.expect("accepted"), first);
    assert_eq!(happened(&store, 5).await, []);
    let error = close(&[1, 2, 3], &recorded("another"))
        .await
        .expect_err("another request has the same key");
    assert!(matches!(error, CommandError::KeyReused), "{error}");
}

#[tokio::test]
async fn repeated_command_gets_the_first_answer_even_if_nothing_changed() {
    let store = memory_store();
    let commands = handler(store.clone());
    let close = async || {
        let (ids, context) = ([id(1)], recorded("close"));
        let close = RemarkCommand::Close;
        let done = commands.execute_on_all::<RemarkState>(&ids, &close, &context);
        told(done.await)
    };
    assert_eq!(close().await, (0, 0));
    create(&store, [1]).await;
    assert_eq!(close().await, (0, 1));
    assert_eq!(happened(&store, 1).await, [], "the command ran before");
}

#[tokio::test]
async fn remark_that_is_named_twice_changes_once() {
    let store = memory_store();
    create(&store, [1]).await;
    let accepted = handler(store)
        .execute_on_all::<RemarkState>(
            &[id(1), id(1)],
            &RemarkCommand::Close,
            &CommandContext::default(),
        )
        .await
        .expect("accepted");
    assert_eq!(accepted.changed, 1);
}
