//! Pages of events, which come as one text with separators in it.

use ironstar_ports::{Append, EventStore, ExpectedSequence, Position, StreamId};
use tempfile::TempDir;

use super::{event, open, url};

/// Ids that have the separators in them: one, the other, and as if a whole event
/// ended in it and another began.
const IDS: [&str; 5] = [
    "plain",
    "a\u{1f}b",
    "a\u{1e}b",
    "\u{1f}\u{1e}",
    "a\u{1f}0\u{1f}created\u{1f}1\u{1f}{}\u{1f}{}\u{1f}2026-11-24T06:00:00.000Z\u{1e}9\u{1f}Todo\u{1f}b",
];

#[tokio::test]
async fn no_text_passes_for_the_end_of_an_event() {
    let directory = TempDir::new().expect("a directory");
    let store = open(&url(&directory)).await;
    for id in IDS {
        let stream = StreamId::new("Todo", id);
        let append = Append::to_stream(stream.clone(), ExpectedSequence::NoStream, vec![event()]);
        store.append(append).await.expect("appended");
        let events = store.load_stream(&stream, None, 10).await.expect("read");
        assert_eq!(events.len(), 1, "{id:?}");
        assert_eq!(events[0].stream, stream);
    }
    for first in 0..IDS.len() {
        for most in 1..=IDS.len() - first {
            let after = Position::new(first as u64);
            let events = store.load_after(after, most).await.expect("read");
            let found: Vec<&str> = events
                .iter()
                .map(|event| &*event.stream.aggregate_id)
                .collect();
            assert_eq!(found, IDS[first..first + most]);
        }
    }
    store.close().await.expect("closed");
}
