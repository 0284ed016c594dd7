//! Many callers that change a list and its todos at the same time.

use std::sync::Arc;

use futures::future::join_all;
use ironstar_app::list::ListService;
use ironstar_app::todo::{ListWide, TodoLists, TodoService};
use ironstar_app::{Caller, CommandContext};
use ironstar_domain::list::{ListCommand, ListId};
use ironstar_domain::todo::{TodoCommand, TodoId};
use uuid::Uuid;

use crate::support::{Hesitant, World, handler};

const ID: TodoId = TodoId::new(Uuid::from_u128(7));

struct App {
    /// Runs the read models.
    _world: World,
    todos: TodoService,
    lists: ListService,
    store: Arc<Hesitant>,
}

impl App {
    async fn new() -> Self {
        let world = World::new().await;
        let store = Arc::new(Hesitant::new(world.events.clone()));
        let commands = handler(store.clone());
        let model = TodoLists::new(world.projections.model());
        Self {
            todos: TodoService::new(commands.clone(), model),
            lists: ListService::new(commands, world.projections.model()),
            store,
            _world: world,
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
async fn list_takes_many_commands_of_its_owner_and_on_its_todos_at_once() {
    let app = App::new().await;
    let list = app.create_list().await;
    app.create(ID, list).await;
    app.store.hesitate();
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
    assert_eq!(app.store.count("renamed").await, 120);
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
    app.store.hesitate();
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
