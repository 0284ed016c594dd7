//! A guest that signs in keeps all that it owns.

use std::sync::atomic::Ordering::SeqCst;

use ironstar_app::access::{Gates, NoRefusal, Resource};
use ironstar_app::process::NotExecuted;
use ironstar_app::{ByOwner, Caller, hand_over_by};
use ironstar_domain::{Access, Aggregate};
use ironstar_fixtures::note::{NoteEvent, NoteState};
use ironstar_fixtures::notes::NoteProjection;
use ironstar_ports::{
    Append, EventStore, ExpectedSequence, Metadata, NewEvent, Payload, StreamAppend, StreamId,
};
use uuid::Uuid;

use crate::support::{World, handler};

use super::history::Player;
use super::specimen::Specimen;
use super::trial::{context, create, id};

/// Three aggregates, of one guest, another guest, and the first guest again.
pub(crate) async fn check_sign_in<P: ByOwner<Aggregate: Specimen>>() {
    const GUESTS: [Player; 3] = [Player::Guest(1), Player::Guest(2), Player::Guest(1)];
    let world = World::new().await;
    let commands = handler(world.events.clone());
    let gates = Gates::start(handler(world.events.clone()), &world.feed);
    let all = hand_over_by::<P>(&commands, &world.projections);
    for (number, guest) in GUESTS.iter().enumerate() {
        create::<P::Aggregate>(&commands, number, "text", &guest.caller()).await;
    }
    let first = Resource::of::<P::Aggregate>(&id::<P::Aggregate>(0));
    let permit = gates.permit(&first, GUESTS[0].caller(), Access::Own).await;
    let permit = permit.expect("read").expect("the guest is the owner");

    let [from, to] = [Player::Guest(1), Player::User(1)].map(|player| player.principals()[0]);
    let hand_over = async || {
        let context = context(&Player::FormerGuest(1).caller());
        let handed_over = all.hand_over(from, to, &context).await;
        handed_over.expect("handed over");
        world.events.head().await.expect("read")
    };
    let handed_over = hand_over().await;
    assert!(!permit.holds_at(handed_over).await);
    assert_eq!(hand_over().await, handed_over, "there is nothing left");
    let other = GUESTS[1].principals()[0];
    for (number, owner) in [to, other, to].into_iter().enumerate() {
        let id = id::<P::Aggregate>(number);
        let seen = commands
            .see::<P::Aggregate, NoRefusal>(&id)
            .await
            .expect("read");
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
async fn user_gets_the_notes_of_the_guest() {
    check_sign_in::<NoteProjection>().await;
}

/// The event of a new note.
fn note_created(number: u128, owner: Player) -> StreamAppend {
    let created = NoteEvent::Created {
        text: number.to_string(),
        owner: owner.caller().principal(),
    };
    let id = Uuid::from_u128(number).to_string();
    StreamAppend {
        stream: StreamId::new(NoteState::TYPE, id),
        expected: ExpectedSequence::NoStream,
        events: vec![NewEvent {
            event_type: "created".to_owned(),
            schema_version: 1,
            payload: Payload::of(&created).expect("JSON"),
            metadata: Metadata::new(Uuid::nil()),
        }],
    }
}

#[tokio::test(start_paused = true)]
async fn hand_over_leaves_the_notes_that_are_too_many_with_the_guest() {
    const MOST: u64 = 10_000;
    let world = World::new().await;
    let commands = handler(world.events.clone());
    let all = hand_over_by::<NoteProjection>(&commands, &world.projections);
    let notes = (0..=u128::from(MOST)).map(|number| note_created(number, Player::Guest(1)));
    let append = Append {
        streams: notes.collect(),
        command: None,
    };
    world.events.append(append).await.expect("appended");
    world
        .settled(&world.projections.model::<NoteProjection>())
        .await;

    let [from, to] = [Player::Guest(1), Player::User(1)].map(|player| player.principals()[0]);
    let context = context(&Player::FormerGuest(1).caller());
    let mut before = world.events.head().await.expect("read");
    // The first hand-over changes as many as it may, the next one the rest.
    for changed in [MOST, 1, 0] {
        let handed_over = all.hand_over(from, to, &context).await;
        handed_over.expect("handed over");
        let after = world.events.head().await.expect("read");
        assert_eq!(after.get() - before.get(), changed);
        before = after;
    }
}

#[tokio::test(start_paused = true)]
async fn hand_over_fails_while_the_read_model_is_behind() {
    let world = World::new().await;
    let commands = handler(world.events.clone());
    world.store.failing_commits.store(u64::MAX, SeqCst);
    let all = hand_over_by::<NoteProjection>(&commands, &world.projections);
    create::<NoteState>(&commands, 0, "text", &Player::Guest(1).caller()).await;
    let before = world.events.head().await.expect("read");

    let [from, to] = [Player::Guest(1), Player::User(1)].map(|player| player.principals()[0]);
    let context = context(&Player::FormerGuest(1).caller());
    let outcome = all.hand_over(from, to, &context).await;
    let Err(NotExecuted::Failed(error)) = outcome else {
        panic!("it has not failed: {outcome:?}");
    };
    let expected = "the read model \"notes\" is not up to date yet; try again in a moment";
    assert_eq!(error.to_string(), expected);
    assert_eq!(world.events.head().await.expect("read"), before);
}
