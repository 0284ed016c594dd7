//! Pages of events, which arrive as one text with separators.

use ironstar_ports::{Append, EventStore, ExpectedSequence, Position, StreamId};
use tempfile::TempDir;

use super::{event, open, url};

/// Ids that contain separators: of columns, of events, and in an imitation of the end of one
/// event and the start of another.
const IDS: [&str; 5] = [
    "plain",
    "a\u{1f}b",
    "a\u{1e}b",
    "\u{1f}\u{1e}",
    "a\u{1f}0\u{1f}created\u{1f}1\u{1f}{}\u{1f}{}\u{1f}2026-11-24T06:00:00.000Z\u{1e}9\u{1f}Todo\u{1f}b",
];

#[tokio::test]
async fn text_with_separators_does_not_pass_for_the_end_of_an_event() {
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
