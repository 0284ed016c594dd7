//! The promises of [`SnapshotStore`].

use std::sync::Arc;

use futures::FutureExt;
use uuid::Uuid;

use super::{Rule, Verdict, Violation, equal, failed};
use crate::{Mark, Payload, Position, Sequence, Snapshot, SnapshotStore, StreamId};

type Store = Arc<dyn SnapshotStore>;

/// All rules, in reading order.
pub const RULES: &[Rule<Store>] = &[
    rule!("snapshot-round-trip", round_trip),
    rule!("snapshot-of-each-stream", of_each_stream),
    rule!("snapshot-saved-last", saved_last),
];

/// A snapshot is loaded as it was saved.
async fn round_trip(store: Store) -> Verdict {
    let saved = snapshot("Todo", "1", 5);
    save(&store, &saved).await?;
    equal("snapshot", load(&store, &saved.stream).await?, Some(saved))
}

/// Each stream has its own snapshot, or none. The type and the id of a stream both count.
async fn of_each_stream(store: Store) -> Verdict {
    let saved = [
        snapshot("Todo", "1", 5),
        snapshot("Todo", "2", 6),
        snapshot("List", "1", 7),
    ];
    for snapshot in &saved {
        save(&store, snapshot).await?;
    }
    for snapshot in &saved {
        expect(&store, &snapshot.stream, Some(snapshot.sequence)).await?;
    }
    expect(&store, &StreamId::new("List", "2"), None).await
}

/// A snapshot replaces the former one, even if that has a later sequence: the saver found that
/// the former snapshot did not fit.
async fn saved_last(store: Store) -> Verdict {
    for sequence in [5, 9, 7] {
        let saved = snapshot("Todo", "1", sequence);
        save(&store, &saved).await?;
        expect(&store, &saved.stream, Some(saved.sequence)).await?;
    }
    Ok(())
}

/// A unique snapshot.
fn snapshot(aggregate_type: &str, id: &str, sequence: u64) -> Snapshot {
    let text = format!(r#"{{"text":"🦀 {aggregate_type} {id}","at":{sequence}}}"#);
    Snapshot {
        stream: StreamId::new(aggregate_type, id),
        sequence: Sequence::new(sequence),
        position: Position::new(sequence * 3 + 1),
        mark: Some(Mark::of(Uuid::from_u128(sequence.into()))),
        fingerprint: format!("fingerprint-{sequence}"),
        state: Payload::from_text(text).expect("it is JSON"),
    }
}

async fn save(store: &Store, snapshot: &Snapshot) -> Verdict {
    let saved = store.save_snapshot(snapshot.clone()).await;
    saved.map_err(failed("save_snapshot"))
}

async fn load(store: &Store, stream: &StreamId) -> Result<Option<Snapshot>, Violation> {
    let loaded = store.load_snapshot(stream).await;
    loaded.map_err(failed("load_snapshot"))
}

/// Requires that the stream has a snapshot with this sequence, or none.
async fn expect(store: &Store, stream: &StreamId, sequence: Option<Sequence>) -> Verdict {
    let loaded = load(store, stream).await?;
    let actual = loaded.map(|snapshot| snapshot.sequence);
    equal("the sequence of a snapshot", actual, sequence)
}
