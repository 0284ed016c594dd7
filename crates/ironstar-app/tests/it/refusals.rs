//! A refused caller with a wrong link cannot learn from the number of reads that a note exists.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use async_trait::async_trait;
use ironstar_adapters::memory::{MemoryEventStore, MemorySnapshotStore};
use ironstar_app::access::{Gates, Resource};
use ironstar_app::caller::Links;
use ironstar_app::{Caller, CommandContext, EventFeed, FeedOptions};
use ironstar_domain::{Access, LinkAccess, Ownership, OwnershipCommand, Principal};
use ironstar_fixtures::note::{NoteCommand, NoteState};
use ironstar_ports::contract::doubles::AroundEventStore;
use ironstar_ports::{
    Envelope, EventStore, Sequence, Snapshot, SnapshotStore, StoreError, StreamId,
};
use uuid::Uuid;

use crate::support::{handler_with, memory_bus, memory_store};

/// Counts the reads of streams and snapshots.
#[derive(Debug)]
struct Counted {
    events: Arc<MemoryEventStore>,
    snapshots: MemorySnapshotStore,
    streams_read: AtomicU64,
    snapshots_read: AtomicU64,
}

#[async_trait]
impl AroundEventStore for Counted {
    fn inner(&self) -> &dyn EventStore {
        &*self.events
    }

    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.streams_read.fetch_add(1, SeqCst);
        self.events.load_stream(stream, after, limit).await
    }
}

#[async_trait]
impl SnapshotStore for Counted {
    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        self.snapshots_read.fetch_add(1, SeqCst);
        self.snapshots.load_snapshot(stream).await
    }

    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.snapshots.save_snapshot(snapshot).await
    }
}

impl Counted {
    fn reads(&self) -> (u64, u64) {
        let (streams, snapshots) = (&self.streams_read, &self.snapshots_read);
        (streams.load(SeqCst), snapshots.load(SeqCst))
    }
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A note with an owner, and with the maximum number of links.
async fn create(store: &Arc<MemoryEventStore>, note: Uuid) {
    let owner = Some(Principal::Guest(Uuid::from_u128(1).into()));
    let text = "Groceries".to_owned();
    let links = (1..=Ownership::MAX_LINKS as u128).map(|number| {
        let link = Uuid::from_u128(number).into();
        let access = LinkAccess::Read;
        OwnershipCommand::CreateLink { link, access }.into()
    });
    let commands = std::iter::once(NoteCommand::Create { text, owner }).chain(links);
    let handler = handler_with(store.clone(), Arc::new(MemorySnapshotStore::new()));
    for command in commands {
        handler
            .execute::<NoteState>(&note, &command, &CommandContext::default())
            .await
            .expect("accepted");
    }
}

#[tokio::test]
async fn wrong_link_takes_equal_reads_for_existing_and_missing_notes() {
    let store = memory_store();
    create(&store, id(1)).await;
    let counted = Arc::new(Counted {
        events: store.clone(),
        snapshots: MemorySnapshotStore::new(),
        streams_read: AtomicU64::new(0),
        snapshots_read: AtomicU64::new(0),
    });
    let feed = EventFeed::start(store.clone(), &*memory_bus(), FeedOptions::default())
        .await
        .expect("a feed");
    let gates = Gates::start(handler_with(counted.clone(), counted.clone()), &feed);
    let links = Links::new([7; 32]);
    let wrong = links.token_of::<NoteState>(&id(3), Uuid::from_u128(1).into());
    let reads_of = async |note: Uuid| {
        let before = counted.reads();
        let caller = Caller::anonymous().by_link(Some(links.presented(wrong)));
        let permit = gates
            .permit(&Resource::of::<NoteState>(&note), caller, Access::Read)
            .await;
        assert!(permit.expect("the note can be read").is_none());
        let after = counted.reads();
        (after.0 - before.0, after.1 - before.1)
    };
    for attempt in 1..=3 {
        let (there, not_there) = (reads_of(id(1)).await, reads_of(id(2)).await);
        assert_eq!(there, not_there, "attempt {attempt}");
    }
}
