//! The promises of [`EventStore`].

use std::sync::Arc;

use futures::FutureExt;
use futures::future::join_all;
use serde_json::json;
use uuid::Uuid;

use super::{Outcome, Rule, Violation, equal, failed};
use crate::{
    Append, AppendError, Appended, Envelope, EventStore, ExpectedSequence, Metadata, NewEvent,
    Payload, Position, Sequence, StreamId,
};

use ExpectedSequence::NoStream;

type Store = Arc<dyn EventStore>;

/// Every rule, in reading order.
pub const RULES: &[Rule<Store>] = &[
    Rule {
        name: "empty-store",
        check: |store| empty_store(store).boxed(),
    },
    Rule {
        name: "round-trip",
        check: |store| round_trip(store).boxed(),
    },
    Rule {
        name: "sequences",
        check: |store| sequences(store).boxed(),
    },
    Rule {
        name: "positions",
        check: |store| positions(store).boxed(),
    },
    Rule {
        name: "expect-no-stream",
        check: |store| expect_no_stream(store).boxed(),
    },
    Rule {
        name: "expect-exact",
        check: |store| expect_exact(store).boxed(),
    },
    Rule {
        name: "expect-any",
        check: |store| expect_any(store).boxed(),
    },
    Rule {
        name: "conflict-appends-nothing",
        check: |store| conflict_appends_nothing(store).boxed(),
    },
    Rule {
        name: "empty-append",
        check: |store| empty_append(store).boxed(),
    },
    Rule {
        name: "one-winner",
        check: |store| one_winner(store).boxed(),
    },
    Rule {
        name: "contiguous-under-contention",
        check: |store| contiguous_under_contention(store).boxed(),
    },
    Rule {
        name: "visible-in-order",
        check: |store| visible_in_order(store).boxed(),
    },
    Rule {
        name: "stream-paging",
        check: |store| stream_paging(store).boxed(),
    },
    Rule {
        name: "log-paging",
        check: |store| log_paging(store).boxed(),
    },
];

/// A new store has no events, and says so everywhere.
async fn empty_store(store: Store) -> Outcome {
    equal("head", head(&store).await?, Position::START)?;
    equal("log", log(&store).await?, vec![])?;
    equal("stream", stream_events(&store, &stream(1)).await?, vec![])
}

/// What was appended is what is read, by stream and in the log.
async fn round_trip(store: Store) -> Outcome {
    let mut event = event("renamed", json!({"text": "Grüße \u{1F31F} \"'\\\u{2028}"}));
    event.schema_version = 7;
    let appended = append(
        &store,
        stream(1),
        ExpectedSequence::Any,
        vec![event.clone()],
    )
    .await?;
    let [envelope] = &stream_events(&store, &stream(1)).await?[..] else {
        return Err(Violation("the stream must have one event".to_owned()));
    };
    equal("stream", &envelope.stream, &stream(1))?;
    equal("position", envelope.position, appended.position)?;
    equal("sequence", envelope.sequence, appended.sequence)?;
    equal("event type", &envelope.event_type, &event.event_type)?;
    equal("schema version", envelope.schema_version, 7)?;
    equal("payload", &envelope.payload, &event.payload)?;
    equal("metadata", &envelope.metadata, &event.metadata)?;
    equal("log", log(&store).await?, vec![envelope.clone()])
}

/// Sequences count from 0 within each stream, across appends.
async fn sequences(store: Store) -> Outcome {
    let first = append(&store, stream(1), NoStream, some_events(2)).await?;
    let other = append(&store, stream(2), NoStream, some_events(1)).await?;
    let second = append(&store, stream(1), exact(1), some_events(1)).await?;
    equal("first append", first.sequence, Sequence::new(1))?;
    equal("other stream", other.sequence, Sequence::FIRST)?;
    equal("second append", second.sequence, Sequence::new(2))?;
    let stored = stream_events(&store, &stream(1)).await?;
    equal("stored", sequence_numbers(&stored), vec![0, 1, 2])
}

/// Positions count from 1 over the whole log, and the head is the last.
async fn positions(store: Store) -> Outcome {
    let first = append(&store, stream(1), NoStream, some_events(2)).await?;
    let second = append(&store, stream(2), NoStream, some_events(1)).await?;
    equal("first append", first.position, Position::new(2))?;
    equal("second append", second.position, Position::new(3))?;
    equal("head", head(&store).await?, Position::new(3))?;
    equal("log", position_numbers(&log(&store).await?), vec![1, 2, 3])
}

/// `NoStream` is met by a stream without events only.
async fn expect_no_stream(store: Store) -> Outcome {
    append(&store, stream(2), NoStream, some_events(1)).await?;
    append(&store, stream(1), NoStream, some_events(1)).await?;
    conflict(&store, stream(1), NoStream, Some(Sequence::FIRST)).await
}

/// `Exact` is met by a stream whose last event has that sequence only.
async fn expect_exact(store: Store) -> Outcome {
    conflict(&store, stream(1), exact(0), None).await?;
    append(&store, stream(1), NoStream, some_events(2)).await?;
    let last = Some(Sequence::new(1));
    conflict(&store, stream(1), exact(0), last).await?;
    conflict(&store, stream(1), exact(2), last).await?;
    append(&store, stream(1), exact(1), some_events(1)).await?;
    Ok(())
}

/// `Any` is always met.
async fn expect_any(store: Store) -> Outcome {
    append(&store, stream(1), ExpectedSequence::Any, some_events(1)).await?;
    append(&store, stream(1), ExpectedSequence::Any, some_events(1)).await?;
    Ok(())
}

/// An append that is refused leaves no trace, not even a gap.
async fn conflict_appends_nothing(store: Store) -> Outcome {
    append(&store, stream(1), NoStream, some_events(2)).await?;
    let before = log(&store).await?;
    refused(&store, stream(1), exact(0), some_events(2)).await?;
    equal("log after the conflict", log(&store).await?, before)?;
    let next = append(&store, stream(1), exact(1), some_events(1)).await?;
    equal("next position", next.position, Position::new(3))?;
    equal("next sequence", next.sequence, Sequence::new(2))
}

/// An append without events is refused.
async fn empty_append(store: Store) -> Outcome {
    match store
        .append(Append {
            stream: stream(1),
            expected: ExpectedSequence::Any,
            events: vec![],
        })
        .await
    {
        Err(AppendError::Empty) => Ok(()),
        Err(AppendError::Conflict { .. } | AppendError::Store(_)) | Ok(_) => Err(Violation(
            "an append without events must be refused as such".to_owned(),
        )),
    }
}

/// Of many who expect the same sequence at once, one wins.
async fn one_winner(store: Store) -> Outcome {
    append(&store, stream(1), NoStream, some_events(1)).await?;
    for round in 0..8 {
        let outcomes = join_all((0..16).map(|_| {
            store.append(Append {
                stream: stream(1),
                expected: exact(round),
                events: some_events(1),
            })
        }))
        .await;
        let winners = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        equal("winners", winners, 1)?;
        for error in outcomes.into_iter().filter_map(Result::err) {
            if !matches!(error, AppendError::Conflict { .. }) {
                return Err(failed("a loser must see a conflict")(error));
            }
        }
    }
    let stored = stream_events(&store, &stream(1)).await?;
    equal("stored", sequence_numbers(&stored), (0..9).collect())
}

/// Positions have no gaps and no doubles, and neither have sequences, whoever
/// appends and is refused at the same time.
async fn contiguous_under_contention(store: Store) -> Outcome {
    let rivals = join_all((0..32).map(|_| contend(&store)));
    let loners = join_all((1..=32).map(|id| extend(&store, stream(id), 8)));
    let (rivals, loners) = futures::join!(rivals, loners);
    let won: u64 = rivals
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?
        .iter()
        .sum();
    loners.into_iter().collect::<Outcome>()?;
    let stored = log(&store).await?;
    let total = won + 32 * 8;
    equal("log", position_numbers(&stored), (1..=total).collect())?;
    for id in 1..=32 {
        let stored = stream_events(&store, &stream(id)).await?;
        equal("one stream", sequence_numbers(&stored), (0..8).collect())?;
    }
    Ok(())
}

/// A reader that follows the log while others append never sees an event
/// before those below it.
async fn visible_in_order(store: Store) -> Outcome {
    let follow = async {
        let mut last = Position::START;
        while last.get() < 8 * 25 {
            let page = store.load_after(last, 50).await;
            for envelope in page.map_err(failed("load_after"))? {
                equal("the next position", envelope.position, last.next())?;
                last = envelope.position;
            }
            let_others_run().await;
        }
        Ok(())
    };
    let write = join_all((1..=8).map(|id| extend(&store, stream(id), 25)));
    let (followed, written) = futures::join!(follow, write);
    written.into_iter().collect::<Outcome>().and(followed)
}

/// A stream is read in pages, after a sequence.
async fn stream_paging(store: Store) -> Outcome {
    append(&store, stream(2), NoStream, some_events(3)).await?;
    append(&store, stream(1), NoStream, some_events(5)).await?;
    append(&store, stream(2), exact(2), some_events(3)).await?;
    for (after, limit, expected) in [
        (None, 2, vec![0, 1]),
        (Some(1), 2, vec![2, 3]),
        (Some(3), 2, vec![4]),
        (Some(4), 2, vec![]),
        (Some(9), 2, vec![]),
        (None, 5, vec![0, 1, 2, 3, 4]),
    ] {
        let page = store
            .load_stream(&stream(1), after.map(Sequence::new), limit)
            .await
            .map_err(failed("load_stream"))?;
        equal("page", sequence_numbers(&page), expected)?;
        let foreign = page.iter().any(|envelope| envelope.stream != stream(1));
        equal("foreign events", foreign, false)?;
    }
    Ok(())
}

/// The log is read in pages, after a position.
async fn log_paging(store: Store) -> Outcome {
    append(&store, stream(1), NoStream, some_events(3)).await?;
    append(&store, stream(2), NoStream, some_events(2)).await?;
    for (after, limit, expected) in [
        (0, 2, vec![1, 2]),
        (2, 2, vec![3, 4]),
        (4, 2, vec![5]),
        (5, 2, vec![]),
        (9, 2, vec![]),
        (0, 5, vec![1, 2, 3, 4, 5]),
    ] {
        let page = store
            .load_after(Position::new(after), limit)
            .await
            .map_err(failed("load_after"))?;
        equal("page", position_numbers(&page), expected)?;
    }
    Ok(())
}

fn stream(id: u64) -> StreamId {
    StreamId::new("Contract", id.to_string())
}

fn event(event_type: &str, payload: serde_json::Value) -> NewEvent {
    NewEvent {
        event_type: event_type.to_owned(),
        schema_version: 1,
        payload: Payload::of(&payload).expect("a JSON value is JSON"),
        metadata: Metadata {
            event_id: Uuid::from_u128(0x0193_37a4_7b2f_7c61_9d0e_2f5a_8b1c_3d4e),
        },
    }
}

fn some_events(count: u64) -> Vec<NewEvent> {
    (0..count)
        .map(|number| event("happened", json!({ "number": number })))
        .collect()
}

fn exact(number: u64) -> ExpectedSequence {
    ExpectedSequence::Exact(Sequence::new(number))
}

fn sequence_numbers(envelopes: &[Envelope]) -> Vec<u64> {
    envelopes
        .iter()
        .map(|envelope| envelope.sequence.get())
        .collect()
}

fn position_numbers(envelopes: &[Envelope]) -> Vec<u64> {
    envelopes
        .iter()
        .map(|envelope| envelope.position.get())
        .collect()
}

async fn append(
    store: &Store,
    stream: StreamId,
    expected: ExpectedSequence,
    events: Vec<NewEvent>,
) -> Result<Appended, Violation> {
    store
        .append(Append {
            stream,
            expected,
            events,
        })
        .await
        .map_err(failed("append"))
}

/// Appends `count` events to a stream, one at a time.
async fn extend(store: &Store, stream: StreamId, count: u64) -> Outcome {
    let mut expected = NoStream;
    for _ in 0..count {
        let appended = append(store, stream.clone(), expected, some_events(1)).await?;
        expected = ExpectedSequence::Exact(appended.sequence);
        let_others_run().await;
    }
    Ok(())
}

/// Tries to be the first on stream 0 a few times. Returns how often it was.
async fn contend(store: &Store) -> Result<u64, Violation> {
    let mut won = 0;
    for _ in 0..4 {
        let attempt = Append {
            stream: stream(0),
            expected: NoStream,
            events: some_events(1),
        };
        match store.append(attempt).await {
            Ok(_) => won += 1,
            Err(AppendError::Conflict { .. }) => {}
            Err(error @ (AppendError::Empty | AppendError::Store(_))) => {
                return Err(failed("append")(error));
            }
        }
        let_others_run().await;
    }
    Ok(won)
}

/// Appends what must be refused, and returns where the stream is said to be.
async fn refused(
    store: &Store,
    stream: StreamId,
    expected: ExpectedSequence,
    events: Vec<NewEvent>,
) -> Result<Option<Sequence>, Violation> {
    let attempt = Append {
        stream: stream.clone(),
        expected,
        events,
    };
    match store.append(attempt).await {
        Err(AppendError::Conflict { actual, .. }) => Ok(actual),
        outcome @ (Ok(_) | Err(AppendError::Empty | AppendError::Store(_))) => Err(Violation(
            format!("{expected:?} must be refused on {stream}, but: {outcome:?}"),
        )),
    }
}

async fn conflict(
    store: &Store,
    stream: StreamId,
    expected: ExpectedSequence,
    actual: Option<Sequence>,
) -> Outcome {
    let named = refused(store, stream, expected, some_events(1)).await?;
    equal("the sequence that the conflict names", named, actual)
}

async fn head(store: &Store) -> Result<Position, Violation> {
    store.head().await.map_err(failed("head"))
}

async fn log(store: &Store) -> Result<Vec<Envelope>, Violation> {
    store
        .load_after(Position::START, 10_000)
        .await
        .map_err(failed("load_after"))
}

async fn stream_events(store: &Store, stream: &StreamId) -> Result<Vec<Envelope>, Violation> {
    store
        .load_stream(stream, None, 10_000)
        .await
        .map_err(failed("load_stream"))
}

/// Gives way, so that an adapter whose futures are always ready is used by
/// many at once too.
async fn let_others_run() {
    let mut yielded = false;
    futures::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
