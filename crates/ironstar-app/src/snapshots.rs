//! Snapshots, which save a command from reading a long stream from its start.
//!
//! Snapshots are saved in the background, and checked before use. A snapshot is used only if:
//!
//! - the code that made it is exactly the code that runs now,
//! - its state can be parsed,
//! - the stream still has the event after which it was made.
//!
//! Otherwise the whole stream is read as if there were no snapshot. A new snapshot replaces the
//! old one after enough events have been read again.

use std::sync::Arc;

use ironstar_domain::Aggregate;
use ironstar_ports::{
    EventStore, LogPlace, Payload, Sequence, Snapshot, SnapshotStore, StoreError, StreamHead,
    StreamId,
};

/// A stream gets a snapshot each time that it has grown by this many events.
pub(crate) const SNAPSHOT_EVERY: u64 = 128;

/// The snapshots of all streams.
#[derive(Clone, Debug)]
pub(crate) struct Snapshots {
    store: Arc<dyn SnapshotStore>,
}

impl Snapshots {
    pub(crate) fn new(store: Arc<dyn SnapshotStore>) -> Self {
        Self { store }
    }

    /// The stored state of a stream, with the stream's head at that time. Returns `None` if
    /// there is no valid snapshot.
    pub(crate) async fn load<A: Aggregate>(
        &self,
        events: &dyn EventStore,
        stream: &StreamId,
    ) -> Result<Option<(A, StreamHead)>, StoreError> {
        let snapshot = match self.store.load_snapshot(stream).await {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => return Ok(None),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    %stream,
                    "a snapshot cannot be loaded; reading the whole stream"
                );
                return Ok(None);
            }
        };
        if snapshot.fingerprint != A::FINGERPRINT.to_string() {
            tracing::debug!(%stream, "a snapshot was made by another version of the code");
            return Ok(None);
        }
        let Ok(state) = serde_json::from_str(snapshot.state.as_str()) else {
            tracing::warn!(%stream, "a snapshot cannot be parsed; reading the whole stream");
            return Ok(None);
        };
        let before = snapshot.sequence.get().checked_sub(1).map(Sequence::new);
        let made_after = events.load_stream(stream, before, 1).await?;
        let is_there = made_after.first().is_some_and(|event| {
            let place = LogPlace {
                position: snapshot.position,
                mark: snapshot.mark,
            };
            (event.sequence, event.place()) == (snapshot.sequence, place)
        });
        if !is_there {
            match snapshot.mark {
                Some(_) => {
                    tracing::warn!(%stream, "a snapshot was made of events that the log does not have");
                }
                None => {
                    tracing::debug!(%stream, "a snapshot does not name the event that it was made after");
                }
            }
            return Ok(None);
        }
        let head = StreamHead {
            stream: snapshot.stream,
            sequence: Some(snapshot.sequence),
            position: snapshot.position,
            mark: snapshot.mark,
        };
        Ok(Some((state, head)))
    }

    /// Saves a state in the background, while the caller goes on.
    pub(crate) fn save<A: Aggregate>(&self, state: A, head: StreamHead) {
        let store = Arc::clone(&self.store);
        tokio::spawn(async move {
            let stream = head.stream.clone();
            if let Err(error) = save(&*store, &state, head).await {
                tracing::warn!(error = &*error, %stream, "a snapshot was not saved");
            }
        });
    }
}

/// Returns true if a snapshot is due for a stream that grew from one sequence to another.
pub(crate) fn is_due(before: Option<Sequence>, after: Option<Sequence>) -> bool {
    let passed = |last: Option<Sequence>| last.map_or(0, |last| (last.get() + 1) / SNAPSHOT_EVERY);
    passed(before) < passed(after)
}

async fn save<A: Aggregate>(
    store: &dyn SnapshotStore,
    state: &A,
    head: StreamHead,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let Some(sequence) = head.sequence else {
        return Ok(());
    };
    let snapshot = Snapshot {
        stream: head.stream,
        sequence,
        position: head.position,
        mark: head.mark,
        fingerprint: A::FINGERPRINT.to_string(),
        state: Payload::of(state)?,
    };
    store.save_snapshot(snapshot).await?;
    Ok(())
}
