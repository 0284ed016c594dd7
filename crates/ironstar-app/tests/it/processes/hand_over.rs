//! After a sign-in, the user gets all that the guest owns, whatever fails or stops in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use ironstar_app::process::NotExecuted;
use ironstar_app::{CommandContext, Features, HandOver, HandOvers, UserService, hand_over_by};
use ironstar_domain::{GuestId, IdentityId, Owned, Principal, Profile, UserId};
use ironstar_fixtures::note::NoteState;
use ironstar_fixtures::notes::{FEATURE, NoteProjection};
use tokio::time::sleep;
use uuid::Uuid;

use super::support::{Node, World};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn guest() -> GuestId {
    Uuid::from_u128(7).into()
}

impl World {
    async fn owner(&self, note: Uuid) -> Option<Principal> {
        let state = self.state::<NoteState>(note).await;
        let ownership = state.ownership().expect("the note exists");
        ownership.owner
    }
}

impl Node {
    async fn note_of_guest(&self) -> Uuid {
        self.create_note(Some(guest().into())).await
    }

    /// Hands over all kinds of aggregates.
    fn hand_overs(&self) -> HandOvers {
        Features::new(&[FEATURE]).hand_overs(&self.commands, &self.projections)
    }

    fn hand_over_notes(&self) -> Arc<dyn HandOver> {
        hand_over_by::<NoteProjection>(&self.commands, &self.projections)
    }

    async fn guest_signs_in(&self, login: &str) -> UserId {
        let identity = IdentityId::new("github.com", login).expect("an identity");
        let profile = Profile {
            login: login.parse().expect("a name"),
            name: None,
        };
        let users = UserService::new(self.commands.clone());
        let context = CommandContext::default();
        let user = users.sign_in(&identity, &profile, guest(), &context).await;
        user.expect("signed in")
    }
}

/// A kind of aggregates that cannot be handed over, this many times.
#[derive(Debug, Default)]
struct Stubborn {
    times: u64,
    tried: AtomicU64,
    /// True if the attempts hang instead of failing.
    hangs: bool,
}

impl HandOver for Stubborn {
    fn hand_over<'a>(
        &'a self,
        _: Principal,
        _: Principal,
        _: &'a CommandContext,
    ) -> BoxFuture<'a, Result<(), NotExecuted>> {
        async move {
            match self.tried.fetch_add(1, SeqCst) {
                before if before >= self.times => Ok(()),
                _ if self.hangs => futures::future::pending().await,
                _ => Err(NotExecuted::Failed("stubborn".into())),
            }
        }
        .boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn user_gets_the_notes_of_the_guest_at_once_and_late_ones_after_a_minute() {
    let world = World::new();
    let node = world.node().await;
    node.hand_over_guests(node.hand_overs());
    let note = node.note_of_guest().await;
    let user = node.guest_signs_in("ada").await;
    world.until_over(1).await;
    assert_eq!(world.owner(note).await, Some(user.into()));

    // This request began before the sign-in.
    let late = node.note_of_guest().await;
    sleep(MINUTE - SECOND).await;
    assert_eq!(world.owner(late).await, Some(guest().into()));
    world.until_over(2).await;
    assert_eq!(world.owner(late).await, Some(user.into()));

    sleep(60 * MINUTE).await;
    assert_eq!(world.count("handed_over").await, 2);
    assert_eq!(world.count("carried_out").await, 2);
}

#[tokio::test(start_paused = true)]
async fn sign_in_without_notes_ends_its_steps() {
    let world = World::new();
    let node = world.node().await;
    node.hand_over_guests(HandOvers::new(node.commands.clone(), Vec::new()));
    node.guest_signs_in("ada").await;
    world.until_over(2).await;
    assert_eq!(world.count("carried_out").await, 2);
}

#[tokio::test(start_paused = true)]
async fn kind_that_fails_holds_up_no_other_and_is_tried_again() {
    let world = World::new();
    let node = world.node().await;
    let stubborn = Arc::new(Stubborn {
        times: 3,
        ..Stubborn::default()
    });
    let kinds: Vec<Arc<dyn HandOver>> = vec![stubborn.clone(), node.hand_over_notes()];
    node.hand_over_guests(HandOvers::new(node.commands.clone(), kinds));
    let note = node.note_of_guest().await;
    let user = node.guest_signs_in("ada").await;
    sleep(SECOND / 2).await;
    assert_eq!(world.owner(note).await, Some(user.into()));
    assert_eq!(world.count("carried_out").await, 0);

    world.until_over(1).await;
    assert_eq!(stubborn.tried.load(SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn server_that_stops_between_two_kinds_is_replaced_by_the_next() {
    let world = World::new();
    let node = world.node().await;
    let hanging = Arc::new(Stubborn {
        times: 1,
        hangs: true,
        ..Stubborn::default()
    });
    let kinds: Vec<Arc<dyn HandOver>> = vec![hanging.clone(), node.hand_over_notes()];
    node.hand_over_guests(HandOvers::new(node.commands.clone(), kinds));
    let note = node.note_of_guest().await;
    let user = node.guest_signs_in("ada").await;
    while hanging.tried.load(SeqCst) == 0 {
        sleep(SECOND).await;
    }
    node.stop();
    assert_eq!(world.owner(note).await, Some(guest().into()));

    let next = world.node().await;
    next.hand_over_guests(next.hand_overs());
    world.until_over(1).await;
    assert_eq!(world.owner(note).await, Some(user.into()));
}
