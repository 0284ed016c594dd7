use ironstar_domain::{Aggregate, TodoEvent, TodoId, TodoState, TodoText};
use ironstar_ports::{Envelope, Metadata, Payload, Position, Sequence, StreamId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{TodoChange, TodoItem, TodoList};
use crate::codec::encode;

fn id(number: u128) -> TodoId {
    TodoId::new(Uuid::from_u128(number))
}

fn text(text: &str) -> TodoText {
    text.parse().expect("a valid text")
}

fn created(says: &str) -> TodoEvent {
    TodoEvent::Created { text: text(says) }
}

fn item(number: u128, says: &str, completed: bool) -> TodoItem {
    TodoItem {
        id: id(number),
        text: text(says),
        completed,
    }
}

fn envelope(position: u64, todo: u128, event: &TodoEvent) -> Envelope {
    let event = encode(event, Metadata::new(Uuid::nil())).expect("JSON");
    Envelope {
        position: Position::new(position),
        stream: StreamId::new(TodoState::TYPE, id(todo).to_string()),
        sequence: Sequence::FIRST,
        event_type: event.event_type,
        schema_version: event.schema_version,
        payload: event.payload,
        metadata: event.metadata,
        created_at: OffsetDateTime::UNIX_EPOCH,
    }
}

fn apply(list: &mut TodoList, position: u64, todo: u128, event: &TodoEvent) -> Option<TodoChange> {
    list.apply(&envelope(position, todo, event))
        .expect("readable")
}

#[test]
fn the_list_says_what_each_event_changes() {
    let mut list = TodoList::default();
    assert_eq!(
        apply(&mut list, 1, 7, &created("Tea")),
        Some(TodoChange::Added(item(7, "Tea", false)))
    );
    apply(&mut list, 2, 3, &created("Milk"));
    assert_eq!(
        apply(&mut list, 3, 7, &TodoEvent::Completed),
        Some(TodoChange::Changed(item(7, "Tea", true)))
    );
    let renamed = TodoEvent::Renamed { text: text("Chai") };
    assert_eq!(
        apply(&mut list, 4, 7, &renamed),
        Some(TodoChange::Changed(item(7, "Chai", true)))
    );
    let todos: Vec<_> = list.iter().cloned().collect();
    assert_eq!(todos, [item(7, "Chai", true), item(3, "Milk", false)]);
    assert_eq!((list.len(), list.active()), (2, 1));

    apply(&mut list, 5, 7, &TodoEvent::Reopened);
    assert_eq!(list.active(), 2);
    assert_eq!(
        apply(&mut list, 6, 7, &TodoEvent::Deleted),
        Some(TodoChange::Removed(id(7)))
    );
    apply(&mut list, 7, 3, &TodoEvent::Completed);
    assert_eq!((list.len(), list.active()), (1, 0));
    apply(&mut list, 8, 3, &TodoEvent::Deleted);
    assert!(list.is_empty());
    assert_eq!(list.active(), 0);
}

#[test]
fn other_aggregates_are_none_of_its_business() {
    let mut list = TodoList::default();
    let mut foreign = envelope(1, 1, &created("Tea"));
    foreign.stream.aggregate_type = "Account".to_owned();
    assert_eq!(list.apply(&foreign).expect("ignored"), None);
    assert!(list.is_empty());
}

#[test]
fn a_todo_event_that_cannot_be_read_is_an_error_with_its_position() {
    let mut unknown = envelope(17, 1, &created("Tea"));
    unknown.event_type = "painted".to_owned();
    unknown.payload = Payload::from_text(r#"{"type":"painted"}"#.to_owned()).expect("JSON");
    let error = TodoList::default().apply(&unknown).expect_err("unknown");
    assert_eq!(
        error.to_string(),
        r#"the "painted" event (schema version 1) at position 17 cannot be read"#
    );

    let mut nameless = envelope(18, 1, &created("Tea"));
    nameless.stream.aggregate_id = "no-uuid".to_owned();
    let error = TodoList::default().apply(&nameless).expect_err("no id");
    assert_eq!(error.position, Position::new(18));
}
