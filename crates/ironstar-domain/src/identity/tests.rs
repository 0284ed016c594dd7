use proptest::prelude::*;

use super::{
    IdentityCommand, IdentityError, IdentityEvent, IdentityId, IdentityIdError, IdentityState,
};
use crate::test_kit::{check_golden_files, check_laws, given};
use crate::user::UserId;
use crate::{DomainError, Refusal};

const GOLDEN_FILES: &[(&str, u32, &str)] = &[(
    "linked",
    1,
    include_str!("../golden/Identity/linked.v1.json"),
)];

fn user(number: u128) -> UserId {
    uuid::Uuid::from_u128(number).into()
}

fn link(number: u128) -> IdentityCommand {
    IdentityCommand::Link { user: user(number) }
}

fn linked(number: u128) -> IdentityEvent {
    IdentityEvent::Linked { user: user(number) }
}

#[test]
fn an_identity_belongs_to_one_user_for_good() {
    given::<IdentityState>([])
        .when(link(1))
        .then([linked(1)])
        .and_when(link(1))
        .then_nothing()
        .and_when(link(2))
        .then_refused(IdentityError::AlreadyLinked);
    given::<IdentityState>([linked(1), linked(2)])
        .then_state(IdentityState::Linked { user: user(1) });
    let error = IdentityError::AlreadyLinked;
    assert_eq!(
        error.refusal(),
        Refusal::conflict("identity-already-linked")
    );
}

#[test]
fn identity_id_is_an_issuer_and_a_subject() {
    for written in ["github.com/583231", "127.0.0.1:3000/1", "[::1]:80/a-b_c"] {
        let id: IdentityId = written.parse().expect("an identity");
        assert_eq!(id.to_string(), written);
    }
    let id = IdentityId::new("GitHub.com", "1").expect("an identity");
    assert_eq!(id.to_string(), "github.com/1");
    let long = "a".repeat(256);
    for (issuer, subject) in [
        ("", "1"),
        ("github.com", ""),
        ("github.com", "1/2"),
        ("a b", "1"),
        ("github.com", "1\n"),
        ("github.com", "ä"),
        (&long, "1"),
        ("github.com", &long),
    ] {
        assert_eq!(IdentityId::new(issuer, subject), Err(IdentityIdError));
    }
    for malformed in ["", "github.com", "GitHub.com/1", "a/b/c"] {
        assert_eq!(malformed.parse::<IdentityId>(), Err(IdentityIdError));
    }
}

proptest! {
    #[test]
    fn an_identity_keeps_the_laws(users in prop::collection::vec(0..3_u128, 0..10)) {
        check_laws::<IdentityState>(users.into_iter().map(link).collect::<Vec<_>>());
    }
}

#[test]
fn events_keep_the_shape_of_their_golden_files() {
    check_golden_files(GOLDEN_FILES, [linked(1)]);
}
