//! Lookups of places in the log.

use ironstar_adapters::system::SystemIdSource;
use ironstar_app::history::{Resolved, last_of_stream, resolve};
use ironstar_app::{EventFeed, FeedError};
use ironstar_ports::{
    Append, EventStore, ExpectedSequence, IdSource, LogPlace, Metadata, NewEvent, Payload,
    Position, Sequence, StoreError, StreamId,
};

use crate::feed::HINTS_ONLY;
use crate::support::{TestStore, append, memory_bus, memory_store};

#[tokio::test]
async fn last_event_of_a_stream_up_to_a_position_is_found_in_a_few_reads() {
    // Each bit of the pattern selects the stream of one event.
    for pattern in [
        0,
        u128::MAX,
        0x5555_5555_5555_5555_5555_5555_5555_5555,
        0x0123_4567_89ab_cdef_fedc_ba98_7654_3210,
        0xffff_ffff_0000_0001_8000_0000_0000_0001,
    ] {
        let memory = memory_store();
        let store = TestStore::counting(memory.clone());
        let streams = [StreamId::new("Test", "0"), StreamId::new("Test", "1")];
        let mut counts = [0, 0];
        for position in 1..=128 {
            let of = usize::from(pattern >> (position - 1) & 1 == 1);
            memory.append(event(&streams[of])).await.expect("appended");
            counts[of] += 1;
        }
        let mut before = [0, 0];
        for position in 0..=128 {
            if position > 0 {
                before[usize::from(pattern >> (position - 1) & 1 == 1)] += 1;
            }
            for (stream, count) in streams.iter().zip(before) {
                let expected = (count as u64).checked_sub(1).map(Sequence::new);
                let read = store.streamed();
                let found = last_of_stream(&store, stream, Position::new(position)).await;
                assert_eq!(found.expect("read"), expected, "{pattern:x} at {position}");
                assert!(store.streamed() - read <= 2 * 8 + 1);
            }
        }
        assert_eq!(before, counts);
    }
}

fn event(stream: &StreamId) -> Append {
    let event = NewEvent {
        event_type: "happened".to_owned(),
        schema_version: 1,
        payload: Payload::from_text("{}".to_owned()).expect("JSON"),
        metadata: Metadata::new(SystemIdSource.next_id()),
    };
    Append::to_stream(stream.clone(), ExpectedSequence::Any, vec![event])
}

#[tokio::test]
async fn place_of_a_missing_event_does_not_match_the_next_event() {
    let memory = memory_store();
    append(&*memory, 3).await;
    let store = TestStore::with_a_gap(memory.clone());
    let log = memory.load_after(Position::START, 1).await.expect("read");
    let unmarked = LogPlace::unmarked(Position::new(1));
    let marked = log[0].place();
    let resolved = async |place| resolve(&store, place).await.expect("read");
    assert_eq!(resolved(unmarked).await, Resolved::Beyond);
    assert_eq!(resolved(marked).await, Resolved::Elsewhere);
    // The next event says nothing about the missing one, even if it is damaged.
    store.damage([Position::new(2)]);
    for place in [unmarked, marked] {
        let error = resolve(&store, place)
            .await
            .expect_err("the place is unknown");
        let StoreError::Damaged { position, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(position, Position::new(2));
    }
}

#[tokio::test]
async fn missing_event_is_reported_before_a_damaged_event_behind_it() {
    let memory = memory_store();
    append(&*memory, 3).await;
    let store = std::sync::Arc::new(TestStore::with_a_gap(memory));
    let feed = EventFeed::start(store.clone(), &*memory_bus(), HINTS_ONLY).await;
    let feed = feed.expect("started");
    for damaged in [false, true] {
        if damaged {
            store.damage([Position::new(2)]);
        }
        let page = feed.page_after(LogPlace::START, 10).await;
        let error = page.expect_err("an event is missing");
        let FeedError::Gap { expected, found } = error else {
            panic!("{error:?}");
        };
        assert_eq!((expected.get(), found.get()), (1, 2));
    }
}
