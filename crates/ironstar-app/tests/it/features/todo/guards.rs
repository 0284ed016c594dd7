//! Todos are created only in lists that are not archived, and name their list.

use std::sync::Arc;

use ironstar_adapters::memory::MemorySnapshotStore;
use ironstar_adapters::system::SystemIdSource;
use ironstar_app::access::parent_of;
use ironstar_app::todo::{ListWide, ListWideError, TodoLists, TodoService};
use ironstar_app::{
    AcceptedOnAll, Caller, CommandContext, CommandError, CommandHandler, KeyedRequest, ListService,
};
use ironstar_domain::list::{ListCommand, ListError, ListEvent, ListId, ListState};
use ironstar_domain::todo::{TodoCommand, TodoError, TodoId, TodoState};
use ironstar_domain::{
    Aggregate, DomainEvent, OwnedEvent, OwnershipCommand, OwnershipEvent, Principal,
};
use ironstar_ports::{
    Append, EventStore, ExpectedSequence, Key, Metadata, NewEvent, Payload, Position, StreamId,
};
use uuid::Uuid;

use crate::support::{RememberingBus, TestStore, World, guard_of_nothing};

const TODO: TodoId = TodoId::new(Uuid::from_u128(7));

/// The services of an application.
struct App {
    world: World,
    bus: Arc<RememberingBus>,
    todos: TodoService,
    lists: ListService,
}

impl App {
    async fn new() -> Self {
        let world = World::new().await;
        let events = world.events.clone();
        Self::on(world, events)
    }

    fn on(world: World, events: Arc<dyn EventStore>) -> Self {
        let bus = Arc::new(RememberingBus::new());
        let commands = CommandHandler::new(
            events,
            Arc::new(MemorySnapshotStore::new()),
            bus.clone(),
            Arc::new(SystemIdSource),
        );
        let model = TodoLists::new(world.projections.model());
        let todos = TodoService::new(commands.clone(), model);
        let lists = ListService::new(commands, world.projections.model());
        Self {
            world,
            bus,
            todos,
            lists,
        }
    }

    /// A world in which another caller appends first, this many times.
    async fn meddled(self, times: u64, meddle: fn(&StreamId) -> Append) -> Self {
        let store = TestStore::meddled(self.world.events.clone(), times, meddle);
        Self::on(self.world, Arc::new(store))
    }

    async fn list(&self, command: ListCommand) {
        let context = CommandContext::default();
        self.lists
            .execute(list(), &command, &context)
            .await
            .expect("accepted");
    }

    async fn create(&self, list: ListId) -> Result<Position, CommandError<TodoError>> {
        self.todo(create(list), &CommandContext::default()).await
    }

    async fn on_all(&self, context: &CommandContext) -> Result<AcceptedOnAll, ListWideError> {
        let complete = ListWide::CompleteAll;
        self.todos.execute_on_list(list(), complete, context).await
    }

    async fn todo(
        &self,
        command: TodoCommand,
        context: &CommandContext,
    ) -> Result<Position, CommandError<TodoError>> {
        let accepted = self.todos.execute(TODO, &command, context).await?;
        Ok(accepted.place.position)
    }
}

fn list() -> ListId {
    Uuid::from_u128(1).into()
}

fn create(list: ListId) -> TodoCommand {
    let text = "Buy milk".parse().expect("valid");
    TodoCommand::Create { text, list }
}

fn create_list() -> ListCommand {
    let name = "Groceries".parse().expect("valid");
    ListCommand::Create { name, owner: None }
}

fn rename_list() -> ListCommand {
    let name = "Food".parse().expect("valid");
    ListCommand::Rename { name }
}

/// An append of an event to the list.
fn to_list(event: impl Into<OwnedEvent<ListEvent>>) -> Append {
    let event = event.into();
    let event = NewEvent {
        event_type: event.event_type().to_owned(),
        schema_version: event.schema_version(),
        payload: Payload::of(&event).expect("JSON"),
        metadata: Metadata::new(Uuid::nil()),
    };
    let stream = StreamId::new(ListState::TYPE, list().to_string());
    Append::to_stream(stream, ExpectedSequence::Any, vec![event])
}

/// A command with a key.
fn keyed() -> CommandContext {
    CommandContext {
        keyed: Some(KeyedRequest::new(
            "key".parse().expect("a key"),
            "create".to_owned(),
        )),
        ..CommandContext::default()
    }
}

fn refusal<T: std::fmt::Debug>(outcome: Result<T, CommandError<TodoError>>) -> TodoError {
    let error = outcome.expect_err("refused");
    let CommandError::Refused(refusal) = error else {
        panic!("{error:?}");
    };
    refusal
}

#[tokio::test(start_paused = true)]
async fn todo_is_created_only_in_an_open_list() {
    let app = App::new().await;
    assert_eq!(refusal(app.create(list()).await), TodoError::NoSuchList);
    app.list(create_list()).await;
    app.list(ListCommand::Archive).await;
    assert_eq!(refusal(app.create(list()).await), TodoError::ListArchived);
    app.list(ListCommand::Restore).await;
    assert_eq!(app.create(list()).await.expect("created"), Position::new(4));
}

#[tokio::test(start_paused = true)]
async fn shared_list_always_exists() {
    let app = App::new().await;
    app.create(ListId::SHARED).await.expect("created");
}

#[tokio::test(start_paused = true)]
async fn todos_of_an_archived_list_take_commands() {
    let app = App::new().await;
    app.list(create_list()).await;
    app.create(list()).await.expect("created");
    app.list(ListCommand::Archive).await;
    let context = CommandContext::default();
    app.todo(TodoCommand::Complete, &context)
        .await
        .expect("completed");
}

#[tokio::test(start_paused = true)]
async fn list_that_is_archived_at_the_last_moment_takes_no_todo() {
    let app = App::new().await;
    app.list(create_list()).await;
    let app = app.meddled(1, |_| to_list(ListEvent::Archived)).await;
    assert_eq!(refusal(app.create(list()).await), TodoError::ListArchived);
    let head = app.world.events.head().await.expect("read");
    assert_eq!(head, Position::new(2), "the todo was not created");
}

#[tokio::test(start_paused = true)]
async fn list_that_is_renamed_at_the_last_moment_takes_the_todo() {
    let app = App::new().await;
    app.list(create_list()).await;
    let renamed = |_: &StreamId| {
        let name = "Food".parse().expect("valid");
        to_list(ListEvent::Renamed { name })
    };
    let app = app.meddled(3, renamed).await;
    assert_eq!(app.create(list()).await.expect("created"), Position::new(5));
    let other = App::new().await;
    other.list(create_list()).await;
    let other = other.meddled(u64::MAX, renamed).await;
    let error = other
        .create(list())
        .await
        .expect_err("the list changes all the time");
    assert!(matches!(error, CommandError::Contended { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn list_that_is_renamed_at_the_last_moment_has_all_its_todos_completed() {
    let app = App::new().await;
    app.list(create_list()).await;
    app.create(list()).await.expect("created");
    let app = app
        .meddled(3, |_| {
            let name = "Food".parse().expect("valid");
            to_list(ListEvent::Renamed { name })
        })
        .await;
    let completed = app.on_all(&CommandContext::default()).await;
    assert_eq!(completed.expect("completed").changed, 1);
    let head = app.world.events.head().await.expect("read");
    assert_eq!(head, Position::new(6));
}

#[tokio::test(start_paused = true)]
async fn change_of_another_stream_is_reported_at_once() {
    let app = App::new().await;
    app.list(create_list()).await;
    let context = CommandContext {
        also: vec![guard_of_nothing()],
        ..CommandContext::default()
    };
    let is_told = |error: &CommandError<TodoError>| matches!(error, CommandError::OtherChanged { stream } if stream.aggregate_type == "Test");
    let error = app.todo(create(list()), &context).await;
    let error = error.expect_err("the other stream has changed");
    assert!(is_told(&error), "{error}");
    app.create(list()).await.expect("created");
    let error = app
        .on_all(&context)
        .await
        .expect_err("the other stream has changed");
    let ListWideError::Command(error) = error else {
        panic!("{error:?}");
    };
    assert!(is_told(&error), "{error}");
}

#[tokio::test(start_paused = true)]
async fn list_that_is_handed_over_at_the_last_moment_refuses_its_former_owner() {
    let app = App::new().await;
    app.list(create_list()).await;
    let to = Principal::Guest(Uuid::from_u128(2).into());
    let app = app
        .meddled(1, |_| {
            let to = Principal::Guest(Uuid::from_u128(2).into());
            to_list(OwnedEvent::Ownership(OwnershipEvent::HandedOver { to }))
        })
        .await;
    let execute = async |caller: Caller| {
        let context = CommandContext {
            caller,
            ..CommandContext::default()
        };
        let command = rename_list();
        app.lists.execute(list(), &command, &context).await
    };
    let refused = execute(Caller::anonymous()).await.expect_err("refused");
    assert!(
        matches!(refused, CommandError::Refused(ListError::NotFound)),
        "{refused}"
    );
    execute(Caller::of(vec![to])).await.expect("renamed");
}

#[tokio::test(start_paused = true)]
async fn repeated_creation_gets_the_first_answer() {
    let app = App::new().await;
    app.list(create_list()).await;
    let context = keyed();
    let first = app.todo(create(list()), &context).await.expect("created");
    let again = app.todo(create(list()), &context).await.expect("as before");
    // The answer is the same after the list was archived.
    app.list(ListCommand::Archive).await;
    let later = app.todo(create(list()), &context).await.expect("as before");
    assert_eq!((again, later), (first, first));
}

#[tokio::test(start_paused = true)]
async fn caller_without_the_right_gets_no_answer_to_a_repeated_command() {
    let app = App::new().await;
    app.list(create_list()).await;
    let context = keyed();
    app.todo(create(list()), &context).await.expect("created");
    let whole = CommandContext {
        caller: Caller::anonymous().from_place("here".to_owned()),
        ..keyed()
    };
    app.on_all(&whole).await.expect("completed");
    let to = Principal::Guest(Uuid::from_u128(2).into());
    let handed_over = OwnershipCommand::HandOver { from: None, to };
    app.list(handed_over.into()).await;
    let refused = refusal(app.todo(create(list()), &context).await);
    assert_eq!(refused, TodoError::NoSuchList);
    let Err(ListWideError::Command(error)) = app.on_all(&whole).await else {
        panic!("the list belongs to another owner");
    };
    assert_eq!(refusal::<()>(Err(error)), TodoError::NoSuchList);
}

#[tokio::test(start_paused = true)]
async fn events_of_a_todo_name_their_list_and_have_hints_on_both_keys() {
    let app = App::new().await;
    app.list(create_list()).await;
    app.bus.take();
    let context = CommandContext::default();
    let text = "Tea".parse().expect("valid");
    let commands = [
        create(list()),
        TodoCommand::Rename { text },
        TodoCommand::Complete,
        TodoCommand::Reopen,
        TodoCommand::Delete,
    ];
    let parent = StreamId::new(ListState::TYPE, list().to_string());
    let stream = StreamId::new(TodoState::TYPE, TODO.to_string());
    let both = [Key::of_stream(&stream), Key::of_part(&parent, &stream)];
    for command in commands {
        let position = app.todo(command, &context).await.expect("accepted");
        let before = Position::new(position.get() - 1);
        let events = app.world.events.load_after(before, 9).await.expect("read");
        assert_eq!(events.len(), 1);
        assert_eq!(
            events[0].metadata.parent,
            Some(parent.clone()),
            "{events:?}"
        );
        assert_eq!(parent_of::<TodoState>(&events[0]), Some(parent.clone()));
        let mut expected = both.each_ref().map(Key::as_str);
        expected.sort_unstable();
        assert_eq!(app.bus.take(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn list_has_a_hint_for_its_own_events_only() {
    let app = App::new().await;
    app.list(create_list()).await;
    let guard = StreamId::new(ListState::TYPE, list().to_string());
    let guard = Key::of_stream(&guard);
    assert_eq!(app.bus.take(), [guard.as_str()]);
    app.create(list()).await.expect("created");
    assert!(
        !app.bus.take().contains(&guard.as_str().to_owned()),
        "the list is only a guard"
    );
}
