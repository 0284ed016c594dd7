//! Snapshots: how a long stream is not read from its start.
//!
//! They are kept in passing and used with suspicion. One is used if the code
//! that made it is this very code, if it can be read, and if the stream still
//! has the event that it was made after; otherwise it is as if there were none,
//! and a new one takes its place when enough has been read again.

use std::sync::Arc;

use ironstar_domain::Aggregate;
use ironstar_ports::{
    EventStore, LogPlace, Payload, Sequence, Snapshot, SnapshotStore, StoreError, StreamHead,
    StreamId,
};

/// How many events of a stream are worth a snapshot.
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

    /// The state that is kept for a stream, and where the stream was then; if
    /// there is one that fits.
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
            tracing::debug!(%stream, "a snapshot was made by other code");
            return Ok(None);
        }
        let Ok(state) = serde_json::from_str(snapshot.state.as_str()) else {
            tracing::warn!(%stream, "a snapshot is not a state");
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
                    tracing::debug!(%stream, "a snapshot does not tell which event it was made after");
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

    /// Keeps a state, while the caller goes on.
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

/// Whether a stream that grew from one sequence to another has passed the place
/// for a snapshot.
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
