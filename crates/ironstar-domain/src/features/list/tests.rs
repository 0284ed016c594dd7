use proptest::prelude::*;
use serde_json::json;

use super::{
    Link, LinkAccess, LinkId, ListCommand, ListDetails, ListError, ListEvent, ListId, ListName,
    ListNameError, ListState,
};
use crate::test_kit::{check_golden_files, check_laws, given, history, stored};
use crate::{Access, Aggregate, DomainError, ErrorKind, LineError, Owned, Ownership, Principal};

const GOLDEN_FILES: &[(&str, u32, &str)] = &[
    ("created", 1, include_str!("golden/created.v1.json")),
    ("created", 2, include_str!("golden/created.v2.json")),
    (
        "created",
        2,
        include_str!("golden/created.v2.by_a_user.json"),
    ),
    (
        "created",
        2,
        include_str!("golden/created.v2.of_everyone.json"),
    ),
    (
        "created",
        2,
        include_str!("golden/created.v2.by_older_rules.json"),
    ),
    ("handed_over", 1, include_str!("golden/handed_over.v1.json")),
    (
        "link_created",
        1,
        include_str!("golden/link_created.v1.json"),
    ),
    (
        "link_created",
        1,
        include_str!("golden/link_created.v1.to_edit.json"),
    ),
    (
        "link_revoked",
        1,
        include_str!("golden/link_revoked.v1.json"),
    ),
    ("renamed", 1, include_str!("golden/renamed.v1.json")),
    (
        "renamed",
        1,
        include_str!("golden/renamed.v1.by_older_rules.json"),
    ),
    ("archived", 1, include_str!("golden/archived.v1.json")),
    ("restored", 1, include_str!("golden/restored.v1.json")),
];

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

fn created() -> ListEvent {
    ListEvent::Created {
        name: name("Groceries"),
        owner: Some(guest()),
    }
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
    ListCommand::HandOver { from, to }
}

fn create_link(number: u128, access: LinkAccess) -> ListCommand {
    let link = link(number);
    ListCommand::CreateLink { link, access }
}

fn link_created(number: u128, access: LinkAccess) -> ListEvent {
    let link = link(number);
    ListEvent::LinkCreated { link, access }
}

fn revoke_link(number: u128) -> ListCommand {
    let link = link(number);
    ListCommand::RevokeLink { link }
}

fn link_revoked(number: u128) -> ListEvent {
    let link = link(number);
    ListEvent::LinkRevoked { link }
}

fn rename(to: &str) -> ListCommand {
    ListCommand::Rename { name: name(to) }
}

fn renamed(to: &str) -> ListEvent {
    ListEvent::Renamed { name: name(to) }
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
        .then([ListEvent::Archived])
        .and_state(ListState::Archived(details("Food")))
        .and_when(ListCommand::Restore)
        .then([ListEvent::Restored])
        .and_state(ListState::Open(details("Food")));
}

#[test]
fn existing_list_refuses_creation_in_any_state() {
    for past in [
        vec![created()],
        vec![created(), ListEvent::Archived],
        vec![created(), ListEvent::Archived, ListEvent::Restored],
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
        given::<ListState>([created(), ListEvent::Archived])
            .when(command)
            .then_refused(ListError::Archived)
            .and_when(ListCommand::Restore)
            .then([ListEvent::Restored]);
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
    given::<ListState>([renamed("x"), ListEvent::Archived, ListEvent::Restored])
        .then_state(ListState::NotCreated)
        .and([
            created(),
            ListEvent::Restored,
            ListEvent::Created {
                name: name("x"),
                owner: None,
            },
        ])
        .then_state(ListState::Open(details("Groceries")))
        .and([
            ListEvent::Archived,
            renamed("x"),
            created(),
            ListEvent::Archived,
        ])
        .then_state(ListState::Archived(details("Groceries")));
}

#[test]
fn open_or_archived_list_can_be_handed_over() {
    let to_user = || hand_over(guest(), user());
    let handed_over = ListEvent::HandedOver { to: user() };
    for past in [vec![created()], vec![created(), ListEvent::Archived]] {
        given::<ListState>(past)
            .when(hand_over(guest(), guest()))
            .then_nothing()
            .and_when(hand_over(user(), guest()))
            .then_nothing()
            .and_when(to_user())
            .then([handed_over.clone()])
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
        .then_refused(ListError::LinkAlreadyExists)
        .and_when(create_link(2, edit))
        .then([link_created(2, edit)])
        .and_when(revoke_link(3))
        .then_refused(ListError::NoSuchLink)
        .and_when(ListCommand::Archive)
        .then([ListEvent::Archived])
        .and_when(revoke_link(1))
        .then([link_revoked(1)])
        .and_when(revoke_link(1))
        .then_refused(ListError::NoSuchLink)
        .and_state(ListState::Archived(ListDetails {
            ownership: details("Groceries").ownership.with_link(Link {
                id: link(2),
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
    let archived = open.apply(&ListEvent::Archived);
    assert_eq!(archived.ownership(), Some(&ownership));
    let handed_over = archived.apply(&ListEvent::HandedOver { to: user() });
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
        ListError::NoSuchLink,
        ListError::NotOwner,
        ListError::Archived,
    ] {
        assert!(!truth.refusal().may_hide, "{truth:?}");
    }
}

#[test]
fn list_refuses_more_links_than_the_limit() {
    let links = (0..Ownership::MAX_LINKS as u128).map(|n| link_created(n, LinkAccess::Read));
    given::<ListState>(std::iter::once(created()).chain(links))
        .when(create_link(100, LinkAccess::Read))
        .then_refused(ListError::TooManyLinks)
        .and_when(revoke_link(0))
        .then([link_revoked(0)])
        .and_when(create_link(100, LinkAccess::Read))
        .then([link_created(100, LinkAccess::Read)]);
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
        (ListError::NotOwner, ErrorKind::Forbidden, "not-the-owner"),
        (
            ListError::LinkAlreadyExists,
            ErrorKind::Conflict,
            "link-already-exists",
        ),
        (
            ListError::TooManyLinks,
            ErrorKind::Conflict,
            "too-many-links",
        ),
        (ListError::NoSuchLink, ErrorKind::NotFound, "link-not-found"),
    ] {
        let refusal = error.refusal();
        assert_eq!((refusal.kind, refusal.code), (kind, code));
    }
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
    stored::<ListEvent>("created", 1, json!({"type": "created", "name": "a\rb"})).is_refused();
}

/// Any valid name of a list.
fn any_name() -> impl Strategy<Value = ListName> {
    "\\PC{1,40}".prop_filter_map("not a name", |name| name.parse().ok())
}

fn any_principal() -> impl Strategy<Value = Principal> {
    prop_oneof![Just(guest()), Just(user())]
}

fn any_link_access() -> impl Strategy<Value = LinkAccess> {
    prop_oneof![Just(LinkAccess::Read), Just(LinkAccess::Edit)]
}

/// Any command, with few names, so that a list is sometimes renamed to its own name.
fn any_command() -> impl Strategy<Value = ListCommand> {
    let name = || prop_oneof![Just(name("a")), Just(name("b")), any_name()];
    prop_oneof![
        (name(), prop::option::of(any_principal()))
            .prop_map(|(name, owner)| ListCommand::Create { name, owner }),
        name().prop_map(|name| ListCommand::Rename { name }),
        Just(ListCommand::Archive),
        Just(ListCommand::Restore),
        (any_principal(), any_principal()).prop_map(|(from, to)| hand_over(from, to)),
        (0..4_u128, any_link_access()).prop_map(|(number, access)| create_link(number, access)),
        (0..4_u128).prop_map(revoke_link),
    ]
}

fn any_commands() -> impl Strategy<Value = Vec<ListCommand>> {
    prop::collection::vec(any_command(), 0..20)
}

proptest! {
    #[test]
    fn a_list_keeps_the_laws(commands in any_commands()) {
        check_laws::<ListState>(commands);
    }

    #[test]
    fn events_keep_the_shape_of_their_golden_files(
        events in any_commands().prop_map(history::<ListState>),
    ) {
        let one_of_each = [
            created(),
            renamed("x"),
            ListEvent::Archived,
            ListEvent::Restored,
            ListEvent::HandedOver { to: user() },
            link_created(1, LinkAccess::Read),
            link_revoked(1),
        ];
        check_golden_files(GOLDEN_FILES, events.into_iter().chain(one_of_each));
    }
}

#[test]
fn created_list_has_details() {
    assert_eq!(ListState::default().details(), None);
    for then in [vec![], vec![ListEvent::Archived]] {
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
