use proptest::prelude::*;
use uuid::Uuid;

use super::{
    Profile, UserCommand, UserDetails, UserError, UserEvent, UserName, UserNameError, UserState,
};
use crate::test_kit::{check_golden_files, check_laws, given, history};
use crate::{DomainError, ErrorKind, GuestId, IdentityId, LineError};

const GOLDEN_FILES: &[(&str, u32, &str)] = &[
    (
        "registered",
        1,
        include_str!("../golden/User/registered.v1.json"),
    ),
    (
        "identity_linked",
        1,
        include_str!("../golden/User/identity_linked.v1.json"),
    ),
    (
        "profile_changed",
        1,
        include_str!("../golden/User/profile_changed.v1.json"),
    ),
    (
        "profile_changed",
        1,
        include_str!("../golden/User/profile_changed.v1.without_a_name.json"),
    ),
    (
        "profile_changed",
        1,
        include_str!("../golden/User/profile_changed.v1.by_older_rules.json"),
    ),
    (
        "signed_in",
        1,
        include_str!("../golden/User/signed_in.v1.json"),
    ),
    (
        "signed_in",
        2,
        include_str!("../golden/User/signed_in.v2.json"),
    ),
    (
        "signed_out",
        1,
        include_str!("../golden/User/signed_out.v1.json"),
    ),
];

fn name(name: &str) -> UserName {
    name.parse().expect("a valid name")
}

fn ada() -> Profile {
    Profile {
        login: name("ada"),
        name: Some(name("Ada Lovelace")),
    }
}

fn countess() -> Profile {
    Profile {
        login: name("ada"),
        name: None,
    }
}

fn identity() -> IdentityId {
    IdentityId::new("github.com", "583231").expect("an identity")
}

fn guest() -> GuestId {
    Uuid::from_u128(7).into()
}

fn register() -> UserCommand {
    UserCommand::Register {
        identity: identity(),
        profile: ada(),
        guest: guest(),
    }
}

fn sign_in(profile: Profile) -> UserCommand {
    UserCommand::SignIn {
        profile,
        guest: guest(),
    }
}

fn the_sign_in() -> UserEvent {
    UserEvent::SignedIn {
        guest: Some(guest()),
    }
}

fn registered() -> Vec<UserEvent> {
    vec![
        UserEvent::Registered,
        UserEvent::IdentityLinked {
            identity: identity(),
        },
        UserEvent::ProfileChanged { profile: ada() },
        the_sign_in(),
    ]
}

fn signed_in(profile: Profile, sessions: u64) -> UserState {
    UserState::Registered(UserDetails {
        identities: vec![identity()],
        profile: Some(profile),
        sessions,
    })
}

#[test]
fn a_user_registers_once_and_signs_in_and_out_at_will() {
    given::<UserState>([])
        .when(register())
        .then(registered())
        .and_state(signed_in(ada(), 1))
        .and_when(register())
        .then_refused(UserError::AlreadyRegistered)
        .and_when(UserCommand::SignOut)
        .then([UserEvent::SignedOut])
        .and_when(UserCommand::SignOut)
        .then_nothing()
        .and_when(sign_in(ada()))
        .then([the_sign_in()])
        .and_when(sign_in(ada()))
        .then([the_sign_in()]);
}

#[test]
fn sign_in_records_a_changed_profile() {
    given::<UserState>(registered())
        .when(sign_in(countess()))
        .then([
            UserEvent::ProfileChanged {
                profile: countess(),
            },
            the_sign_in(),
        ])
        .and_state(signed_in(countess(), 2));
    assert_eq!(ada().display_name().as_str(), "Ada Lovelace");
    assert_eq!(countess().display_name().to_string(), "ada");
}

#[test]
fn unregistered_user_is_not_found() {
    for command in [sign_in(ada()), UserCommand::SignOut] {
        given::<UserState>([])
            .when(command)
            .then_refused(UserError::NotFound);
    }
    given::<UserState>([the_sign_in(), UserEvent::ProfileChanged { profile: ada() }])
        .then_state(UserState::NotRegistered);
}

#[test]
fn refusal_has_a_kind_and_a_code() {
    for (error, kind, code) in [
        (
            UserError::AlreadyRegistered,
            ErrorKind::Conflict,
            "user-already-exists",
        ),
        (UserError::NotFound, ErrorKind::NotFound, "user-not-found"),
    ] {
        let refusal = error.refusal();
        assert_eq!((refusal.kind, refusal.code), (kind, code));
    }
}

#[test]
fn a_name_is_a_line_of_at_most_100_characters() {
    assert!("ü".repeat(100).parse::<UserName>().is_ok());
    let (max, chars) = (100, 101);
    for (malformed, error) in [
        ("ü".repeat(101), LineError::TooLong { max, chars }),
        (" ".to_owned(), LineError::Empty),
    ] {
        assert_eq!(malformed.parse::<UserName>(), Err(UserNameError(error)));
    }
}

fn any_command() -> impl Strategy<Value = UserCommand> {
    prop_oneof![
        Just(register()),
        Just(sign_in(ada())),
        Just(sign_in(countess())),
        Just(UserCommand::SignOut),
    ]
}

proptest! {
    #[test]
    fn a_user_keeps_the_laws(commands in prop::collection::vec(any_command(), 0..10)) {
        check_laws::<UserState>(commands);
    }

    #[test]
    fn events_keep_the_shape_of_their_golden_files(
        commands in prop::collection::vec(any_command(), 0..10),
    ) {
        let one_of_each = registered().into_iter().chain([
            UserEvent::SignedOut,
            UserEvent::ProfileChanged { profile: countess() },
        ]);
        check_golden_files(GOLDEN_FILES, history::<UserState>(commands).into_iter().chain(one_of_each));
    }
}
