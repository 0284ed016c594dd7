//! Many callers that change the same aggregate at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use async_trait::async_trait;
use futures::future::join_all;
use ironstar_adapters::memory::MemoryEventStore;
use ironstar_app::list::ListService;
use ironstar_app::todo::{ListWide, TodoLists, TodoService};
use ironstar_app::{Caller, CommandContext, CommandError, CommandHandler};
use ironstar_domain::list::{ListCommand, ListId};
use ironstar_domain::todo::{TodoCommand, TodoId, TodoState};
use ironstar_ports::contract::doubles::AroundEventStore;
use ironstar_ports::{Append, AppendError, Appended, EventStore, Position, Sequence};
use uuid::Uuid;

use crate::support::{World, handler};

const ID: TodoId = TodoId::new(Uuid::from_u128(7));

/// A store in which all callers decide before the first append.
#[derive(Debug)]
struct Hesitant {
    inner: Arc<MemoryEventStore>,
    hesitates: AtomicBool,
}

#[async_trait]
impl AroundEventStore for Hesitant {
    fn inner(&self) -> &dyn EventStore {
        &*self.inner
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if self.hesitates.load(SeqCst) {
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
        }
        self.inner.append(append).await
    }
}

struct App {
    world: World,
    commands: CommandHandler,
    todos: TodoService,
    lists: ListService,
    store: Arc<Hesitant>,
}

impl App {
    async fn new() -> Self {
        let world = World::new().await;
        let store = Arc::new(Hesitant {
            inner: world.events.clone(),
            hesitates: AtomicBool::new(false),
        });
        let commands = handler(store.clone());
        let model = TodoLists::new(world.projections.model());
        Self {
            todos: TodoService::new(commands.clone(), model),
            lists: ListService::new(commands.clone(), world.projections.model()),
            commands,
            store,
            world,
        }
    }

    async fn create(&self, id: TodoId, list: ListId) {
        let text = "Milk".parse().expect("valid");
        let create = TodoCommand::Create { text, list };
        let context = CommandContext::default();
        let created = self.todos.execute(id, &create, &context).await;
        created.expect("created");
    }

    async fn create_list(&self) -> ListId {
        let id = self.lists.next_id();
        let name = "Groceries".parse().expect("valid");
        let create = ListCommand::Create { name, owner: None };
        let context = CommandContext::default();
        let created = self.lists.execute(id, &create, &context).await;
        created.expect("created");
        id
    }

    fn start(&self) {
        self.store.hesitates.store(true, SeqCst);
    }

    async fn count(&self, event_type: &str) -> usize {
        let log = self.world.events.load_after(Position::START, usize::MAX);
        let log = log.await.expect("read");
        log.iter()
            .filter(|event| event.event_type == event_type)
            .count()
    }
}

fn rename(number: usize) -> TodoCommand {
    let text = format!("Milk {number}").parse().expect("valid");
    TodoCommand::Rename { text }
}

fn rename_list(number: usize) -> ListCommand {
    let name = format!("Groceries {number}").parse().expect("valid");
    ListCommand::Rename { name }
}

#[tokio::test(start_paused = true)]
async fn none_of_many_renames_at_once_is_refused() {
    for many in [40, 300] {
        let app = App::new().await;
        app.create(ID, ListId::SHARED).await;
        app.start();
        let context = CommandContext::default();
        let renames = (0..many).map(|number| {
            let (app, context) = (&app, &context);
            async move {
                let rename = rename(number);
                app.commands
                    .execute::<TodoState>(&ID, &rename, context)
                    .await
            }
        });
        for renamed in join_all(renames).await {
            renamed.expect("renamed");
        }
        assert_eq!(app.count("renamed").await, many);
    }
}

#[tokio::test(start_paused = true)]
async fn two_processes_refuse_none_of_many_renames_at_once() {
    let app = App::new().await;
    app.create(ID, ListId::SHARED).await;
    app.start();
    let handlers = [app.commands.clone(), handler(app.store.clone())];
    let context = CommandContext::default();
    let renames = (0..200).map(|number| {
        let (handlers, context) = (&handlers, &context);
        async move {
            let rename = rename(number);
            let handler = &handlers[number % 2];
            handler.execute::<TodoState>(&ID, &rename, context).await
        }
    });
    for renamed in join_all(renames).await {
        renamed.expect("renamed");
    }
    assert_eq!(app.count("renamed").await, 200);
}

#[tokio::test(start_paused = true)]
async fn named_sequence_is_decided_once_among_many() {
    let app = App::new().await;
    app.create(ID, ListId::SHARED).await;
    app.start();
    let renames = (0..40).map(|number| {
        let app = &app;
        async move {
            let context = CommandContext {
                expected: (number % 2 == 0).then_some(Sequence::FIRST),
                ..CommandContext::default()
            };
            let rename = rename(number);
            let renamed = app.commands.execute::<TodoState>(&ID, &rename, &context);
            (number, renamed.await)
        }
    });
    let mut named = 0;
    for (number, renamed) in join_all(renames).await {
        match renamed {
            Ok(_) if number % 2 == 0 => named += 1,
            Ok(_) => {}
            Err(CommandError::Unexpected { .. }) => assert_eq!(number % 2, 0, "{number}"),
            Err(error) => panic!("{number}: {error}"),
        }
    }
    assert!(named <= 1, "{named}");
}

#[tokio::test(start_paused = true)]
async fn list_takes_many_commands_of_its_owner_and_on_its_todos_at_once() {
    let app = App::new().await;
    let list = app.create_list().await;
    app.create(ID, list).await;
    app.start();
    let context = CommandContext {
        caller: Caller::application("test"),
        ..CommandContext::default()
    };
    let on_the_list = (0..60).map(|number| {
        let (app, context) = (&app, &context);
        async move {
            let rename = rename_list(number);
            app.lists.execute(list, &rename, context).await
        }
    });
    let on_the_todo = (0..60).map(|number| {
        let (app, context) = (&app, &context);
        async move { app.todos.execute(ID, &rename(number), context).await }
    });
    let (lists, todos) = futures::join!(join_all(on_the_list), join_all(on_the_todo));
    for renamed in lists {
        renamed.expect("a list is renamed");
    }
    for renamed in todos {
        renamed.expect("a todo is renamed");
    }
    assert_eq!(app.count("renamed").await, 120);
}

#[tokio::test(start_paused = true)]
async fn command_on_a_whole_list_gets_its_turn_among_many_on_its_todos() {
    let app = App::new().await;
    let ids: Vec<TodoId> = (1..=20)
        .map(|id| TodoId::new(Uuid::from_u128(id)))
        .collect();
    for id in &ids {
        app.create(*id, ListId::SHARED).await;
    }
    app.start();
    let context = CommandContext::default();
    let renames = (0..400).map(|number| {
        let (app, context, id) = (&app, &context, ids[number % ids.len()]);
        async move { app.todos.execute(id, &rename(number), context).await }
    });
    let wholes = [ListWide::CompleteAll, ListWide::CompleteAll].map(|whole| {
        let done = app.todos.execute_on_list(ListId::SHARED, whole, &context);
        async move { done.await.map(|accepted| accepted.changed) }
    });
    let (renames, wholes) = futures::join!(join_all(renames), join_all(wholes));
    for renamed in renames {
        renamed.expect("renamed");
    }
    let changed: usize = wholes.into_iter().map(|done| done.expect("done")).sum();
    assert_eq!(changed, ids.len());
}
