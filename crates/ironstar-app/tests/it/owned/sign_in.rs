//! A guest that signs in keeps all that it owns.

use ironstar_app::access::{Gates, NoRefusal, Resource};
use ironstar_app::{Caller, HandOver, ListService};
use ironstar_domain::Access;
use ironstar_domain::list::ListState;
use ironstar_ports::EventStore;

use crate::support::{World, handler};

use super::history::Player;
use super::note::NoteState;
use super::notes::NoteService;
use super::specimen::Specimen;
use super::trial::{context, create, id};

/// Three aggregates, of one guest, another guest, and the first guest again.
async fn check_sign_in<A: Specimen>(service: impl Fn(&World) -> Box<dyn HandOver>) {
    const GUESTS: [Player; 3] = [Player::Guest(1), Player::Guest(2), Player::Guest(1)];
    let world = World::new().await;
    let commands = handler(world.events.clone());
    let gates = Gates::start(handler(world.events.clone()), &world.feed);
    let service = service(&world);
    for (number, guest) in GUESTS.iter().enumerate() {
        create::<A>(&commands, number, "text", &guest.caller()).await;
    }
    let first = Resource::of::<A>(&id::<A>(0));
    let permit = gates.permit(&first, GUESTS[0].caller(), Access::Own).await;
    let permit = permit.expect("read").expect("the guest is the owner");

    let [from, to] = [Player::Guest(1), Player::User(1)].map(|player| player.principals()[0]);
    let hand_over = async || {
        let context = context(&Player::FormerGuest(1).caller());
        let handed_over = service.hand_over(from, to, &context).await;
        handed_over.expect("handed over");
        world.events.head().await.expect("read")
    };
    let handed_over = hand_over().await;
    assert!(!permit.holds_at(handed_over).await);
    assert_eq!(hand_over().await, handed_over, "there is nothing left");
    let other = GUESTS[1].principals()[0];
    for (number, owner) in [to, other, to].into_iter().enumerate() {
        let id = id::<A>(number);
        let seen = commands.see::<A, NoRefusal>(&id).await.expect("read");
        for principal in [from, to, other] {
            let access = Caller::of(vec![principal]).access(&id, &seen.state);
            let expected = if principal == owner {
                Access::Own
            } else {
                Access::None
            };
            assert_eq!(access, expected, "{number} {principal}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn user_gets_the_lists_of_the_guest() {
    check_sign_in::<ListState>(|world| {
        let commands = handler(world.events.clone());
        Box::new(ListService::new(commands, world.projections.model()))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn user_gets_the_notes_of_the_guest() {
    check_sign_in::<NoteState>(|world| {
        Box::new(NoteService {
            commands: handler(world.events.clone()),
            model: world.projections.model(),
        })
    })
    .await;
}
