//! An identity belongs to one user, for any number of sign-ins on any node.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::join_all;
use ironstar_app::{CommandContext, CommandError, UserService};
use ironstar_domain::{
    Aggregate, GuestId, IdentityId, Profile, UserError, UserEvent, UserId, UserState,
};
use ironstar_ports::{EventStore, Position};
use uuid::Uuid;

use crate::support::{TestStore, guard_of_nothing, handler, memory_store};

fn identity(subject: &str) -> IdentityId {
    IdentityId::new("github.com", subject).expect("an identity")
}

fn profile(login: &str) -> Profile {
    Profile {
        login: login.parse().expect("a name"),
        name: None,
    }
}

fn guest() -> GuestId {
    Uuid::from_u128(7).into()
}

async fn sign_in(users: &UserService, subject: &str, login: &str) -> UserId {
    let (identity, profile) = (identity(subject), profile(login));
    let context = CommandContext::default();
    let user = users.sign_in(&identity, &profile, guest(), &context).await;
    user.expect("signed in")
}

#[tokio::test]
async fn identity_belongs_to_one_user_after_concurrent_sign_ins() {
    let store = memory_store();
    // Each sign-in runs on its own node, without the states of the others.
    let node = || UserService::new(handler(Arc::new(TestStore::counting(store.clone()))));
    let nodes: Vec<UserService> = std::iter::repeat_with(node).take(16).collect();
    let users = join_all(nodes.iter().map(|users| sign_in(users, "1", "ada"))).await;
    let users: HashSet<UserId> = users.into_iter().collect();
    assert_eq!(users.len(), 1);
    let log = store
        .load_after(Position::START, 1_000)
        .await
        .expect("read");
    let count = |event_type| {
        let events = log.iter().filter(|event| event.event_type == event_type);
        events.count()
    };
    assert_eq!(["registered", "linked", "signed_in"].map(count), [1, 1, 16]);
    for user in users {
        let actor = format!("user/{user}");
        let actors = log
            .iter()
            .map(|event| event.metadata.origin.actor.as_deref());
        assert!(actors.into_iter().all(|known| known == Some(&*actor)));
    }
}

#[tokio::test]
async fn other_identity_is_another_user_and_a_new_name_is_stored() {
    let store = memory_store();
    let users = UserService::new(handler(store.clone()));
    let ada = sign_in(&users, "1", "ada").await;
    let bob = sign_in(&users, "2", "ada").await;
    assert_ne!(ada, bob);
    assert_eq!(sign_in(&users, "1", "lovelace").await, ada);
    let context = CommandContext::default();
    users.sign_out(ada, &context).await.expect("signed out");
    let seen = handler(store).see::<UserState, UserError>(&ada).await;
    let expected = UserState::fold(&[
        UserEvent::Registered,
        UserEvent::IdentityLinked {
            identity: identity("1"),
        },
        UserEvent::ProfileChanged {
            profile: profile("lovelace"),
        },
        UserEvent::SignedIn {
            guest: Some(guest()),
        },
    ]);
    assert_eq!(seen.expect("read").state, expected);
    // The conflict of another stream is not solved by a second try.
    let stale = CommandContext {
        also: vec![guard_of_nothing()],
        ..CommandContext::default()
    };
    let profile = profile("lovelace");
    let ada = identity("1");
    let changed = users.sign_in(&ada, &profile, guest(), &stale).await;
    assert!(
        matches!(&changed, Err(CommandError::OtherChanged { stream }) if stream.aggregate_type == "Test"),
        "{changed:?}"
    );
    let unknown = UserId::from(Uuid::from_u128(9));
    let refused = users.sign_out(unknown, &context).await;
    assert!(matches!(
        refused,
        Err(CommandError::Refused(UserError::NotFound))
    ));
}
