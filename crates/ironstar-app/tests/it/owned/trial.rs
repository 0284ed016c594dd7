//! A history, as it is played on the engine.

use ironstar_app::access::{AudienceRule, Audiences, Audition, Gates, Permit};
use ironstar_app::caller::Links;
use ironstar_app::{Accepted, Caller, CommandContext, CommandError, CommandHandler};
use ironstar_domain::{Access, Aggregate, Link, LinkAccess, OwnershipCommand};
use ironstar_fixtures::remark::RemarkState;
use ironstar_ports::{
    Append, EventStore, ExpectedSequence, Metadata, NewEvent, Origin, Payload, Position, StreamId,
};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::support::{World, handler};

use super::history::{CALLERS, Deed, Player, STRANGER};
use super::model::{GivenLink, Item, Model};
use super::specimen::Specimen;

/// A caller that presents one of its links, or none.
pub(super) struct Asker {
    pub(super) player: Player,
    pub(super) link: Option<usize>,
    pub(super) caller: Caller,
    pub(super) permits: Vec<Held>,
}

/// A permit that a caller keeps until it ends.
pub(super) struct Held {
    pub(super) item: usize,
    pub(super) least: Access,
    pub(super) permit: Permit,
    pub(super) ended: JoinHandle<()>,
}

/// A history on the engine, beside the model of it.
pub(super) struct Trial {
    pub(super) world: World,
    commands: CommandHandler,
    /// Another node, which learns of the deeds from the log.
    pub(super) elsewhere: CommandHandler,
    pub(super) gates: Gates,
    audiences: Audiences,
    links: Links,
    pub(super) model: Model,
    pub(super) askers: Vec<Asker>,
    /// The audition of each of them, which listens from time to time.
    pub(super) auditions: Vec<Audition>,
    /// The last event that all auditions have heard.
    pub(super) heard: Position,
    /// The last event before the last deed.
    pub(super) before: Position,
}

impl Trial {
    pub(super) async fn new<A: Specimen, B: Specimen>() -> Self {
        let world = World::new().await;
        let elsewhere = handler(world.events.clone());
        let mut trial = Self {
            commands: handler(world.events.clone()),
            gates: Gates::start(elsewhere.clone(), &world.feed),
            elsewhere,
            audiences: Audiences::new([
                AudienceRule::owned::<A>(),
                AudienceRule::owned::<B>(),
                AudienceRule::part_of::<A, RemarkState>(),
            ]),
            links: Links::new([7; 32]),
            model: Model::default(),
            askers: Vec::new(),
            auditions: Vec::new(),
            heard: Position::START,
            before: Position::START,
            world,
        };
        for player in CALLERS {
            trial.add_asker(player, None, player.caller());
        }
        trial
    }

    fn add_asker(&mut self, player: Player, link: Option<usize>, caller: Caller) {
        self.auditions.push(self.audition(&caller));
        self.askers.push(Asker {
            player,
            link,
            caller,
            permits: Vec::new(),
        });
    }

    pub(super) fn audition(&self, caller: &Caller) -> Audition {
        Audition::new(self.gates.clone(), self.audiences.clone(), caller.clone())
    }

    pub(super) async fn play<A: Specimen, B: Specimen>(&mut self, deed: &Deed) {
        let count = self.model.items.len();
        self.before = self.world.events.head().await.expect("read");
        let text = format!("text {}", self.before);
        match *deed {
            Deed::Elsewhere => {
                self.world.happens("1", "happened").await;
            }
            Deed::Create(player) => self.create::<A, B>(player, text).await,
            // All other deeds need an aggregate.
            _ if count == 0 => {}
            Deed::Rename(item) => {
                let item = item % count;
                self.both::<A, B>(item, A::rename(&text), B::rename(&text))
                    .await;
                self.model.items[item].text = text;
            }
            Deed::Share { item, to, access } => self.share::<A, B>(item % count, to, access).await,
            Deed::Revoke(_) if self.model.links.is_empty() => {}
            Deed::Revoke(link) => self.revoke::<A>(link % self.model.links.len()).await,
            Deed::Part(item) => {
                self.part::<A>(item % count).await;
                self.part::<B>(item % count).await;
            }
            Deed::HandOver { item, to } => {
                if let Some(to) = to.principals().first().copied() {
                    let from = self.model.items[item % count].owner;
                    let hand_over = OwnershipCommand::HandOver { from, to };
                    self.owner::<A>(item % count, hand_over.into()).await;
                    self.model.items[item % count].owner = Some(to);
                }
            }
        }
    }

    async fn create<A: Specimen, B: Specimen>(&mut self, player: Player, text: String) {
        let item = self.model.items.len();
        create::<A>(&self.commands, item, &text, &player.caller()).await;
        create::<B>(&self.commands, item, &text, &STRANGER.caller()).await;
        let owner = player.caller().principal();
        self.model.items.push(Item { text, owner });
    }

    async fn share<A: Specimen, B: Specimen>(
        &mut self,
        item: usize,
        to: Player,
        access: LinkAccess,
    ) {
        let of_item = self.model.links.iter().filter(|given| given.item == item);
        // Links of several aggregates have the same ids.
        let link = Link {
            id: Uuid::from_u128(of_item.count() as u128).into(),
            access,
        };
        let create = OwnershipCommand::CreateLink {
            link: link.id,
            access,
        };
        self.both::<A, B>(item, create.clone().into(), create.into())
            .await;
        let token = self.links.token_of::<A>(&id::<A>(item), link.id);
        let caller = to.caller().by_link(Some(self.links.presented(token)));
        self.add_asker(to, Some(self.model.links.len()), caller);
        self.model.links.push(GivenLink {
            item,
            link,
            is_revoked: false,
        });
    }

    async fn revoke<A: Specimen>(&mut self, link: usize) {
        let given = &mut self.model.links[link];
        if !std::mem::replace(&mut given.is_revoked, true) {
            let (item, link) = (given.item, given.link.id);
            let revoke = OwnershipCommand::RevokeLink { link };
            self.owner::<A>(item, revoke.into()).await;
        }
    }

    /// Something happens to a part of an aggregate.
    async fn part<A: Specimen>(&self, item: usize) {
        let parent = StreamId::new(A::TYPE, id::<A>(item).to_string());
        let event = NewEvent {
            event_type: "happened".to_owned(),
            schema_version: 1,
            payload: Payload::from_text("{}".to_owned()).expect("JSON"),
            metadata: Metadata {
                parent: Some(parent),
                ..Metadata::new(Uuid::nil())
            },
        };
        let part = StreamId::new(RemarkState::TYPE, "1");
        let append = Append::to_stream(part, ExpectedSequence::Any, vec![event]);
        self.world.events.append(append).await.expect("appended");
    }

    /// The owner of an aggregate sends a command.
    async fn owner<A: Specimen>(&self, item: usize, command: A::Command) {
        let owner = Caller::of(self.model.items[item].owner.into_iter().collect());
        let executed = execute::<A>(&self.commands, item, &command, &owner).await;
        executed.expect("accepted");
    }

    /// The owner of an aggregate sends a command, and the stranger sends one to the twin.
    async fn both<A: Specimen, B: Specimen>(&self, item: usize, own: A::Command, twin: B::Command) {
        self.owner::<A>(item, own).await;
        let stranger = STRANGER.caller();
        let executed = execute::<B>(&self.commands, item, &twin, &stranger).await;
        executed.expect("accepted");
    }
}

impl Asker {
    /// Keeps the first permit of each kind.
    pub(super) fn keep(&mut self, item: usize, permits: Vec<(Access, Permit)>) {
        for (least, permit) in permits {
            let is_known = |held: &Held| (held.item, held.least) == (item, least);
            if !self.permits.iter().any(is_known) {
                let ending = permit.clone();
                self.permits.push(Held {
                    item,
                    least,
                    permit,
                    ended: tokio::spawn(async move { ending.ended().await }),
                });
            }
        }
    }
}

pub(super) fn id<A: Specimen>(item: usize) -> A::Id {
    Uuid::from_u128(item as u128 + 1).into()
}

/// A caller creates an aggregate for itself.
pub(super) async fn create<A: Specimen>(
    commands: &CommandHandler,
    item: usize,
    text: &str,
    caller: &Caller,
) {
    let (id, command) = (id::<A>(item), A::create(text, caller.principal()));
    let context = context(caller);
    let created = commands.create_owned::<A>(&id, &command, &context);
    created.await.expect("created");
}

/// A caller sends a command that only the owner may send.
pub(super) async fn execute<A: Specimen>(
    commands: &CommandHandler,
    item: usize,
    command: &A::Command,
    caller: &Caller,
) -> Result<Accepted, CommandError<A::Error>> {
    let (id, context) = (id::<A>(item), context(caller));
    commands.execute_as_owner::<A>(&id, command, &context).await
}

/// The context of a command, with an id that only its sender may see.
pub(super) fn context(caller: &Caller) -> CommandContext {
    CommandContext {
        caller: caller.clone(),
        origin: Origin {
            correlation_id: Some("secret".to_owned()),
            ..Origin::default()
        },
        ..CommandContext::default()
    }
}
