//! One command on many todos of a list.

use std::sync::Arc;

use ironstar_app::todo::{
    ListWide, ListWideError, MOST_AT_ONCE, Show, TodoCounts, TodoLists, TodoService,
};
use ironstar_app::{AcceptedOnAll, CommandContext, CommandError, KeyedRequest};
use ironstar_domain::list::{ListCommand, ListId, ListState};
use ironstar_domain::todo::{TodoCommand, TodoEvent, TodoId, TodoState};
use ironstar_domain::{Aggregate, DomainEvent};
use ironstar_ports::{
    Append, Envelope, EventStore, ExpectedSequence, Metadata, NewEvent, Payload, Position,
    StreamAppend, StreamId,
};
use uuid::Uuid;

use crate::support::{World, handler};

fn id(number: u128) -> TodoId {
    TodoId::new(Uuid::from_u128(number))
}

fn stream(id: TodoId) -> StreamId {
    StreamId::new(TodoState::TYPE, id.to_string())
}

fn created(list: ListId) -> TodoEvent {
    let text = "Buy milk".parse().expect("valid");
    TodoEvent::Created { text, list }
}

fn events(stream: StreamId, events: &[TodoEvent]) -> StreamAppend {
    let event = |event: &TodoEvent| NewEvent {
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

/// Appends new todos with these numbers, in this order.
async fn create(world: &World, numbers: impl IntoIterator<Item = u128>, list: ListId) {
    let created = [created(list)];
    let streams = numbers
        .into_iter()
        .map(|number| events(stream(id(number)), &created));
    let append = Append {
        streams: streams.collect(),
        command: None,
    };
    world.events.append(append).await.expect("appended");
}

/// Creates a list that belongs to all callers.
async fn create_list(world: &World, list: ListId) {
    let name = "Groceries".parse().expect("a name");
    let command = ListCommand::Create { name, owner: None };
    handler(world.events.clone())
        .execute::<ListState>(&list, &command, &CommandContext::default())
        .await
        .expect("created");
}

fn service(world: &World, events: Arc<dyn EventStore>) -> TodoService {
    let lists = TodoLists::new(world.projections.model());
    TodoService::new(handler(events), lists)
}

async fn log(world: &World, after: u64) -> Vec<Envelope> {
    let after = Position::new(after);
    world.events.load_after(after, 100).await.expect("read")
}

/// The ids and types of the events after a position.
async fn happened(world: &World, after: u64) -> Vec<(String, String)> {
    let log = log(world, after).await.into_iter();
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

#[tokio::test(start_paused = true)]
async fn command_on_a_list_is_one_append_to_the_changed_todos() {
    let world = World::new().await;
    let list = Uuid::from_u128(1).into();
    create_list(&world, list).await;
    create(&world, [1, 2, 3], list).await;
    create(&world, [4], ListId::SHARED).await;
    let service = service(&world, world.events.clone());
    let context = CommandContext::default();
    service
        .execute(id(2), &TodoCommand::Complete, &context)
        .await
        .expect("completed");
    let completed = service
        .execute_on_list(list, ListWide::CompleteAll, &context)
        .await;
    assert_eq!(told(completed), (2, 8));
    assert_eq!(happened(&world, 6).await, all(&[1, 3], "completed"));

    let again = service
        .execute_on_list(list, ListWide::CompleteAll, &context)
        .await;
    assert_eq!(told(again), (0, 8));
    service
        .execute(id(2), &TodoCommand::Reopen, &context)
        .await
        .expect("reopened");
    let cleared = service
        .execute_on_list(list, ListWide::ClearCompleted, &context)
        .await;
    assert_eq!(told(cleared), (2, 11));
    assert_eq!(happened(&world, 9).await, all(&[1, 3], "deleted"));

    service
        .execute(id(2), &TodoCommand::Complete, &context)
        .await
        .expect("completed");
    let reopened = service
        .execute_on_list(list, ListWide::ReopenAll, &context)
        .await;
    assert_eq!(told(reopened), (1, 13));
    world.settled(service.lists().model()).await;
    let page = service
        .lists()
        .page(list, Show::All, None, 10)
        .await
        .expect("read");
    assert_eq!(
        page.counts,
        TodoCounts {
            active: 1,
            completed: 0
        }
    );
}

#[tokio::test(start_paused = true)]
async fn repeated_command_gets_the_first_answer() {
    let world = World::new().await;
    create(&world, [1, 2], ListId::SHARED).await;
    let service = service(&world, world.events.clone());
    let complete = async |context: &CommandContext| {
        service
            .execute_on_list(ListId::SHARED, ListWide::CompleteAll, context)
            .await
    };
    let first = complete(&recorded("complete")).await.expect("accepted");
    assert_eq!((first.changed, first.place.position.get()), (2, 4));
    // There is another todo to complete by now.
    create(&world, [3], ListId::SHARED).await;
    assert_eq!(
        complete(&recorded("complete")).await.expect("accepted"),
        first
    );
    assert_eq!(happened(&world, 5).await, []);
    let error = complete(&recorded("another"))
        .await
        .expect_err("another request has the same key");
    assert!(
        matches!(error, ListWideError::Command(CommandError::KeyReused)),
        "{error}"
    );
    // A retry is answered even if the read model is behind.
    let head = world.events.head().await.expect("read");
    world.log.damage([head.next()]);
    world.happens_loudly("1", "happened").await;
    let again = complete(&recorded("complete")).await;
    assert_eq!(again.expect("accepted"), first);
    let other = complete(&CommandContext::default()).await;
    assert!(matches!(other, Err(ListWideError::Behind(_))), "{other:?}");
}

#[tokio::test(start_paused = true)]
async fn repeated_command_gets_the_first_answer_even_if_nothing_changed() {
    let world = World::new().await;
    let service = service(&world, world.events.clone());
    let complete = async || {
        let context = recorded("complete");
        service
            .execute_on_list(ListId::SHARED, ListWide::CompleteAll, &context)
            .await
    };
    assert_eq!(told(complete().await), (0, 0));
    create(&world, [1], ListId::SHARED).await;
    assert_eq!(told(complete().await), (0, 1));
    assert_eq!(happened(&world, 1).await, [], "the command ran before");
}

#[tokio::test(start_paused = true)]
async fn command_on_too_many_todos_is_refused() {
    let world = World::new().await;
    let most = MOST_AT_ONCE as u128;
    create(&world, 0..=most, ListId::SHARED).await;
    let service = service(&world, world.events.clone());
    world.settled(service.lists().model()).await;
    let context = CommandContext::default();
    let complete = async || {
        service
            .execute_on_list(ListId::SHARED, ListWide::CompleteAll, &context)
            .await
    };
    let error = complete().await.expect_err("one too many");
    assert!(matches!(error, ListWideError::TooMany), "{error}");
    service
        .execute(id(most), &TodoCommand::Delete, &context)
        .await
        .expect("deleted");
    assert_eq!(complete().await.expect("accepted").changed, MOST_AT_ONCE);
}
