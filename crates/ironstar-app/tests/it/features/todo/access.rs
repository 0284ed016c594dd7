//! Lists and their todos are visible to the owners of the lists, and to callers with one of
//! their links.

use ironstar_app::access::{Gates, Permit, Resource};
use ironstar_app::caller::Links;
use ironstar_app::todo::{ListWide, ListWideError, TodoLists, TodoService};
use ironstar_app::{Caller, CommandContext, CommandError, ListService};
use ironstar_domain::list::{ListCommand, ListError, ListId, ListState};
use ironstar_domain::todo::{TodoCommand, TodoError, TodoId};
use ironstar_domain::{Access, LinkAccess, LinkId, Owned, OwnershipCommand, Principal};
use ironstar_ports::{EventStore, Position};
use uuid::Uuid;

use crate::support::{SOON, World, handler};

/// The services of an application, and the gates of its lists.
struct App {
    world: World,
    todos: TodoService,
    lists: ListService,
    gates: Gates,
    links: Links,
}

impl App {
    async fn new() -> Self {
        let world = World::new().await;
        let commands = handler(world.events.clone());
        let model = TodoLists::new(world.projections.model());
        Self {
            todos: TodoService::new(commands.clone(), model),
            lists: ListService::new(commands.clone(), world.projections.model()),
            gates: Gates::start(handler(world.log.clone()), &world.feed),
            links: Links::new([7; 32]),
            world,
        }
    }

    /// An application with a list of Ada's, and a todo in it.
    async fn with_a_list() -> Self {
        let app = Self::new().await;
        let name = "Groceries".parse().expect("valid");
        let owner = Some(ada());
        app.list(by(ada()), ListCommand::Create { name, owner })
            .await
            .expect("created");
        app.todo(by(ada()), TODO, create(list()))
            .await
            .expect("created");
        app
    }

    async fn list(
        &self,
        caller: Caller,
        command: ListCommand,
    ) -> Result<Position, CommandError<ListError>> {
        let context = context(caller);
        let accepted = self.lists.execute(list(), &command, &context);
        Ok(accepted.await?.place.position)
    }

    async fn todo(
        &self,
        caller: Caller,
        id: TodoId,
        command: TodoCommand,
    ) -> Result<Position, CommandError<TodoError>> {
        let context = context(caller);
        let accepted = self.todos.execute(id, &command, &context);
        Ok(accepted.await?.place.position)
    }

    /// Creates a link, and returns a caller that presents it.
    async fn link(&self, number: u128, access: LinkAccess) -> Caller {
        let link = link(number);
        let create = OwnershipCommand::CreateLink { link, access };
        self.list(by(ada()), create.into()).await.expect("created");
        let token = self.links.token_of::<ListState>(&list(), link);
        Caller::anonymous().by_link(Some(self.links.presented(token)))
    }

    async fn revoke(&self, number: u128) -> Position {
        let link = link(number);
        let revoke = OwnershipCommand::RevokeLink { link };
        self.list(by(ada()), revoke.into()).await.expect("revoked")
    }

    async fn permit(&self, caller: Caller, least: Access) -> Option<Permit> {
        let list = Resource::of::<ListState>(&list());
        let permit = self.gates.permit(&list, caller, least);
        permit.await.expect("the list can be read")
    }
}

const TODO: TodoId = TodoId::new(Uuid::from_u128(7));

fn list() -> ListId {
    Uuid::from_u128(1).into()
}

fn link(number: u128) -> LinkId {
    Uuid::from_u128(number).into()
}

fn ada() -> Principal {
    Principal::User(Uuid::from_u128(1).into())
}

fn bob() -> Principal {
    Principal::Guest(Uuid::from_u128(1).into())
}

fn by(principal: Principal) -> Caller {
    Caller::of(vec![principal])
}

fn context(caller: Caller) -> CommandContext {
    CommandContext {
        caller,
        ..CommandContext::default()
    }
}

fn create(list: ListId) -> TodoCommand {
    let text = "Buy milk".parse().expect("valid");
    TodoCommand::Create { text, list }
}

fn rename(to: &str) -> ListCommand {
    let name = to.parse().expect("valid");
    ListCommand::Rename { name }
}

fn refusal<T: std::fmt::Debug, E: std::fmt::Debug>(outcome: Result<T, CommandError<E>>) -> E {
    let error = outcome.expect_err("refused");
    let CommandError::Refused(refusal) = error else {
        panic!("{error:?}");
    };
    refusal
}

#[tokio::test(start_paused = true)]
async fn list_and_its_todos_do_not_exist_for_callers_without_a_right() {
    let app = App::with_a_list().await;
    let guessed = app
        .links
        .token_of::<ListState>(&Uuid::from_u128(2).into(), link(1));
    let with_another_link = Caller::anonymous().by_link(Some(app.links.presented(guessed)));
    app.link(1, LinkAccess::Edit).await;
    let head = app.world.events.head().await.expect("read");
    for caller in [Caller::anonymous(), by(bob()), with_another_link] {
        for command in [
            rename("Mine"),
            ListCommand::Archive,
            OwnershipCommand::HandOver {
                from: Some(ada()),
                to: bob(),
            }
            .into(),
            OwnershipCommand::RevokeLink { link: link(1) }.into(),
        ] {
            let refused = refusal(app.list(caller.clone(), command).await);
            assert_eq!(refused, ListError::NotFound);
        }
        for command in [TodoCommand::Complete, TodoCommand::Delete] {
            let refused = refusal(app.todo(caller.clone(), TODO, command).await);
            assert_eq!(refused, TodoError::NotFound);
        }
        let new = TodoId::new(Uuid::from_u128(8));
        let refused = refusal(app.todo(caller.clone(), new, create(list())).await);
        assert_eq!(refused, TodoError::NoSuchList);
        let all = app
            .todos
            .execute_on_list(list(), ListWide::CompleteAll, &context(caller.clone()))
            .await;
        let Err(ListWideError::Command(error)) = all else {
            panic!("{all:?}");
        };
        assert_eq!(refusal::<(), _>(Err(error)), TodoError::NoSuchList);
        assert!(app.permit(caller, Access::Read).await.is_none());
    }
    assert_eq!(app.world.events.head().await.expect("read"), head);
}

#[tokio::test(start_paused = true)]
async fn deleted_todo_of_a_list_does_not_exist_for_other_callers() {
    let app = App::with_a_list().await;
    app.todo(by(ada()), TODO, TodoCommand::Delete)
        .await
        .expect("deleted");
    let mut context = context(by(bob()));
    context.expected = Some(ironstar_ports::Sequence::FIRST);
    let outcome = app.todos.execute(TODO, &TodoCommand::Complete, &context);
    assert_eq!(refusal(outcome.await), TodoError::NotFound);
}

#[tokio::test(start_paused = true)]
async fn link_gives_its_own_right_and_no_more() {
    let app = App::with_a_list().await;
    let reader = app.link(1, LinkAccess::Read).await;
    let editor = app.link(2, LinkAccess::Edit).await;
    let refused = refusal(app.todo(reader.clone(), TODO, TodoCommand::Complete).await);
    assert_eq!(refused, TodoError::ReadOnly);
    app.todo(editor.clone(), TODO, TodoCommand::Complete)
        .await
        .expect("completed");
    for caller in [&reader, &editor] {
        let refused = refusal(app.list(caller.clone(), rename("Mine")).await);
        assert_eq!(refused, ListState::not_owner());
        let permit = app.permit(caller.clone(), Access::Read).await;
        assert!(permit.is_some_and(|permit| permit.holds()));
    }
    assert!(app.permit(reader, Access::Edit).await.is_none());
    let permit = app.permit(editor.clone(), Access::Edit).await;
    let permit = permit.expect("let in");

    let revoked = app.revoke(2).await;
    let holds = tokio::time::timeout(SOON, permit.holds_at(revoked)).await;
    assert!(!holds.expect("the gates reach the position"));
    let refused = refusal(app.todo(editor, TODO, TodoCommand::Reopen).await);
    assert_eq!(refused, TodoError::NotFound);
}

#[tokio::test(start_paused = true)]
async fn handover_on_another_node_is_noticed() {
    let app = App::with_a_list().await;
    // In memory, this handler still has Ada as the owner.
    let elsewhere = handler(app.world.events.clone());
    let elsewhere = ListService::new(elsewhere, app.world.projections.model());
    let to_bob = OwnershipCommand::HandOver {
        from: Some(ada()),
        to: bob(),
    };
    elsewhere
        .execute(list(), &to_bob.into(), &context(by(ada())))
        .await
        .expect("handed over");
    let refused = refusal(app.list(by(ada()), rename("Mine")).await);
    assert_eq!(refused, ListError::NotFound);
    let refused = refusal(app.todo(by(ada()), TODO, TodoCommand::Complete).await);
    assert_eq!(refused, TodoError::NotFound);
}
