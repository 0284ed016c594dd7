use serde_json::json;

use super::{
    ListCommand, ListDetails, ListError, ListEvent, ListId, ListName, ListNameError, ListState,
};
use crate::test_kit::{given, stored};
use crate::{
    Access, Aggregate, DomainError, ErrorKind, LineError, LinkAccess, LinkId, Owned, OwnedEvent,
    Ownership, OwnershipCommand, OwnershipError, OwnershipEvent, Principal,
};

mod properties;

type Event = OwnedEvent<ListEvent>;

fn name(name: &str) -> ListName {
    name.parse().expect("a valid name")
}

fn guest() -> Principal {
    Principal::Guest(uuid::Uuid::from_u128(1).into())
}

fn user() -> Principal {
    Principal::User(uuid::Uuid::from_u128(1).into())
}

fn create() -> ListCommand {
    ListCommand::Create {
        name: name("Groceries"),
        owner: Some(guest()),
    }
}

fn created() -> Event {
    created_by(Some(guest()), "Groceries")
}

fn created_by(owner: Option<Principal>, called: &str) -> Event {
    let name = name(called);
    ListEvent::Created { name, owner }.into()
}

fn details(called: &str) -> ListDetails {
    ListDetails {
        name: name(called),
        ownership: Ownership::of(Some(guest())),
    }
}

fn link(number: u128) -> LinkId {
    uuid::Uuid::from_u128(number).into()
}

fn hand_over(from: Principal, to: Principal) -> ListCommand {
    let from = Some(from);
    OwnershipCommand::HandOver { from, to }.into()
}

fn create_link(number: u128, access: LinkAccess) -> ListCommand {
    let link = link(number);
    OwnershipCommand::CreateLink { link, access }.into()
}

fn link_created(number: u128, access: LinkAccess) -> Event {
    let link = link(number);
    OwnedEvent::Ownership(OwnershipEvent::LinkCreated { link, access })
}

fn revoke_link(number: u128) -> ListCommand {
    let link = link(number);
    OwnershipCommand::RevokeLink { link }.into()
}

fn link_revoked(number: u128) -> Event {
    let link = link(number);
    OwnedEvent::Ownership(OwnershipEvent::LinkRevoked { link })
}

fn rename(to: &str) -> ListCommand {
    ListCommand::Rename { name: name(to) }
}

fn renamed(to: &str) -> Event {
    ListEvent::Renamed { name: name(to) }.into()
}

fn archived() -> Event {
    ListEvent::Archived.into()
}

fn restored() -> Event {
    ListEvent::Restored.into()
}

fn handed_over() -> Event {
    OwnedEvent::Ownership(OwnershipEvent::HandedOver { to: user() })
}

fn refused(error: OwnershipError) -> ListError {
    ListError::Ownership(error)
}

#[test]
fn a_list_lives_through_its_whole_life() {
    given::<ListState>([])
        .then_state(ListState::NotCreated)
        .when(create())
        .then([created()])
        .and_state(ListState::Open(details("Groceries")))
        .and_when(rename("Food"))
        .then([renamed("Food")])
        .and_when(ListCommand::Archive)
        .then([archived()])
        .and_state(ListState::Archived(details("Food")))
        .and_when(ListCommand::Restore)
        .then([restored()])
        .and_state(ListState::Open(details("Food")));
}

#[test]
fn existing_list_refuses_creation_in_any_state() {
    for past in [
        vec![created()],
        vec![created(), archived()],
        vec![created(), archived(), restored()],
    ] {
        given::<ListState>(past)
            .when(create())
            .then_refused(ListError::AlreadyExists);
    }
}

#[test]
fn list_without_events_is_not_found() {
    for command in [
        rename("Food"),
        ListCommand::Archive,
        ListCommand::Restore,
        hand_over(guest(), user()),
        create_link(1, LinkAccess::Read),
        revoke_link(1),
    ] {
        given::<ListState>([])
            .when(command)
            .then_refused(ListError::NotFound);
    }
}

#[test]
fn archived_list_refuses_changes_until_it_is_restored() {
    for command in [
        rename("Food"),
        rename("Groceries"),
        ListCommand::Archive,
        create_link(1, LinkAccess::Read),
    ] {
        given::<ListState>([created(), archived()])
            .when(command)
            .then_refused(ListError::Archived)
            .and_when(ListCommand::Restore)
            .then([restored()]);
    }
}

#[test]
fn open_list_cannot_be_restored_and_ignores_its_own_name() {
    given::<ListState>([created()])
        .when(ListCommand::Restore)
        .then_refused(ListError::NotArchived)
        .and_when(rename("Groceries"))
        .then_nothing()
        .and_when(rename("Food"))
        .then([renamed("Food")])
        .and_when(rename("Food"))
        .then_nothing();
}

#[test]
fn impossible_event_leaves_the_state_unchanged() {
    given::<ListState>([renamed("x"), archived(), restored()])
        .then_state(ListState::NotCreated)
        .and([created(), restored(), created_by(None, "x")])
        .then_state(ListState::Open(details("Groceries")))
        .and([archived(), renamed("x"), created(), archived()])
        .then_state(ListState::Archived(details("Groceries")));
}

#[test]
fn open_or_archived_list_can_be_handed_over() {
    let to_user = || hand_over(guest(), user());
    for past in [vec![created()], vec![created(), archived()]] {
        given::<ListState>(past)
            .when(hand_over(guest(), guest()))
            .then_nothing()
            .and_when(hand_over(user(), guest()))
            .then_nothing()
            .and_when(to_user())
            .then([handed_over()])
            .and_when(to_user())
            .then_nothing();
    }
}

#[test]
fn link_gives_access_until_it_is_revoked() {
    let (read, edit) = (LinkAccess::Read, LinkAccess::Edit);
    given::<ListState>([created()])
        .when(create_link(1, read))
        .then([link_created(1, read)])
        .and_when(create_link(1, edit))
        .then_refused(refused(OwnershipError::LinkAlreadyExists))
        .and_when(create_link(2, edit))
        .then([link_created(2, edit)])
        .and_when(revoke_link(3))
        .then_refused(refused(OwnershipError::NoSuchLink { noun: "a list" }))
        .and_when(ListCommand::Archive)
        .then([archived()])
        .and_when(revoke_link(1))
        .then([link_revoked(1)])
        .and_when(revoke_link(1))
        .then_refused(refused(OwnershipError::NoSuchLink { noun: "a list" }))
        .and_state(ListState::Archived(ListDetails {
            ownership: details("Groceries")
                .ownership
                .apply(&OwnershipEvent::LinkCreated {
                    link: link(2),
                    access: edit,
                }),
            ..details("Groceries")
        }));
}

#[test]
fn list_is_owned_from_its_creation_on() {
    assert_eq!(ListState::default().ownership(), None);
    let open = ListState::fold(&[created()]);
    let ownership = Ownership::of(Some(guest()));
    assert_eq!(open.ownership(), Some(&ownership));
    let archived = open.apply(&archived());
    assert_eq!(archived.ownership(), Some(&ownership));
    let handed_over = archived.apply(&handed_over());
    let ownership = Ownership::of(Some(user()));
    assert_eq!(handed_over.ownership(), Some(&ownership));
}

#[test]
fn shared_list_alone_is_open_to_all() {
    let open_to_all = ListState::open_to_all(&ListId::SHARED);
    assert_eq!(open_to_all, Some(Access::Edit));
    let other = uuid::Uuid::from_u128(1).into();
    assert_eq!(ListState::open_to_all(&other), None);
    assert_eq!(ListState::earliest_parent(), None);
}

#[test]
fn list_that_is_not_found_may_be_hidden_and_no_other_refusal_hides_one() {
    assert!(ListError::NotFound.refusal().may_hide);
    for truth in [
        refused(OwnershipError::NoSuchLink { noun: "a list" }),
        ListState::not_owner(),
        ListError::Archived,
    ] {
        assert!(!truth.refusal().may_hide, "{truth:?}");
    }
}

#[test]
fn list_has_no_parent() {
    assert_eq!(ListState::fold(&[created()]).parent(), None);
}

#[test]
fn refusal_has_a_kind_and_a_code() {
    for (error, kind, code) in [
        (
            ListError::AlreadyExists,
            ErrorKind::Conflict,
            "list-already-exists",
        ),
        (ListError::NotFound, ErrorKind::NotFound, "list-not-found"),
        (ListError::Archived, ErrorKind::Conflict, "list-archived"),
        (
            ListError::NotArchived,
            ErrorKind::Conflict,
            "list-not-archived",
        ),
        (ListError::Shared, ErrorKind::Conflict, "list-shared"),
    ] {
        let refusal = error.refusal();
        assert_eq!((refusal.kind, refusal.code), (kind, code));
    }
}

#[test]
fn refusal_of_the_ownership_is_told_of_the_list() {
    let noun = "a list";
    for (error, kind, code, text) in [
        (
            OwnershipError::NotOwner { noun },
            ErrorKind::Forbidden,
            "not-the-owner",
            "only the owner of this list can do that",
        ),
        (
            OwnershipError::LinkAlreadyExists,
            ErrorKind::Conflict,
            "link-already-exists",
            "this link already exists",
        ),
        (
            OwnershipError::TooManyLinks { noun },
            ErrorKind::Conflict,
            "too-many-links",
            "a list has at most 20 links; revoke one that is not needed any more",
        ),
        (
            OwnershipError::NoSuchLink { noun },
            ErrorKind::NotFound,
            "link-not-found",
            "this list has no such link",
        ),
    ] {
        let error = refused(error);
        let refusal = error.refusal();
        assert_eq!((refusal.kind, refusal.code), (kind, code));
        assert_eq!(error.to_string(), text);
    }
    let not_owner = ListState::not_owner();
    assert_eq!(not_owner, refused(OwnershipError::NotOwner { noun }));
    let text = "only the owner of this list can do that";
    assert_eq!(not_owner.to_string(), text);
}

#[test]
fn a_name_is_a_line_of_at_most_100_characters() {
    assert_eq!(name("  Groceries\n").as_str(), "Groceries");
    assert_eq!(name("Groceries").to_string(), "Groceries");
    assert!("ü".repeat(100).parse::<ListName>().is_ok());
    let character = '\r';
    for (malformed, error) in [
        (
            "ü".repeat(101),
            LineError::TooLong {
                max: 100,
                chars: 101,
            },
        ),
        (" \u{200b}".to_owned(), LineError::Empty),
        ("a\rb".to_owned(), LineError::ControlCharacter { character }),
    ] {
        assert_eq!(malformed.parse::<ListName>(), Err(ListNameError(error)));
    }
    let error = ListNameError(LineError::Empty);
    assert_eq!(error.to_string(), "the name of a list must not be empty");
}

#[test]
fn stored_name_with_a_control_character_is_refused() {
    stored::<Event>("created", 1, json!({"type": "created", "name": "a\rb"})).is_refused();
}

#[test]
fn created_list_has_details() {
    assert_eq!(ListState::default().details(), None);
    for then in [vec![], vec![archived()]] {
        let state = ListState::fold([&created()].into_iter().chain(&then));
        assert_eq!(state.details(), Some(&details("Groceries")));
    }
}

#[test]
fn list_of_version_1_is_lifted_to_a_list_of_everyone() {
    let mut fields = json!({"name": "Groceries"});
    let fields = fields.as_object_mut().expect("an object");
    super::created_belongs_to_everyone(fields).expect("lifted");
    assert_eq!(fields["owner"], json!(null));
}
