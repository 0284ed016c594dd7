//! A log, and nodes whose commands on remarks are guarded by the note.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use ironstar_adapters::memory::{MemoryEventBus, MemoryEventStore, MemorySnapshotStore};
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_domain::{Access, Principal};
use ironstar_fixtures::note::{NoteCommand, NoteState};
use ironstar_fixtures::remark::{RemarkCommand, RemarkError, RemarkState};
use ironstar_ports::contract::doubles::AroundEventStore;
use ironstar_ports::{Append, AppendError, Appended, EventStore, Position};
use uuid::Uuid;

use crate::caller::Caller;
use crate::command::guard::Pass;
use crate::command::{AcceptedOnAll, CommandContext, CommandError, CommandHandler};

pub(super) const NOTE: Uuid = Uuid::from_u128(1);
pub(super) const REMARK: Uuid = Uuid::from_u128(7);

/// A log on which other things happen before and after each append. The moments are counted
/// from 0.
struct Interrupted {
    inner: Arc<MemoryEventStore>,
    moments: AtomicU64,
    happens: Box<dyn Fn(u64) -> BoxFuture<'static, ()> + Send + Sync>,
}

impl Interrupted {
    async fn pause(&self) {
        (self.happens)(self.moments.fetch_add(1, SeqCst)).await;
    }
}

impl fmt::Debug for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupted").finish_non_exhaustive()
    }
}

#[async_trait]
impl AroundEventStore for Interrupted {
    fn inner(&self) -> &dyn EventStore {
        &*self.inner
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.pause().await;
        let outcome = self.inner.append(append).await;
        self.pause().await;
        outcome
    }
}

/// The commands of a node on the note, and on its remarks.
#[derive(Clone)]
pub(super) struct Node(CommandHandler);

impl Node {
    fn new(store: Arc<dyn EventStore>) -> Self {
        let snapshots = Arc::new(MemorySnapshotStore::new());
        let bus = Arc::new(MemoryEventBus::new());
        let ids = Arc::new(SystemIdSource);
        Self(CommandHandler::new(store, snapshots, bus, ids))
    }

    pub(super) async fn note(&self, command: impl Into<NoteCommand>) {
        let (command, context) = (command.into(), CommandContext::default());
        let done = self.0.execute::<NoteState>(&NOTE, &command, &context);
        done.await.expect("accepted");
    }

    pub(super) async fn create(
        &self,
        context: &CommandContext,
    ) -> Result<Position, CommandError<RemarkError>> {
        let create = RemarkCommand::Create {
            note: NOTE,
            text: "Buy milk".to_owned(),
        };
        self.remark(REMARK, create, context).await
    }

    pub(super) async fn remark(
        &self,
        id: Uuid,
        command: RemarkCommand,
        context: &CommandContext,
    ) -> Result<Position, CommandError<RemarkError>> {
        let is_new = matches!(command, RemarkCommand::Create { .. });
        let guard = || self.guard(is_new, &context.caller).boxed();
        let accepted = self
            .0
            .execute_guarded::<RemarkState>(&id, &command, context, &guard)
            .await?;
        Ok(accepted.place.position)
    }

    /// Closes these remarks of the note.
    pub(super) async fn close(
        &self,
        ids: impl Future<Output = Result<Vec<Uuid>, CommandError<RemarkError>>>,
        context: &CommandContext,
    ) -> Result<AcceptedOnAll, CommandError<RemarkError>> {
        let guard = || self.guard(false, &context.caller).boxed();
        self.0
            .execute_guarded_on_all::<RemarkState, _>(ids, &RemarkCommand::Close, context, &guard)
            .await
    }

    pub(super) async fn close_the_remark(
        &self,
        context: &CommandContext,
    ) -> Result<AcceptedOnAll, CommandError<RemarkError>> {
        self.close(async { Ok(vec![REMARK]) }, context).await
    }

    /// The caller must have the right to edit the note, and an empty note takes no new remarks.
    async fn guard(
        &self,
        is_new: bool,
        caller: &Caller,
    ) -> Result<Pass<RemarkError>, CommandError<RemarkError>> {
        let seen = self.0.see::<NoteState, _>(&NOTE).await?;
        match caller.access(&NOTE, &seen.state) {
            Access::None | Access::Read => Err(CommandError::Refused(RemarkError::NoSuchNote)),
            Access::Edit | Access::Own if is_new && seen.state.text() == Some("") => {
                Ok(Pass::refused(RemarkError::NoteEmpty))
            }
            Access::Edit | Access::Own => Ok(Pass::while_unchanged(&seen.head)),
        }
    }
}

/// A log, and a node on it.
pub(super) struct World {
    events: Arc<MemoryEventStore>,
    pub(super) node: Node,
}

impl World {
    pub(super) fn new() -> Self {
        let events = Arc::new(MemoryEventStore::new(Arc::new(SystemClock)));
        let node = Node::new(events.clone());
        Self { events, node }
    }

    /// A world with a note of this owner.
    pub(super) async fn with_a_note(owner: Option<Principal>) -> Self {
        let world = Self::new();
        let text = "Groceries".to_owned();
        world.node.note(NoteCommand::Create { text, owner }).await;
        world
    }

    /// Another node. These things happen before and after its appends.
    pub(super) fn interrupted(
        &self,
        happens: impl Fn(u64) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Node {
        Node::new(Arc::new(Interrupted {
            inner: self.events.clone(),
            moments: AtomicU64::new(0),
            happens: Box::new(happens),
        }))
    }

    /// Another node. Before each of its first appends, this many, the note gets another text.
    pub(super) fn outrun(&self, times: u64, text: fn(u64) -> String) -> Node {
        let node = self.node.clone();
        self.interrupted(move |moment| {
            let node = node.clone();
            let is_before = moment.is_multiple_of(2) && moment / 2 < times;
            async move {
                if is_before {
                    let text = text(moment);
                    node.note(NoteCommand::Rewrite { text }).await;
                }
            }
            .boxed()
        })
    }

    pub(super) async fn head(&self) -> Position {
        self.events.head().await.expect("read")
    }
}
