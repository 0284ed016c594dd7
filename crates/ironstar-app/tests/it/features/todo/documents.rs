//! The documents of todos, and the pages that are read from them.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;

use ironstar_app::test_kit::{Happened, given, happened, stored};
use ironstar_app::todo::{
    Show, TodoCounts, TodoDocument, TodoItem, TodoLists, TodoProjection, counts_key,
};
use ironstar_app::{CommandContext, decode};
use ironstar_domain::Aggregate;
use ironstar_domain::list::{ListEvent, ListId, ListState};
use ironstar_domain::todo::{TodoCommand, TodoEvent, TodoId, TodoState};
use ironstar_ports::{DocumentQuery, DocumentSource, EventStore, Position, ProjectionStore};
use proptest::prelude::*;
use tokio::runtime;
use uuid::Uuid;

use crate::support::{World, handler};

const TODO: TodoId = todo_id(7);

const fn todo_id(number: u128) -> TodoId {
    TodoId::new(Uuid::from_u128(number))
}

fn list_id(number: u128) -> ListId {
    Uuid::from_u128(number).into()
}

fn todo(event: TodoEvent) -> Happened {
    happened::<TodoState>(TODO, event)
}

fn created(list: ListId) -> TodoEvent {
    let text = "Buy milk".parse().expect("valid");
    TodoEvent::Created { text, list }
}

fn renamed(text: &str) -> TodoEvent {
    let text = text.parse().expect("valid");
    TodoEvent::Renamed { text }
}

fn item(list: ListId, text: &str, completed: bool) -> (String, TodoDocument) {
    let document = TodoDocument::Todo(TodoItem {
        id: TODO,
        list,
        text: text.parse().expect("valid"),
        completed,
        created: Position::new(1),
    });
    (TODO.to_string(), document)
}

fn counts(list: ListId, active: u64, completed: u64) -> (String, TodoDocument) {
    let counts = TodoCounts { active, completed };
    (counts_key(list), TodoDocument::Counts(counts))
}

#[test]
fn todo_document_follows_its_events() {
    let list = list_id(1);
    given([todo(created(list))])
        .view::<TodoProjection>()
        .then([item(list, "Buy milk", false), counts(list, 1, 0)])
        .and([todo(renamed("Tea"))])
        .then([item(list, "Tea", false), counts(list, 1, 0)])
        .and([todo(TodoEvent::Completed)])
        .then([item(list, "Tea", true), counts(list, 0, 1)])
        .and([todo(renamed("Coffee"))])
        .then([item(list, "Coffee", true), counts(list, 0, 1)])
        .and([todo(TodoEvent::Reopened)])
        .then([item(list, "Coffee", false), counts(list, 1, 0)])
        .and([todo(TodoEvent::Deleted)])
        .then_nothing();
}

#[test]
fn counts_of_a_list_are_removed_with_its_last_todo() {
    let other = |event| happened::<TodoState>(todo_id(8), event);
    let list = list_id(1);
    let view = given([todo(created(list)), other(created(list))])
        .view::<TodoProjection>()
        .and([other(TodoEvent::Completed), other(TodoEvent::Deleted)])
        .then([item(list, "Buy milk", false), counts(list, 1, 0)])
        .and([todo(TodoEvent::Deleted)]);
    assert_eq!(view.document(&counts_key(list)), None);
    view.then_nothing();
}

#[test]
fn todos_are_listed_in_the_order_of_their_creation() {
    // The ids are in another order.
    let ids = [9, 8, 12, 10, 11].map(todo_id);
    let list = list_id(1);
    let created = ids.map(|id| happened::<TodoState>(id, created(list)));
    let view = given(created)
        .view::<TodoProjection>()
        .and([happened::<TodoState>(ids[1], TodoEvent::Completed)]);
    let listed = |state: &str| -> Vec<TodoId> {
        let listed = view.listed(&format!("{list}/{state}"));
        let todos = listed.into_iter().cloned().filter_map(TodoDocument::todo);
        todos.map(|todo| todo.id).collect()
    };
    assert_eq!(listed("active"), [9, 12, 10, 11].map(todo_id));
    assert_eq!(listed("completed"), [8].map(todo_id));
}

#[test]
fn todo_of_the_oldest_version_is_in_the_shared_list() {
    let old = r#"{"type": "created", "text": "Buy milk"}"#;
    given([stored::<TodoState>(TODO, "created", 1, old)])
        .view::<TodoProjection>()
        .then([
            item(ListId::SHARED, "Buy milk", false),
            counts(ListId::SHARED, 1, 0),
        ]);
}

#[test]
fn events_of_missing_todos_change_nothing() {
    let events = || {
        [
            renamed("Tea"),
            TodoEvent::Completed,
            TodoEvent::Reopened,
            TodoEvent::Deleted,
        ]
        .map(todo)
    };
    given(events())
        .and([happened::<ListState>(list_id(1), ListEvent::Archived)])
        .view::<TodoProjection>()
        .then_nothing();
    let list = list_id(1);
    given([todo(created(list)), todo(created(list_id(2)))])
        .view::<TodoProjection>()
        .then([item(list, "Buy milk", false), counts(list, 1, 0)])
        .and([todo(TodoEvent::Deleted)])
        .and(events())
        .then_nothing();
}

#[test]
fn unreadable_event_stops_the_projection() {
    let view = given([
        todo(created(list_id(1))),
        stored::<TodoState>(TODO, "painted", 1, "{}"),
        todo(TodoEvent::Completed),
    ])
    .view::<TodoProjection>();
    let reason = view.then_stuck(2);
    assert!(
        reason.contains("no event of this type is known"),
        "{reason}"
    );
    assert_eq!(
        view.document(&TODO.to_string()),
        Some(&item(list_id(1), "Buy milk", false).1)
    );
}

/// A command on one of a few todos, in one of a few lists.
fn any_command() -> impl Strategy<Value = (u128, TodoCommand)> {
    let text = || "[ab]".prop_map(|text| text.parse().expect("valid"));
    let list = (0..3_u128).prop_map(list_id);
    let command = prop_oneof![
        3 => (text(), list).prop_map(|(text, list)| TodoCommand::Create { text, list }),
        1 => text().prop_map(|text| TodoCommand::Rename { text }),
        2 => Just(TodoCommand::Complete),
        1 => Just(TodoCommand::Reopen),
        1 => Just(TodoCommand::Delete),
    ];
    (0..6_u128, command)
}

/// A fault or another action before a command.
fn any_trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        6 => Just(Trouble::None),
        1 => Just(Trouble::Commit),
        1 => Just(Trouble::Answer),
        1 => Just(Trouble::Conflict),
        1 => Just(Trouble::Find),
        1 => Just(Trouble::Rebuild),
        2 => Just(Trouble::Wait),
    ]
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    None,
    Commit,
    Answer,
    Conflict,
    Find,
    Rebuild,
    Wait,
}

impl Trouble {
    async fn happens(self, world: &World) {
        let store = &world.store;
        match self {
            Self::None => {}
            Self::Commit => store.failing_commits.store(1, SeqCst),
            Self::Answer => store.unanswered_commits.store(1, SeqCst),
            Self::Conflict => store.conflicts.store(1, SeqCst),
            Self::Find => store.failing_finds.store(1, SeqCst),
            Self::Rebuild => {
                let (name, version) = ("todos", 1);
                store.begin(name, version).await.expect("begun");
            }
            Self::Wait => tokio::time::sleep(std::time::Duration::from_millis(700)).await,
        }
    }
}

/// The expected documents, computed in another way than the projection does.
async fn reference(events: &dyn EventStore) -> BTreeMap<String, TodoDocument> {
    let mut todos: BTreeMap<TodoId, (TodoState, Position)> = BTreeMap::new();
    for event in events
        .load_after(Position::START, 10_000)
        .await
        .expect("read")
    {
        let (id, happened) = decode::<TodoState>(&event).expect("readable");
        let entry = todos.entry(id);
        let (state, _) = entry.or_insert((TodoState::default(), event.position));
        *state = std::mem::take(state).apply(&happened);
    }
    let mut documents = BTreeMap::new();
    let mut all_counts: BTreeMap<ListId, TodoCounts> = BTreeMap::new();
    for (id, (state, created)) in todos {
        let (text, list, completed) = match state {
            TodoState::Active { text, list } => (text, list, false),
            TodoState::Completed { text, list } => (text, list, true),
            TodoState::NotCreated | TodoState::Deleted { .. } => continue,
        };
        let counts = all_counts.entry(list).or_default();
        counts.active += u64::from(!completed);
        counts.completed += u64::from(completed);
        let item = TodoItem {
            id,
            list,
            text,
            completed,
            created,
        };
        documents.insert(id.to_string(), TodoDocument::Todo(item));
    }
    for (list, counts) in all_counts {
        documents.insert(counts_key(list), TodoDocument::Counts(counts));
    }
    documents
}

/// The documents in the store.
async fn documents(world: &World) -> BTreeMap<String, TodoDocument> {
    let todos = (0..6).map(|number| todo_id(number).to_string());
    let counts = (0..3).map(|number| counts_key(list_id(number)));
    let query = DocumentQuery {
        keys: todos.chain(counts).collect(),
        page: None,
    };
    let source = DocumentSource::Live("todos".to_owned());
    let found = world.store.find(&source, &query).await.expect("read");
    let documents = found.expect("there is one").keyed.into_iter();
    documents
        .map(|document| {
            let body = serde_json::from_str(document.body.as_str());
            (document.key, body.expect("a document"))
        })
        .collect()
}

/// Reads a list, page by page.
async fn walk(lists: &TodoLists, list: ListId, show: Show, limit: usize) -> Vec<TodoItem> {
    let (mut todos, mut after) = (Vec::new(), None);
    loop {
        let page = lists.page(list, show, after, limit).await.expect("read");
        assert!(page.todos.len() <= limit);
        todos.extend(page.todos);
        after = page.next;
        if after.is_none() {
            return todos;
        }
    }
}

async fn check_pages(lists: &TodoLists, expected: &BTreeMap<String, TodoDocument>) {
    for list in (0..3).map(list_id) {
        let of_list = expected.values().cloned().filter_map(TodoDocument::todo);
        let mut of_list: Vec<_> = of_list.filter(|todo| todo.list == list).collect();
        of_list.sort_by_key(|todo| todo.created);
        for limit in 1..=5 {
            for show in [Show::All, Show::Active, Show::Completed] {
                let is_shown = |todo: &&TodoItem| match show {
                    Show::All => true,
                    Show::Active => !todo.completed,
                    Show::Completed => todo.completed,
                };
                let shown: Vec<_> = of_list.iter().filter(is_shown).cloned().collect();
                assert_eq!(
                    walk(lists, list, show, limit).await,
                    shown,
                    "{show:?} {limit}"
                );
            }
        }
    }
}

async fn check_history(history: Vec<(Trouble, (u128, TodoCommand))>) {
    let world = World::new().await;
    let lists = TodoLists::new(world.projections.model());
    let commands = handler(world.events.clone());
    let context = CommandContext::default();
    for (trouble, (todo, command)) in history {
        trouble.happens(&world).await;
        // A refused command appends nothing.
        let _ = commands
            .execute::<TodoState>(&todo_id(todo), &command, &context)
            .await;
    }
    world.settled(lists.model()).await;
    world.store.failing_finds.store(0, SeqCst);
    let expected = reference(&*world.events).await;
    assert_eq!(documents(&world).await, expected);
    check_pages(&lists, &expected).await;
    world
        .builds_when::<TodoProjection>(|builds| builds.len() == 1)
        .await;
    assert_eq!(documents(&world).await, expected, "as rebuilt");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn lists_show_all_events_despite_faults(
        history in prop::collection::vec((any_trouble(), any_command()), 0..60),
    ) {
        let runtime = runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(check_history(history));
    }
}
