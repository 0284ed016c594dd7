//! The documents of lists, the audience of their events, their hand-over, and the shared list.

use ironstar_app::features::FEATURES;
use ironstar_app::list::{ListItem, ListProjection};
use ironstar_app::test_kit::{Happened, given, happened};
use ironstar_app::{Caller, CommandContext, CommandError, ListService, hand_over_by};
use ironstar_domain::list::{ListCommand, ListError, ListEvent, ListId, ListState};
use ironstar_domain::{Link, LinkAccess, LinkId, OwnedEvent, OwnershipEvent, Principal};
use ironstar_fixtures::note::NoteState;
use ironstar_ports::{EventStore, Position};
use uuid::Uuid;

use crate::audiences::{ID, audience};
use crate::owned::privacy::check_privacy;
use crate::owned::sign_in::check_sign_in;
use crate::owned::specimen::Specimen;
use crate::support::{World, handler};

fn list_id(number: u128) -> ListId {
    Uuid::from_u128(number).into()
}

/// An event of the first list.
fn list(event: impl Into<OwnedEvent<ListEvent>>) -> Happened {
    happened::<ListState>(list_id(1), event)
}

#[test]
fn list_document_follows_its_events() {
    let id = list_id(1);
    let name = |name: &str| name.parse().expect("valid");
    let item = |called: &str, archived| {
        let item = ListItem {
            id,
            name: name(called),
            owner: None,
            links: vec![],
            archived,
            created: Position::new(1),
        };
        (id.to_string(), item)
    };
    let created = || ListEvent::Created {
        name: name("Food"),
        owner: None,
    };
    let view = given([list(created())])
        .view::<ListProjection>()
        .then([item("Food", false)])
        .and([list(ListEvent::Renamed { name: name("Fun") })])
        .then([item("Fun", false)])
        .and([list(ListEvent::Archived)])
        .then([item("Fun", true)]);
    assert_eq!(view.listed("archived"), [&item("Fun", true).1]);
    let link = |number: u128| LinkId::from(Uuid::from_u128(number));
    let access = LinkAccess::Read;
    let linked = |number| {
        list(OwnedEvent::Ownership(OwnershipEvent::LinkCreated {
            link: link(number),
            access,
        }))
    };
    let revoked = |number| {
        let link = link(number);
        list(OwnedEvent::Ownership(OwnershipEvent::LinkRevoked { link }))
    };
    let (id, shown) = item("Fun", true);
    let links = vec![Link {
        id: link(2),
        access,
    }];
    let view = view
        .and([linked(1), linked(2), revoked(1)])
        .then([(id, ListItem { links, ..shown })])
        .and([revoked(2)])
        .then([item("Fun", true)]);
    view.and([list(ListEvent::Restored)])
        .then([item("Fun", false)])
        .and([list(created())])
        .then([item("Fun", false)])
        .and([happened::<ListState>(list_id(2), ListEvent::Archived)])
        .then([item("Fun", false)]);
}

#[test]
fn event_of_a_list_has_the_audience_of_the_list() {
    let audience = audience(&FEATURES.audiences(), "List", None);
    assert_eq!(audience, format!("List {ID}"));
}

#[tokio::test(start_paused = true)]
async fn shared_list_takes_no_list_command() {
    let world = World::new().await;
    let lists = ListService::new(handler(world.events.clone()), world.projections.model());
    let context = CommandContext::default();
    let name = || "Food".parse().expect("valid");
    for command in [
        ListCommand::Create {
            name: name(),
            owner: None,
        },
        ListCommand::Rename { name: name() },
        ListCommand::Archive,
    ] {
        let refused = lists.execute(ListId::SHARED, &command, &context).await;
        let refused = refused.expect_err("the shared list does not change");
        assert!(
            matches!(refused, CommandError::Refused(ListError::Shared)),
            "{refused}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn open_and_archived_lists_are_handed_over_all_together() {
    let world = World::new().await;
    let commands = handler(world.events.clone());
    let lists = ListService::new(commands.clone(), world.projections.model());
    let ada = Principal::User(Uuid::from_u128(1).into());
    let bob = Principal::Guest(Uuid::from_u128(1).into());
    let by = |principal| CommandContext {
        caller: Caller::of(vec![principal]),
        ..CommandContext::default()
    };
    let name = |name: &str| name.parse().expect("valid");
    let create = |text| ListCommand::Create {
        name: name(text),
        owner: Some(ada),
    };
    for (id, command) in [
        (list_id(1), create("Groceries")),
        (list_id(2), create("Old")),
        (list_id(2), ListCommand::Archive),
    ] {
        let accepted = lists.execute(id, &command, &by(ada)).await;
        accepted.expect("accepted");
    }
    let all = hand_over_by::<ListProjection>(&commands, &world.projections);
    let hand_over = async || {
        let before = world.events.head().await.expect("read");
        let handed_over = all.hand_over(ada, bob, &by(bob)).await;
        handed_over.expect("handed over");
        world.events.head().await.expect("read").get() - before.get()
    };
    assert_eq!(hand_over().await, 2);
    assert_eq!(hand_over().await, 0);
    let rename = ListCommand::Rename { name: name("Mine") };
    let refused = lists.execute(list_id(1), &rename, &by(ada)).await;
    let refused = refused.expect_err("the list belongs to Bob");
    assert!(
        matches!(refused, CommandError::Refused(ListError::NotFound)),
        "{refused}"
    );
    let renamed = lists.execute(list_id(1), &rename, &by(bob)).await;
    renamed.expect("renamed");
    world.settled(lists.model()).await;
    for (owner, count) in [(ada, 0), (bob, 1)] {
        for archived in [false, true] {
            let page = lists.lists(&[Some(owner)], archived, 10).await;
            assert_eq!(page.expect("read").lists.len(), count, "{owner}");
        }
    }
}

impl Specimen for ListState {
    fn create(text: &str, owner: Option<Principal>) -> ListCommand {
        let name = text.parse().expect("a name");
        ListCommand::Create { name, owner }
    }

    fn rename(text: &str) -> ListCommand {
        let name = text.parse().expect("a name");
        ListCommand::Rename { name }
    }
}

#[test]
fn caller_has_exactly_its_rights_to_a_list() {
    check_privacy::<ListState, NoteState>();
}

#[tokio::test(start_paused = true)]
async fn user_gets_the_lists_of_the_guest() {
    check_sign_in::<ListProjection>().await;
}
