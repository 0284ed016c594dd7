//! Notes are visible to their owners, and to callers with one of their links.

use std::sync::Arc;
use std::time::Duration;

use ironstar_app::access::{Gates, Permit, Resource};
use ironstar_app::caller::Links;
use ironstar_app::{Caller, CommandContext, CommandError, CommandHandler, hand_over_by};
use ironstar_domain::{
    Access, DomainEvent, LinkAccess, LinkId, Owned, OwnershipCommand, OwnershipEvent, Principal,
};
use ironstar_fixtures::note::{self, NoteCommand, NoteError, NoteState};
use ironstar_fixtures::notes::NoteProjection;
use ironstar_fixtures::remark::{RemarkCommand, RemarkState};
use ironstar_ports::{
    Append, DocumentPage, EventStore, ExpectedSequence, Metadata, NewEvent, Payload, Position,
    StreamId,
};
use uuid::Uuid;

use crate::support::{SOON, TestStore, World, handler};

/// The commands of an application, and the gates of its notes.
struct App {
    world: World,
    commands: CommandHandler,
    gates: Gates,
    links: Links,
}

impl App {
    /// An application with a note of Ada's.
    async fn new() -> Self {
        let world = World::new().await;
        let app = Self {
            commands: handler(world.events.clone()),
            gates: Gates::start(handler(world.log.clone()), &world.feed),
            links: Links::new([7; 32]),
            world,
        };
        app.create(NOTE).await;
        app
    }

    /// Ada creates a note.
    async fn create(&self, id: Uuid) {
        let (text, owner) = ("Groceries".to_owned(), Some(ada()));
        let create = NoteCommand::Create { text, owner };
        let context = context(by(ada()));
        let created = self
            .commands
            .create_owned::<NoteState>(&id, &create, &context);
        created.await.expect("created");
    }

    async fn note(
        &self,
        caller: Caller,
        command: NoteCommand,
    ) -> Result<Position, CommandError<NoteError>> {
        let context = context(caller);
        let accepted = self
            .commands
            .execute_as_owner::<NoteState>(&NOTE, &command, &context);
        Ok(accepted.await?.place.position)
    }

    /// Creates a link, and returns a caller that presents it.
    async fn link(&self, number: u128, access: LinkAccess) -> Caller {
        let link = link(number);
        let create = OwnershipCommand::CreateLink { link, access };
        self.note(by(ada()), create.into()).await.expect("created");
        let token = self.links.token_of::<NoteState>(&NOTE, link);
        Caller::anonymous().by_link(Some(self.links.presented(token)))
    }

    async fn revoke(&self, number: u128) -> Position {
        let link = link(number);
        let revoke = OwnershipCommand::RevokeLink { link };
        self.note(by(ada()), revoke.into()).await.expect("revoked")
    }

    async fn permit(&self, caller: Caller, least: Access) -> Option<Permit> {
        let note = Resource::of::<NoteState>(&NOTE);
        let permit = self.gates.permit(&note, caller, least);
        permit.await.expect("the note can be read")
    }
}

const NOTE: Uuid = Uuid::from_u128(1);

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

fn rewrite(text: &str) -> NoteCommand {
    let text = text.to_owned();
    NoteCommand::Rewrite { text }
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
async fn note_does_not_exist_for_callers_without_a_right() {
    let app = App::new().await;
    let guessed = app
        .links
        .token_of::<NoteState>(&Uuid::from_u128(2), link(1));
    let with_another_link = Caller::anonymous().by_link(Some(app.links.presented(guessed)));
    app.link(1, LinkAccess::Edit).await;
    let head = app.world.events.head().await.expect("read");
    for caller in [Caller::anonymous(), by(bob()), with_another_link] {
        for command in [
            rewrite("Mine"),
            OwnershipCommand::HandOver {
                from: Some(ada()),
                to: bob(),
            }
            .into(),
            OwnershipCommand::RevokeLink { link: link(1) }.into(),
        ] {
            let refused = refusal(app.note(caller.clone(), command).await);
            assert_eq!(refused, NoteError::NotFound);
        }
        assert!(app.permit(caller, Access::Read).await.is_none());
    }
    assert_eq!(app.world.events.head().await.expect("read"), head);
}

#[tokio::test(start_paused = true)]
async fn note_that_is_open_to_all_gets_no_owner() {
    let app = App::new().await;
    let head = app.world.events.head().await.expect("read");
    let (text, owner) = ("Mine".to_owned(), Some(ada()));
    let (create, context) = (NoteCommand::Create { text, owner }, context(by(ada())));
    let created = app
        .commands
        .create_owned::<NoteState>(&note::OPEN, &create, &context);
    assert_eq!(refusal(created.await), NoteState::not_owner());
    assert_eq!(app.world.events.head().await.expect("read"), head);
}

#[tokio::test(start_paused = true)]
async fn link_gives_its_own_right_and_no_more() {
    let app = App::new().await;
    let reader = app.link(1, LinkAccess::Read).await;
    let editor = app.link(2, LinkAccess::Edit).await;
    for caller in [&reader, &editor] {
        let refused = refusal(app.note(caller.clone(), rewrite("Mine")).await);
        assert_eq!(refused, NoteState::not_owner());
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
    let refused = refusal(app.note(editor, rewrite("Mine")).await);
    assert_eq!(refused, NoteError::NotFound);
}

#[tokio::test(start_paused = true)]
async fn events_record_their_actor() {
    let app = App::new().await;
    let reader = app.link(1, LinkAccess::Edit).await;
    let remark = Uuid::from_u128(7);
    let create = RemarkCommand::Create {
        note: NOTE,
        text: "Buy milk".to_owned(),
    };
    for (caller, command) in [(by(ada()), create), (reader, RemarkCommand::Close)] {
        let context = context(caller);
        let done = app
            .commands
            .execute::<RemarkState>(&remark, &command, &context);
        done.await.expect("accepted");
    }
    let log = app.world.events.load_after(Position::START, 100).await;
    let actors = log.expect("read").into_iter();
    let actors: Vec<_> = actors
        .filter_map(|event| event.metadata.origin.actor)
        .collect();
    let ada = ada().to_string();
    assert_eq!(actors, [&*ada, &ada, &ada, "anonymous"]);
}

#[tokio::test(start_paused = true)]
async fn notes_are_handed_over_all_together() {
    let app = App::new().await;
    app.create(Uuid::from_u128(2)).await;
    let notes = hand_over_by::<NoteProjection>(&app.commands, &app.world.projections);
    let hand_over = async || {
        let before = app.world.events.head().await.expect("read");
        let handed_over = notes.hand_over(ada(), bob(), &context(by(bob()))).await;
        handed_over.expect("handed over");
        app.world.events.head().await.expect("read").get() - before.get()
    };
    assert_eq!(hand_over().await, 2);
    assert_eq!(hand_over().await, 0);
    assert_eq!(
        refusal(app.note(by(ada()), rewrite("Mine")).await),
        NoteError::NotFound
    );
    app.note(by(bob()), rewrite("Mine"))
        .await
        .expect("rewritten");
    let model = app.world.projections.model::<NoteProjection>();
    app.world.settled(&model).await;
    for (owner, count) in [(ada(), 0), (bob(), 2)] {
        let page = DocumentPage {
            collections: vec![owner.to_string()],
            after: None,
            limit: 10,
        };
        let notes = model.find(Vec::new(), Some(page)).await.expect("read");
        assert_eq!(notes.page.len(), count, "{owner}");
    }
}

#[tokio::test(start_paused = true)]
async fn permit_ends_with_its_right_after_many_other_permits_have_ended() {
    let app = App::new().await;
    let reader = app.link(1, LinkAccess::Read).await;
    let permit = app.permit(reader, Access::Read).await.expect("let in");
    for number in 100..200 {
        let other = Uuid::from_u128(number);
        let other = app
            .gates
            .permit(&Resource::of::<NoteState>(&other), by(ada()), Access::None)
            .await;
        assert!(other.expect("read").is_some());
    }
    app.revoke(1).await;
    soon(permit.ended()).await;
    assert!(!permit.holds());
}

#[tokio::test(start_paused = true)]
async fn permit_waits_until_the_gates_have_reached_a_position() {
    let app = App::new().await;
    let permit = app.permit(by(ada()), Access::Own).await.expect("let in");
    let head = app.world.events.head().await.expect("read");
    let later = permit.holds_at(head.next());
    let waited = tokio::time::timeout(Duration::from_secs(60), later).await;
    assert!(waited.is_err(), "the gates have not reached the position");
    // A permit for the open note does not wait.
    let open = Resource::of::<NoteState>(&note::OPEN);
    let open = app.gates.permit(&open, Caller::anonymous(), Access::Edit);
    let open = open.await.expect("read").expect("let in");
    assert!(open.holds_at(head.next()).await);
}

#[tokio::test(start_paused = true)]
async fn unreadable_event_ends_all_permits() {
    let app = App::new().await;
    let permit = app.permit(by(ada()), Access::Read).await.expect("let in");
    let next = app.world.events.head().await.expect("read").next();
    app.world.log.damage([next]);
    app.world.happens_loudly("1", "happened").await;
    soon(permit.ended()).await;
    // A new permit is granted, because the note itself can be read.
    let permit = app.permit(by(ada()), Access::Read).await.expect("let in");
    assert!(soon(permit.holds_at(next)).await);
}

#[tokio::test(start_paused = true)]
async fn note_that_cannot_be_read_after_a_change_ends_its_permits() {
    let app = App::new().await;
    let permit = app.permit(by(ada()), Access::Read).await.expect("let in");
    app.world.log.break_streams(true);
    // A new permit is refused, and the existing one still holds.
    let other = app
        .gates
        .permit(&Resource::of::<NoteState>(&NOTE), by(ada()), Access::Read)
        .await;
    assert!(matches!(other, Err(CommandError::Store(_))), "{other:?}");
    assert!(permit.holds());
    app.world.log.break_streams(false);
    // This caller has read the note before its change, and is still waiting.
    let held = app.world.log.hold_next_read();
    let protected = Resource::of::<NoteState>(&NOTE);
    let late = app.gates.permit(&protected, by(ada()), Access::Read);
    let change = async {
        tokio::task::yield_now().await;
        app.world.log.break_streams(true);
        let rewritten = app
            .note(by(ada()), rewrite("Food"))
            .await
            .expect("rewritten");
        soon(permit.ended()).await;
        assert!(!soon(permit.holds_at(rewritten)).await && !permit.is_refused());
        drop(held);
        rewritten
    };
    let (late, rewritten) = tokio::join!(late, change);
    // The state that this caller has read is out of date.
    assert!(matches!(late, Err(CommandError::Store(_))), "{late:?}");
    assert!(!permit.holds());
    app.world.log.break_streams(false);
    let permit = app.permit(by(ada()), Access::Read).await.expect("let in");
    assert!(soon(permit.holds_at(rewritten)).await);
}

#[tokio::test(start_paused = true)]
async fn older_read_of_a_note_does_not_replace_a_newer_one() {
    let app = App::new().await;
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
async fn note_that_is_handed_over_at_the_last_moment_refuses_its_former_owner() {
    let app = App::new().await;
    let meddle = |note: &StreamId| {
        let event = OwnershipEvent::HandedOver { to: bob() };
        let event = NewEvent {
            event_type: event.event_type().to_owned(),
            schema_version: event.schema_version(),
            payload: Payload::of(&event).expect("JSON"),
            metadata: Metadata::new(Uuid::nil()),
        };
        Append::to_stream(note.clone(), ExpectedSequence::Any, vec![event])
    };
    let store = TestStore::meddled(app.world.events.clone(), 1, meddle);
    let commands = handler(Arc::new(store));
    let app = App { commands, ..app };
    let refused = refusal(app.note(by(ada()), rewrite("Mine")).await);
    assert_eq!(refused, NoteError::NotFound);
    app.note(by(bob()), rewrite("Mine"))
        .await
        .expect("rewritten");
}

#[tokio::test(start_paused = true)]
async fn handover_on_another_node_is_noticed() {
    let app = App::new().await;
    // In memory, this handler still has Ada as the owner.
    let elsewhere = handler(app.world.events.clone());
    let to_bob = OwnershipCommand::HandOver {
        from: Some(ada()),
        to: bob(),
    };
    elsewhere
        .execute_as_owner::<NoteState>(&NOTE, &to_bob.into(), &context(by(ada())))
        .await
        .expect("handed over");
    let refused = refusal(app.note(by(ada()), rewrite("Mine")).await);
    assert_eq!(refused, NoteError::NotFound);
}
