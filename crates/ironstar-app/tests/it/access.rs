//! Lists are visible to their owners, and to callers with one of their links.

use std::time::Duration;

use ironstar_app::access::{Gates, Permit, Resource};
use ironstar_app::caller::Links;
use ironstar_app::todo::{ListWide, ListWideError, TodoLists, TodoService};
use ironstar_app::{Caller, CommandContext, CommandError, ListService};
use ironstar_domain::list::{ListCommand, ListError, ListId, ListState};
use ironstar_domain::todo::{TodoCommand, TodoError, TodoId};
use ironstar_domain::{Access, LinkAccess, LinkId, Principal};
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
        self.list(by(ada()), ListCommand::CreateLink { link, access })
            .await
            .expect("created");
        let token = self.links.token_of::<ListState>(&list(), link);
        Caller::anonymous().by_link(Some(self.links.presented(token)))
    }

    async fn revoke(&self, number: u128) -> Position {
        let link = link(number);
        self.list(by(ada()), ListCommand::RevokeLink { link })
            .await
            .expect("revoked")
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

/// The output of a future that must be ready soon.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    let what = tokio::time::timeout(SOON, what);
    what.await.expect("the future is ready soon")
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
            ListCommand::HandOver {
                from: Some(ada()),
                to: bob(),
            },
            ListCommand::RevokeLink { link: link(1) },
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
        assert_eq!(refused, ListError::NotOwner);
        let permit = app.permit(caller.clone(), Access::Read).await;
        assert!(permit.is_some_and(|permit| permit.holds()));
    }
    assert!(app.permit(reader, Access::Edit).await.is_none());
    let demanding = |permit: Option<Permit>, least| permit.expect("let in").demanding(least);
    let permit = app.permit(editor.clone(), Access::Edit).await;
    assert!(demanding(permit, Access::None).holds());
    let permit = app.permit(editor.clone(), Access::Read).await;
    assert!(!demanding(permit, Access::Own).holds());
    let permit = app.permit(editor.clone(), Access::Read).await;
    let lenient = demanding(permit, Access::None);

    let revoked = app.revoke(2).await;
    let holds = soon(lenient.holds_at(revoked)).await;
    assert!(!holds, "the permit demands no less than before");
    let refused = refusal(app.todo(editor, TODO, TodoCommand::Reopen).await);
    assert_eq!(refused, TodoError::NotFound);
}

#[tokio::test(start_paused = true)]
async fn events_record_their_actor() {
    let app = App::with_a_list().await;
    let reader = app.link(1, LinkAccess::Edit).await;
    app.todo(reader, TODO, TodoCommand::Complete)
        .await
        .expect("completed");
    let log = app.world.events.load_after(Position::START, 100).await;
    let actors = log.expect("read").into_iter();
    let actors: Vec<_> = actors
        .filter_map(|event| event.metadata.origin.actor)
        .collect();
    let ada = ada().to_string();
    assert_eq!(actors, [&*ada, &ada, &ada, "anonymous"]);
}

#[tokio::test(start_paused = true)]
async fn lists_are_handed_over_all_together() {
    let app = App::with_a_list().await;
    let archived = ListId::from(Uuid::from_u128(2));
    let (name, owner) = ("Old".parse().expect("valid"), Some(ada()));
    for command in [ListCommand::Create { name, owner }, ListCommand::Archive] {
        let context = context(by(ada()));
        let accepted = app.lists.execute(archived, &command, &context).await;
        accepted.expect("accepted");
    }
    let hand_over = || {
        let context = context(by(bob()));
        let lists = app.lists.clone();
        async move { lists.hand_over_all(ada(), bob(), SOON, &context).await }
    };
    assert_eq!(hand_over().await.expect("handed over"), 2);
    assert_eq!(hand_over().await.expect("handed over"), 0);
    assert_eq!(
        refusal(app.list(by(ada()), rename("Mine")).await),
        ListError::NotFound
    );
    app.list(by(bob()), rename("Mine")).await.expect("renamed");
    app.world.settled(app.lists.model()).await;
    for (owner, count) in [(ada(), 0), (bob(), 1)] {
        for archived in [false, true] {
            let lists = app.lists.lists(&[Some(owner)], archived, 10).await;
            assert_eq!(lists.expect("read").lists.len(), count, "{owner}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn permit_ends_with_its_right_after_many_other_permits_have_ended() {
    let app = App::with_a_list().await;
    let reader = app.link(1, LinkAccess::Read).await;
    let permit = app.permit(reader, Access::Read).await.expect("let in");
    for number in 100..200 {
        let other = ListId::from(Uuid::from_u128(number));
        let other = app
            .gates
            .permit(&Resource::of::<ListState>(&other), by(ada()), Access::None)
            .await;
        assert!(other.expect("read").is_some());
    }
    app.revoke(1).await;
    soon(permit.ended()).await;
    assert!(!permit.holds());
}

#[tokio::test(start_paused = true)]
async fn permit_waits_until_the_gates_have_reached_a_position() {
    let app = App::with_a_list().await;
    let permit = app.permit(by(ada()), Access::Own).await.expect("let in");
    let head = app.world.events.head().await.expect("read");
    let later = permit.holds_at(head.next());
    let waited = tokio::time::timeout(Duration::from_secs(60), later).await;
    assert!(waited.is_err(), "the gates have not reached the position");
    // A permit for the shared list does not wait.
    let shared = Resource::of::<ListState>(&ListId::SHARED);
    let shared = app.gates.permit(&shared, Caller::anonymous(), Access::Edit);
    let shared = shared.await.expect("read").expect("let in");
    assert!(shared.holds_at(head.next()).await);
}

#[tokio::test(start_paused = true)]
async fn unreadable_event_ends_all_permits() {
    let app = App::with_a_list().await;
    let permit = app.permit(by(ada()), Access::Read).await.expect("let in");
    let next = app.world.events.head().await.expect("read").next();
    app.world.log.damage([next]);
    app.world.happens_loudly("1", "happened").await;
    soon(permit.ended()).await;
    // A new permit is granted, because the list itself can be read.
    let permit = app.permit(by(ada()), Access::Read).await.expect("let in");
    assert!(soon(permit.holds_at(next)).await);
}

#[tokio::test(start_paused = true)]
async fn list_that_cannot_be_read_after_a_change_ends_its_permits() {
    let app = App::with_a_list().await;
    let permit = app.permit(by(ada()), Access::Read).await.expect("let in");
    app.world.log.break_streams(true);
    // A new permit is refused, and the existing one still holds.
    let other = app
        .gates
        .permit(&Resource::of::<ListState>(&list()), by(ada()), Access::Read)
        .await;
    assert!(matches!(other, Err(CommandError::Store(_))), "{other:?}");
    assert!(permit.holds());
    app.world.log.break_streams(false);
    // This caller has read the list before its change, and is still waiting.
    let held = app.world.log.hold_next_read();
    let protected = Resource::of::<ListState>(&list());
    let late = app.gates.permit(&protected, by(ada()), Access::Read);
    let change = async {
        tokio::task::yield_now().await;
        app.world.log.break_streams(true);
        let renamed = app.list(by(ada()), rename("Food")).await.expect("renamed");
        soon(permit.ended()).await;
        assert!(!soon(permit.holds_at(renamed)).await && !permit.is_refused());
        drop(held);
        renamed
    };
    let (late, renamed) = tokio::join!(late, change);
    // The state that this caller has read is out of date.
    assert!(matches!(late, Err(CommandError::Store(_))), "{late:?}");
    assert!(!permit.holds());
    app.world.log.break_streams(false);
    let permit = app.permit(by(ada()), Access::Read).await.expect("let in");
    assert!(soon(permit.holds_at(renamed)).await);
}

#[tokio::test(start_paused = true)]
async fn older_read_of_a_list_does_not_replace_a_newer_one() {
    let app = App::with_a_list().await;
    let reader = app.link(1, LinkAccess::Read).await;
    let held = app.world.log.hold_next_read();
    let permit = app.permit(reader, Access::Read);
    let revoke = async {
        let revoked = app.revoke(1).await;
        let ada = app.permit(by(ada()), Access::Own).await.expect("let in");
        assert!(soon(ada.holds_at(revoked)).await);
        drop(held);
    };
    let (permit, ()) = tokio::join!(permit, revoke);
    assert!(permit.is_none());
}

#[tokio::test(start_paused = true)]
async fn handover_on_another_node_is_noticed() {
    let app = App::with_a_list().await;
    // In memory, this handler still has Ada as the owner.
    let elsewhere = handler(app.world.events.clone());
    let elsewhere = ListService::new(elsewhere, app.world.projections.model());
    let to_bob = ListCommand::HandOver {
        from: Some(ada()),
        to: bob(),
    };
    elsewhere
        .execute(list(), &to_bob, &context(by(ada())))
        .await
        .expect("handed over");
    let refused = refusal(app.list(by(ada()), rename("Mine")).await);
    assert_eq!(refused, ListError::NotFound);
    let refused = refusal(app.todo(by(ada()), TODO, TodoCommand::Complete).await);
    assert_eq!(refused, TodoError::NotFound);
}
