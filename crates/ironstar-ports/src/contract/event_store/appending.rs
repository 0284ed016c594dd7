//! The rules of appends.

use serde_json::json;
use uuid::Uuid;

use super::Store;
use super::support::{
    NoStream, append, append_all, conflict, event, exact, head, log, position_numbers, refused,
    sequence_numbers, some_events, stream, stream_events,
};
use crate::contract::{Verdict, Violation, equal};
use crate::{Append, AppendError, ExpectedSequence, Mark, Position, Sequence, StreamAppend};

/// A new store has no events: its head, log and streams are empty.
pub(super) async fn empty_store(store: Store) -> Verdict {
    equal("head", head(&store).await?, Position::START)?;
    equal("log", log(&store).await?, vec![])?;
    equal("stream", stream_events(&store, &stream(1)).await?, vec![])
}

/// Events are read as they were appended, both from the stream and from the log.
pub(super) async fn round_trip(store: Store) -> Verdict {
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
    equal("sequence", Some(envelope.sequence), appended.sequence)?;
    equal("event type", &envelope.event_type, &event.event_type)?;
    equal("schema version", envelope.schema_version, 7)?;
    equal("payload", &envelope.payload, &event.payload)?;
    equal("metadata", &envelope.metadata, &event.metadata)?;
    equal("log", log(&store).await?, vec![envelope.clone()])
}

/// Sequences count from 0 within each stream, across appends.
pub(super) async fn sequences(store: Store) -> Verdict {
    let first = append(&store, stream(1), NoStream, some_events(2)).await?;
    let other = append(&store, stream(2), NoStream, some_events(1)).await?;
    let second = append(&store, stream(1), exact(1), some_events(1)).await?;
    equal("first append", first.sequence, Some(Sequence::new(1)))?;
    equal("other stream", other.sequence, Some(Sequence::FIRST))?;
    equal("second append", second.sequence, Some(Sequence::new(2)))?;
    let stored = stream_events(&store, &stream(1)).await?;
    equal("stored", sequence_numbers(&stored), vec![0, 1, 2])
}

/// Positions count from 1 over the whole log, and the head is the last position.
pub(super) async fn positions(store: Store) -> Verdict {
    let first = append(&store, stream(1), NoStream, some_events(2)).await?;
    let second = append(&store, stream(2), NoStream, some_events(1)).await?;
    equal("first append", first.position, Position::new(2))?;
    equal("second append", second.position, Position::new(3))?;
    equal("head", head(&store).await?, Position::new(3))?;
    equal("log", position_numbers(&log(&store).await?), vec![1, 2, 3])
}

/// The answer to an append has the mark of the stream's last event.
pub(super) async fn marks(store: Store) -> Verdict {
    for (number, expected) in [(1, NoStream), (3, exact(1))] {
        let ids = [number, number + 1].map(Uuid::from_u128);
        let events = ids.map(|id| {
            let mut event = event("happened", json!({}));
            event.metadata.event_id = id;
            event
        });
        let answer = append(&store, stream(1), expected, events.to_vec()).await?;
        equal("the mark", answer.mark, Some(Mark::of(ids[1])))?;
    }
    Ok(())
}

/// `NoStream` accepts only a stream without events.
pub(super) async fn expect_no_stream(store: Store) -> Verdict {
    append(&store, stream(2), NoStream, some_events(1)).await?;
    append(&store, stream(1), NoStream, some_events(1)).await?;
    conflict(&store, stream(1), NoStream, Some(Sequence::FIRST)).await
}

/// `Exact` accepts only a stream whose last event has that sequence.
pub(super) async fn expect_exact(store: Store) -> Verdict {
    conflict(&store, stream(1), exact(0), None).await?;
    append(&store, stream(1), NoStream, some_events(2)).await?;
    let last = Some(Sequence::new(1));
    conflict(&store, stream(1), exact(0), last).await?;
    conflict(&store, stream(1), exact(2), last).await?;
    append(&store, stream(1), exact(1), some_events(1)).await?;
    conflict(&store, stream(2), exact(u64::MAX), None).await
}

/// `Any` accepts every stream.
pub(super) async fn expect_any(store: Store) -> Verdict {
    append(&store, stream(1), ExpectedSequence::Any, some_events(1)).await?;
    append(&store, stream(1), ExpectedSequence::Any, some_events(1)).await?;
    Ok(())
}

/// A refused append leaves no trace, not even a gap.
pub(super) async fn conflict_appends_nothing(store: Store) -> Verdict {
    append(&store, stream(1), NoStream, some_events(2)).await?;
    let before = log(&store).await?;
    refused(&store, stream(1), exact(0), some_events(2)).await?;
    equal("log after the conflict", log(&store).await?, before)?;
    let next = append(&store, stream(1), exact(1), some_events(1)).await?;
    equal("next position", next.position, Position::new(3))?;
    equal("next sequence", next.sequence, Some(Sequence::new(2)))
}

/// An append without events is refused.
pub(super) async fn empty_append(store: Store) -> Verdict {
    let empty = Append::to_stream(stream(1), ExpectedSequence::Any, vec![]);
    let outcome = store.append(empty).await;
    if matches!(outcome, Err(AppendError::Empty)) {
        return Ok(());
    }
    Err(Violation(format!(
        "an append without events must be refused as such, but: {outcome:?}"
    )))
}

/// An append may name several streams, and one of them twice. Positions follow the append's
/// order, and the answer has the end of each stream.
pub(super) async fn several_streams(store: Store) -> Verdict {
    append(&store, stream(2), NoStream, some_events(1)).await?;
    let appended = append_all(
        &store,
        vec![
            (stream(1), NoStream, some_events(2)),
            (stream(2), exact(0), some_events(1)),
            (stream(1), exact(1), some_events(1)),
        ],
    )
    .await?;
    let heads: Vec<_> = appended
        .streams
        .iter()
        .map(|head| (&head.stream, head.sequence, head.position))
        .collect();
    let (one, two) = (stream(1), stream(2));
    let expected = vec![
        (&one, Some(Sequence::new(1)), Position::new(3)),
        (&two, Some(Sequence::new(1)), Position::new(4)),
        (&one, Some(Sequence::new(2)), Position::new(5)),
    ];
    equal("the answer", heads, expected)?;
    let order: Vec<_> = log(&store)
        .await?
        .into_iter()
        .map(|event| event.stream)
        .collect();
    let expected = [2, 1, 1, 2, 1].map(stream).to_vec();
    equal("the streams in the log", order, expected)
}

/// If one of several streams does not have the expected sequence, no stream gets an event.
pub(super) async fn all_or_none(store: Store) -> Verdict {
    append(&store, stream(2), NoStream, some_events(2)).await?;
    for appends in [
        [(stream(1), NoStream), (stream(2), exact(0))],
        [(stream(2), exact(0)), (stream(1), NoStream)],
    ] {
        let streams = appends.map(|(stream, expected)| StreamAppend {
            stream,
            expected,
            events: some_events(1),
        });
        let outcome = store
            .append(Append {
                streams: streams.to_vec(),
                command: None,
            })
            .await;
        let is_conflict = matches!(
            &outcome,
            Err(AppendError::Conflict { stream: of, .. }) if *of == stream(2)
        );
        if !is_conflict {
            return Err(Violation(format!(
                "stream 2 must conflict, but: {outcome:?}"
            )));
        }
        equal("head", head(&store).await?, Position::new(2))?;
        equal("stream 1", stream_events(&store, &stream(1)).await?, vec![])?;
    }
    Ok(())
}

/// Later appends do not change stored events.
pub(super) async fn immutable(store: Store) -> Verdict {
    let first = vec![event("happened", json!({"first": true}))];
    append(&store, stream(1), NoStream, first).await?;
    let before = log(&store).await?;
    append(&store, stream(1), exact(0), some_events(3)).await?;
    append(&store, stream(2), NoStream, some_events(3)).await?;
    let mut after = log(&store).await?;
    after.truncate(before.len());
    equal("the first event", after, before)
}
