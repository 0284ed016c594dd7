//! From a command to durable events.
//!
//! A command is decided on the aggregate's state (`decide`), and its events are appended and
//! announced (`append`). If another caller has appended first, the command is decided again,
//! after a turn (`contest`). A command on many aggregates is one append (`many`). A repeated
//! command gets the first answer (`keyed`), and a command may depend on another stream (`guard`).

mod append;
mod contest;
mod context;
mod decide;
mod error;
mod guard;
mod keyed;
mod many;

use std::sync::Arc;

use ironstar_domain::{Access, Aggregate, Owned};
use ironstar_ports::{
    EventBus, EventStore, IdSource, LogPlace, Position, Sequence, SnapshotStore, StreamHead,
};

use crate::snapshots::Snapshots;
use crate::turns::Turns;
use crate::warm::WarmStates;

use guard::Guarded;

pub(crate) use contest::Contest;
pub use context::CommandContext;
pub use error::CommandError;
pub use guard::{Guard, Pass};
pub use keyed::KeyedRequest;
pub use many::AcceptedOnAll;

/// Decides commands on any aggregate, and stores the resulting events.
#[derive(Clone, Debug)]
pub struct CommandHandler {
    store: Arc<dyn EventStore>,
    bus: Arc<dyn EventBus>,
    ids: Arc<dyn IdSource>,
    snapshots: Snapshots,
    warm: WarmStates,
    turns: Turns,
}

/// A condition on the very state that a command is decided on.
type Admit<'a, A> = &'a (dyn Fn(&A) -> Result<(), <A as Aggregate>::Error> + Send + Sync);

/// An aggregate's state, and the head of its stream at that state.
#[derive(Clone, Debug)]
pub struct Seen<A> {
    /// The state.
    pub state: A,
    /// The head of the stream.
    pub head: StreamHead,
}

/// The place of an aggregate after a command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// The id of the aggregate. A repeated command returns the id of the aggregate that the
    /// first run acted on.
    pub aggregate_id: String,
    /// The sequence of the stream's last event; `None` if the stream is empty, because there
    /// was nothing to change.
    pub sequence: Option<Sequence>,
    /// The place of that event in the log.
    pub place: LogPlace,
}

impl CommandHandler {
    /// A handler on these ports.
    #[must_use]
    pub fn new(
        store: Arc<dyn EventStore>,
        snapshots: Arc<dyn SnapshotStore>,
        bus: Arc<dyn EventBus>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self {
            store,
            bus,
            ids,
            snapshots: Snapshots::new(snapshots),
            warm: WarmStates::new(),
            turns: Turns::default(),
        }
    }

    /// A new unique id.
    #[must_use]
    pub fn next_id(&self) -> uuid::Uuid {
        self.ids.next_id()
    }

    /// Decides a command on the aggregate's current state, and stores the resulting events. If
    /// another caller changes the aggregate in between, the command is decided again. If the
    /// caller names the sequence at which it expects the aggregate, the change is a refusal
    /// instead.
    ///
    /// If the caller stops waiting, the command may or may not run. It never runs in part, and
    /// never without a hint on the bus. A command with a record runs once, however often it is
    /// sent.
    ///
    /// # Errors
    ///
    /// See [`CommandError`]. After an error nothing was stored, unless the store failed while
    /// it confirmed a commit.
    pub async fn execute<A: Aggregate>(
        &self,
        id: &A::Id,
        command: &A::Command,
        context: &CommandContext,
    ) -> Result<Accepted, CommandError<A::Error>> {
        let mut guarded = Guarded::free(&self.turns);
        self.run::<A>(id, command, context, &every, &mut guarded)
            .await
    }

    /// Like [`execute`](Self::execute), if the caller owns the aggregate at the moment when the
    /// command is decided.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute). A caller that is not the owner gets a refusal:
    /// [`Owned::NOT_FOUND`], or [`Owned::not_owner`] if it may know of the aggregate.
    pub async fn execute_as_owner<A: Owned>(
        &self,
        id: &A::Id,
        command: &A::Command,
        context: &CommandContext,
    ) -> Result<Accepted, CommandError<A::Error>> {
        let admit = |aggregate: &A| match context.caller.access(id, aggregate) {
            Access::None => Err(A::NOT_FOUND),
            Access::Read | Access::Edit => Err(A::not_owner()),
            Access::Own => Ok(()),
        };
        let mut guarded = Guarded::free(&self.turns);
        self.run::<A>(id, command, context, &admit, &mut guarded)
            .await
    }

    /// Like [`execute`](Self::execute), for a command that creates an aggregate with an owner.
    /// Only the owner can use the answer, so only the session identifies a retry.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute). An aggregate that is open to all callers cannot be created:
    /// the refusal is [`Owned::not_owner`].
    pub async fn create_owned<A: Owned>(
        &self,
        id: &A::Id,
        command: &A::Command,
        context: &CommandContext,
    ) -> Result<Accepted, CommandError<A::Error>> {
        if A::open_to_all(id).is_some() {
            return Err(CommandError::Refused(A::not_owner()));
        }
        let context = CommandContext {
            caller: context.caller.by_session(),
            ..context.clone()
        };
        self.execute::<A>(id, command, &context).await
    }

    /// Like [`execute`](Self::execute), with a guard that must hold at the moment when the
    /// command is decided.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute), and those of the guard. A refusal of the guard's
    /// [`Pass`] does not concern a command that has run before.
    pub async fn execute_guarded<'a, A: Aggregate>(
        &'a self,
        id: &A::Id,
        command: &A::Command,
        context: &CommandContext,
        guard: Guard<'a, A::Error>,
    ) -> Result<Accepted, CommandError<A::Error>> {
        let mut guarded = Guarded::ask(&self.turns, guard).await?;
        self.run::<A>(id, command, context, &every, &mut guarded)
            .await
    }

    /// Runs a command, or returns the answer to an earlier run.
    async fn run<A: Aggregate>(
        &self,
        id: &A::Id,
        command: &A::Command,
        context: &CommandContext,
        admit: Admit<'_, A>,
        guarded: &mut Guarded<'_, A::Error>,
    ) -> Result<Accepted, CommandError<A::Error>> {
        let outcome = self.decide_and_append(id, command, context, admit, guarded);
        let outcome = outcome.await;
        if outcome.is_err()
            && !guarded.is_barred()
            && let Some(known) = self.known(context).await?
            && let Some(first) = known.streams.into_iter().next()
        {
            // The command is refused because it has run before. If it would be accepted a
            // second time, the append recognises it.
            return Ok(Accepted::at(first));
        }
        outcome
    }

    /// The races of a caller that depends on a stream which other callers change.
    pub(crate) fn watching(&self) -> Contest<'_> {
        Contest::watching(&self.turns)
    }

    /// The position of the last event in the log.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn head<E>(&self) -> Result<Position, CommandError<E>> {
        Ok(self.store.head().await?)
    }
}

impl Accepted {
    fn at(head: StreamHead) -> Self {
        Self {
            place: head.place(),
            aggregate_id: head.stream.aggregate_id,
            sequence: head.sequence,
        }
    }
}

/// Admits every state.
fn every<A: Aggregate>(_: &A) -> Result<(), A::Error> {
    Ok(())
}
