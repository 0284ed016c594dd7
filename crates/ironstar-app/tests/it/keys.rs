//! The senders that the keys of commands belong to.

use std::sync::Arc;

use ironstar_adapters::memory::MemoryEventStore;
use ironstar_app::{Accepted, Caller, CommandContext, CommandError, CommandHandler, KeyedRequest};
use ironstar_domain::{Aggregate, GuestId, Principal, UserId};
use ironstar_fixtures::remark::{RemarkCommand, RemarkError, RemarkEvent, RemarkState};
use ironstar_ports::{
    Append, CommandRecord, EventStore, ExpectedSequence, Metadata, NewEvent, Payload, Position,
    StreamId,
};
use uuid::Uuid;

use crate::support::{handler, memory_store};

const NOTE: Uuid = Uuid::from_u128(1);

fn guest(number: u128) -> Principal {
    Principal::Guest(GuestId::from(Uuid::from_u128(number)))
}

fn user(number: u128) -> Principal {
    Principal::User(UserId::from(Uuid::from_u128(number)))
}

fn of(principals: &[Principal]) -> Caller {
    Caller::of(principals.to_vec())
}

fn at(place: &str) -> Caller {
    Caller::anonymous().from_place(place.to_owned())
}

struct World {
    store: Arc<MemoryEventStore>,
    commands: CommandHandler,
}

impl World {
    fn new() -> Self {
        let store = memory_store();
        let commands = handler(store.clone());
        Self { store, commands }
    }

    /// Creates a remark with a new id, so that only the key identifies a retry.
    async fn create(
        &self,
        caller: Caller,
        keyed: KeyedRequest,
    ) -> Result<Accepted, CommandError<RemarkError>> {
        let id = self.commands.next_id();
        self.execute(&id, &create(), caller, keyed).await
    }

    async fn execute(
        &self,
        id: &Uuid,
        command: &RemarkCommand,
        caller: Caller,
        keyed: KeyedRequest,
    ) -> Result<Accepted, CommandError<RemarkError>> {
        let context = CommandContext {
            caller,
            keyed: Some(keyed),
            ..CommandContext::default()
        };
        self.commands
            .execute::<RemarkState>(id, command, &context)
            .await
    }

    async fn accepted(&self, caller: Caller, request: &str) -> Accepted {
        let outcome = self.create(caller, keyed(request)).await;
        outcome.expect("accepted")
    }

    async fn count(&self) -> u64 {
        self.store.head().await.expect("read").get()
    }
}

fn create() -> RemarkCommand {
    RemarkCommand::Create {
        note: NOTE,
        text: "Milk".to_owned(),
    }
}

fn keyed(request: &str) -> KeyedRequest {
    KeyedRequest::new("6".parse().expect("a key"), request.to_owned())
}

#[tokio::test]
async fn key_of_one_sender_does_not_find_commands_of_another() {
    let world = World::new();
    let senders = [
        of(&[guest(1)]),
        of(&[guest(2)]),
        of(&[user(1)]),
        at("here"),
        at("there"),
        Caller::anonymous(),
    ];
    let mut answers = Vec::new();
    for (number, sender) in senders.iter().enumerate() {
        // Half of the senders send the same request; the others send a different one.
        let request = ["create", "another"][number % 2];
        let first = world.accepted(sender.clone(), request).await;
        let again = world.accepted(sender.clone(), request).await;
        assert_eq!(again, first, "{sender:?}");
        answers.push(first.aggregate_id);
    }
    answers.sort();
    answers.dedup();
    assert_eq!(answers.len(), senders.len());
    assert_eq!(world.count().await, 6);
    let other = world.create(of(&[guest(1)]), keyed("another")).await;
    assert!(matches!(other, Err(CommandError::KeyReused)), "{other:?}");
}

#[tokio::test]
async fn command_of_a_guest_is_not_repeated_after_the_sign_in() {
    let world = World::new();
    let first = world.accepted(of(&[guest(1)]), "create").await;
    let signed_in = of(&[user(1), guest(1)]);
    assert_eq!(world.accepted(signed_in.clone(), "create").await, first);
    assert_eq!(world.count().await, 1);
    // Other requests of the guest do not block the user.
    let other = world.accepted(signed_in, "another").await;
    assert_ne!(other.aggregate_id, first.aggregate_id);
    // Requests of the user do not block the next guest on that device.
    let next = world.accepted(of(&[guest(2)]), "another").await;
    assert_ne!(next.aggregate_id, other.aggregate_id);
}

#[tokio::test]
async fn command_that_cannot_run_again_is_found_by_the_key_of_the_guest() {
    let world = World::new();
    let created = world.accepted(of(&[guest(1)]), "create").await;
    let id: Uuid = created.aggregate_id.parse().expect("an id");
    let delete = async |caller, request| {
        let keyed = KeyedRequest::new("7".parse().expect("a key"), String::from(request));
        world
            .execute(&id, &RemarkCommand::Delete, caller, keyed)
            .await
    };
    let deleted = delete(of(&[guest(1)]), "delete").await.expect("deleted");
    let signed_in = || of(&[user(1), guest(1)]);
    let again = delete(signed_in(), "delete").await.expect("known");
    assert_eq!(again, deleted);
    let other = delete(signed_in(), "another").await;
    assert!(matches!(other, Err(CommandError::Refused(_))), "{other:?}");
}

#[tokio::test]
async fn form_that_is_sent_twice_before_the_cookie_arrives_is_one_command() {
    let world = World::new();
    let began = |number| at("here").with_session(of(&[guest(number)]));
    let first = world.accepted(began(1), "create").await;
    assert_eq!(world.accepted(began(2), "create").await, first);
    assert_eq!(world.accepted(of(&[guest(1)]), "create").await, first);
    assert_eq!(world.count().await, 1);
    let elsewhere = at("there").with_session(of(&[guest(3)]));
    assert_ne!(world.accepted(elsewhere, "create").await, first);
    // A visitor with an earlier session is another sender than visitors without.
    assert_ne!(world.accepted(of(&[guest(4)]), "create").await, first);
}

#[tokio::test]
async fn key_without_a_sender_is_good_for_the_request_that_it_was_stored_with() {
    let world = World::new();
    let text = "Milk".to_owned();
    let event = NewEvent {
        event_type: "created".to_owned(),
        schema_version: 1,
        payload: Payload::of(&RemarkEvent::Created { note: NOTE, text }).expect("JSON"),
        metadata: Metadata::new(Uuid::nil()),
    };
    let stream = StreamId::new(RemarkState::TYPE, Uuid::from_u128(9).to_string());
    let mut append = Append::to_stream(stream, ExpectedSequence::NoStream, vec![event]);
    let key = "6".parse().expect("a key");
    append.command = Some(CommandRecord::new(key, "as it was written".to_owned()));
    world.store.append(append).await.expect("appended");

    let again = keyed("create").written_before("as it was written".to_owned());
    let again = world.create(of(&[guest(1)]), again).await.expect("known");
    assert_eq!(again.place.position, Position::new(1));
    // Any other request ignores the stored key.
    world.accepted(of(&[guest(1)]), "create").await;
    world.accepted(of(&[guest(2)]), "another").await;
    assert_eq!(world.count().await, 3);
}
