//! The laws of lists, after any commands, and the stored shape of their events.

use proptest::prelude::*;

use super::{
    archived, create_link, created, guest, hand_over, handed_over, link_created, link_revoked,
    name, renamed, restored, revoke_link, user,
};
use crate::list::{ListCommand, ListName, ListState};
use crate::test_kit::{check_golden_files, check_laws, history};
use crate::{LinkAccess, Principal};

const GOLDEN_FILES: &[(&str, u32, &str)] = &[
    ("created", 1, include_str!("../golden/created.v1.json")),
    ("created", 2, include_str!("../golden/created.v2.json")),
    (
        "created",
        2,
        include_str!("../golden/created.v2.by_a_user.json"),
    ),
    (
        "created",
        2,
        include_str!("../golden/created.v2.of_everyone.json"),
    ),
    (
        "created",
        2,
        include_str!("../golden/created.v2.by_older_rules.json"),
    ),
    (
        "handed_over",
        1,
        include_str!("../golden/handed_over.v1.json"),
    ),
    (
        "link_created",
        1,
        include_str!("../golden/link_created.v1.json"),
    ),
    (
        "link_created",
        1,
        include_str!("../golden/link_created.v1.to_edit.json"),
    ),
    (
        "link_revoked",
        1,
        include_str!("../golden/link_revoked.v1.json"),
    ),
    ("renamed", 1, include_str!("../golden/renamed.v1.json")),
    (
        "renamed",
        1,
        include_str!("../golden/renamed.v1.by_older_rules.json"),
    ),
    ("archived", 1, include_str!("../golden/archived.v1.json")),
    ("restored", 1, include_str!("../golden/restored.v1.json")),
];

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
            archived(),
            restored(),
            handed_over(),
            link_created(1, LinkAccess::Read),
            link_revoked(1),
        ];
        check_golden_files(GOLDEN_FILES, events.into_iter().chain(one_of_each));
    }
}
