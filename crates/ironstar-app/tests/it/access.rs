//! Lists are their owners', and theirs who come by a link.

use std::time::Duration;

use futures::FutureExt;
use ironstar_app::access::{Caller, Gates, Links, Permit};
use ironstar_app::todo::{ListWide, ListWideError, TodoLists, TodoService};
use ironstar_app::{CommandContext, CommandError, ListService};
use ironstar_domain::{
    Access, LinkAccess, LinkId, ListCommand, ListError, ListId, Principal, TodoCommand, TodoError,
    TodoId,
};
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

    /// Lets others in, and answers who has the link.
    async fn link(&self, number: u128, access: LinkAccess) -> Caller {
        let link = link(number);
        self.list(by(ada()), ListCommand::CreateLink { link, access })
            .await
            .expect("created");
        let token = self.links.token(list(), link);
        Caller::anonymous().by_link(Some(self.links.presented(token)))
    }

    async fn revoke(&self, number: u128) -> Position {
        let link = link(number);
        self.list(by(ada()), ListCommand::RevokeLink { link })
            .await
            .expect("revoked")
    }

    async fn permit(&self, caller: Caller, least: Access) -> Option<Permit> {
        let permit = self.gates.permit(list(), caller, least);
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

/// What comes soon, or never.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    let what = tokio::time::timeout(SOON, what);
    what.await.expect("it comes soon")
}

#[tokio::test(start_paused = true)]
async fn to_everyone_else_a_list_and_its_todos_do_not_exist() {
    let app = App::with_a_list().await;
    let guessed = app.links.token(Uuid::from_u128(2).into(), link(1));
    let with_another_link = Caller::anonymous().by_link(Some(app.links.presented(guessed)));
    app.link(1, LinkAccess::Edit).await;
    let head = app.world.events.head().await.expect("read");
    for caller in [Caller::anonymous(), by(bob()), with_another_link] {
        for command in [
            rename("Mine"),
            ListCommand::Archive,
            ListCommand::HandOver { to: bob() },
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
async fn a_deleted_todo_of_a_list_is_as_if_it_had_never_been() {
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
async fn a_link_lets_do_what_it_says_and_no_more() {
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
    assert!(!holds, "it demands no less than before");
    let refused = refusal(app.todo(editor, TODO, TodoCommand::Reopen).await);
    assert_eq!(refused, TodoError::NotFound);
}

#[tokio::test(start_paused = true)]
async fn who_acts_is_recorded() {
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
async fn a_permit_holds_until_the_log_says_otherwise() {
    let app = App::with_a_list().await;
    let reader = app.link(1, LinkAccess::Read).await;
    let permit = app.permit(reader, Access::Read).await.expect("let in");
    let before = app.list(by(ada()), rename("Food")).await.expect("renamed");
    assert!(soon(permit.holds_at(before)).await);
    assert!(permit.ended().now_or_never().is_none());
    assert!(permit.holds() && !permit.is_refused());

    let revoked = app.revoke(1).await;
    // What has happened since waits for what is known of the list.
    assert!(!soon(permit.holds_at(revoked)).await);
    soon(permit.ended()).await;
    assert!(!permit.holds() && permit.is_refused());
}

#[tokio::test(start_paused = true)]
async fn permit_hears_of_its_list_however_many_others_have_come_and_gone() {
    let app = App::with_a_list().await;
    let reader = app.link(1, LinkAccess::Read).await;
    let permit = app.permit(reader, Access::Read).await.expect("let in");
    for number in 100..200 {
        let other = ListId::from(Uuid::from_u128(number));
        let other = app.gates.permit(other, by(ada()), Access::None).await;
        assert!(other.expect("read").is_some());
    }
    app.revoke(1).await;
    soon(permit.ended()).await;
    assert!(!permit.holds());
}

#[tokio::test(start_paused = true)]
async fn a_permit_waits_for_what_is_known_at_a_position() {
    let app = App::with_a_list().await;
    let permit = app.permit(by(ada()), Access::Own).await.expect("let in");
    let head = app.world.events.head().await.expect("read");
    let later = permit.holds_at(head.next());
    let waited = tokio::time::timeout(Duration::from_secs(60), later).await;
    assert!(waited.is_err(), "nobody knows yet");
    // The list that is for everyone needs nobody to wait.
    let shared = app
        .gates
        .permit(ListId::SHARED, Caller::anonymous(), Access::Edit);
    let shared = shared.await.expect("read").expect("let in");
    assert!(shared.holds_at(head.next()).await);
}

#[tokio::test(start_paused = true)]
async fn who_was_shut_out_is_let_in_again_if_they_may() {
    let app = App::with_a_list().await;
    let permit = app.permit(by(ada()), Access::Read).await.expect("let in");
    app.list(by(ada()), ListCommand::HandOver { to: bob() })
        .await
        .expect("handed over");
    soon(permit.ended()).await;
    assert!(app.permit(by(ada()), Access::Read).await.is_none());
    let back = app
        .list(by(bob()), ListCommand::HandOver { to: ada() })
        .await;
    let permit = app.permit(by(ada()), Access::Read).await.expect("let in");
    assert!(soon(permit.holds_at(back.expect("handed over"))).await);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_read_shuts_everyone_out() {
    let app = App::with_a_list().await;
    let permit = app.permit(by(ada()), Access::Read).await.expect("let in");
    let next = app.world.events.head().await.expect("read").next();
    app.world.log.damage([next]);
    app.world.happens_loudly("1", "happened").await;
    soon(permit.ended()).await;
    // Who asks anew is let in, for the list itself can be read.
    let permit = app.permit(by(ada()), Access::Read).await.expect("let in");
    assert!(soon(permit.holds_at(next)).await);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_read_when_it_has_changed_shuts_everyone_out() {
    let app = App::with_a_list().await;
    let permit = app.permit(by(ada()), Access::Read).await.expect("let in");
    app.world.log.break_streams(true);
    // Who comes now is not let in, and that is all.
    let other = app.gates.permit(list(), by(ada()), Access::Read).await;
    assert!(matches!(other, Err(CommandError::Store(_))), "{other:?}");
    assert!(permit.holds());
    app.world.log.break_streams(false);
    // Somebody has read it before it changed, and is not done.
    let held = app.world.log.hold_next_read();
    let late = app.gates.permit(list(), by(ada()), Access::Read);
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
    // What it has read is out of date.
    assert!(matches!(late, Err(CommandError::Store(_))), "{late:?}");
    assert!(!permit.holds());
    app.world.log.break_streams(false);
    let permit = app.permit(by(ada()), Access::Read).await.expect("let in");
    assert!(soon(permit.holds_at(renamed)).await);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_before_does_not_count_once_more_is_known() {
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
async fn a_change_of_hands_in_between_is_noticed() {
    let app = App::with_a_list().await;
    // In memory, the handler still knows the list as Ada's.
    let elsewhere = handler(app.world.events.clone());
    let elsewhere = ListService::new(elsewhere, app.world.projections.model());
    let to_bob = ListCommand::HandOver { to: bob() };
    elsewhere
        .execute(list(), &to_bob, &context(by(ada())))
        .await
        .expect("handed over");
    let refused = refusal(app.list(by(ada()), rename("Mine")).await);
    assert_eq!(refused, ListError::NotFound);
    let refused = refusal(app.todo(by(ada()), TODO, TodoCommand::Complete).await);
    assert_eq!(refused, TodoError::NotFound);
}
