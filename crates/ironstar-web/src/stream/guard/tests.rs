use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use ironstar_adapters::memory::{MemoryEventBus, MemoryEventStore, MemorySnapshotStore};
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_app::Caller;
use ironstar_app::access::{Gates, Permit, Resource};
use ironstar_app::{CommandContext, CommandHandler, EventFeed, FeedOptions};
use ironstar_domain::{Access, OwnershipCommand, Principal};
use ironstar_fixtures::note::{NoteCommand, NoteState};
use ironstar_ports::contract::doubles::AroundEventStore;
use ironstar_ports::{Envelope, EventStore, Position, Sequence, StoreError, StreamId};
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use super::{RELOAD, guarded, guarded_side};

/// A store that can delay the next reader of a stream.
#[derive(Debug)]
struct HeldStore {
    inner: Arc<MemoryEventStore>,
    held: Mutex<Option<oneshot::Receiver<()>>>,
}

#[async_trait]
impl AroundEventStore for HeldStore {
    fn inner(&self) -> &dyn EventStore {
        &*self.inner
    }

    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let held = self.held.lock().expect("the lock is not poisoned").take();
        if let Some(held) = held {
            // Dropping the sender ends the delay, so an error of the receiver is expected.
            let _ = held.await;
        }
        self.inner.load_stream(stream, after, limit).await
    }
}

/// A permit for a note that has been handed over to another owner, and the position of the
/// hand-over. The gates notice it only after the returned sender is dropped.
async fn outdated() -> (Permit, Position, oneshot::Sender<()>) {
    let log = Arc::new(MemoryEventStore::new(Arc::new(SystemClock)));
    let bus = Arc::new(MemoryEventBus::new());
    let feed = EventFeed::start(log.clone(), &*bus, FeedOptions::default());
    let feed = feed.await.expect("a feed");
    let handler = |store: Arc<dyn EventStore>| {
        let snapshots = Arc::new(MemorySnapshotStore::new());
        CommandHandler::new(store, snapshots, bus.clone(), Arc::new(SystemIdSource))
    };
    let commands = handler(log.clone());
    let store = Arc::new(HeldStore {
        inner: log,
        held: Mutex::default(),
    });
    let gates = Gates::start(handler(store.clone()), &feed);
    let [ada, bob] = [1, 2].map(|id| Principal::Guest(Uuid::from_u128(id).into()));
    let note = Uuid::from_u128(3);
    let execute = async |command: NoteCommand| {
        let context = CommandContext::default();
        let accepted = commands.execute::<NoteState>(&note, &command, &context);
        accepted.await.expect("accepted").place.position
    };
    let (text, owner) = ("Plans".to_owned(), Some(ada));
    let created = execute(NoteCommand::Create { text, owner }).await;
    let note = Resource::of::<NoteState>(&note);
    let permit = gates.permit(&note, Caller::of(vec![ada]), Access::Read);
    let permit = permit.await.expect("read").expect("let in");
    assert!(permit.holds_at(created).await);
    let (holder, held) = oneshot::channel();
    *store.held.lock().expect("the lock is not poisoned") = Some(held);
    let (from, to) = (Some(ada), bob);
    let since = execute(OwnershipCommand::HandOver { from, to }.into()).await;
    // The task of the gates would end when `Gates` is dropped, so `Gates` is kept alive.
    std::mem::forget(gates);
    while feed.head() < since {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (permit, since, holder)
}

const FRAME: Bytes = Bytes::from_static(b"secret");

#[tokio::test(start_paused = true)]
async fn frame_waits_until_the_right_to_it_is_known() {
    let (permit, since, holder) = outdated().await;
    assert!(permit.holds(), "the gates have not noticed yet");
    let before = Position::new(since.get() - 1);
    let frames = stream::iter([(before, FRAME), (since, FRAME)]);
    let mut frames = guarded(frames.chain(stream::pending()).boxed(), permit);
    let soon = Duration::from_secs(5);
    // The subscriber may still have the frame from before the hand-over.
    let first = timeout(soon, frames.next()).await;
    assert_eq!(first, Ok(Some(FRAME)));
    let next = timeout(soon, frames.next()).await;
    assert!(next.is_err(), "{next:?}");
    drop(holder);
    assert_eq!(frames.next().await, Some(RELOAD));
    assert_eq!(frames.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn side_frame_waits_until_the_right_to_it_is_known() {
    let (permit, _, holder) = outdated().await;
    let side = stream::iter([FRAME]).chain(stream::pending()).boxed();
    let mut side = guarded_side(side, permit);
    let next = timeout(Duration::from_secs(5), side.next()).await;
    assert!(next.is_err(), "{next:?}");
    drop(holder);
    assert_eq!(side.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn idle_stream_reloads_when_permit_is_revoked() {
    let (permit, _, holder) = outdated().await;
    let mut frames = guarded(stream::pending().boxed(), permit);
    assert_eq!(frames.next().now_or_never(), None);
    drop(holder);
    let told = timeout(Duration::from_secs(5), frames.next()).await;
    assert_eq!(told, Ok(Some(RELOAD)));
}
