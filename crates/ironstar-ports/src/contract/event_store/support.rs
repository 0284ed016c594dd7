//! Events for the rules, and calls that report errors as violations.

use serde_json::json;
use uuid::Uuid;

use super::Store;
use crate::contract::{Verdict, Violation, equal, failed};
use crate::{
    Append, AppendError, Appended, Envelope, ExpectedSequence, Metadata, NewEvent, Origin, Payload,
    Position, Sequence, StreamAppend, StreamHead, StreamId,
};

pub(super) use ExpectedSequence::NoStream;

pub(super) fn stream(id: u64) -> StreamId {
    StreamId::new("Contract", id.to_string())
}

pub(super) fn event(event_type: &str, payload: serde_json::Value) -> NewEvent {
    NewEvent {
        event_type: event_type.to_owned(),
        schema_version: 1,
        payload: Payload::of(&payload).expect("a JSON value is JSON"),
        metadata: Metadata {
            event_id: Uuid::from_u128(0x0193_37a4_7b2f_7c61_9d0e_2f5a_8b1c_3d4e),
            origin: Origin {
                correlation_id: Some("request-1".to_owned()),
                causation_id: Some("command-1".to_owned()),
                actor: Some("Ada".to_owned()),
                step: Some("step-1".to_owned()),
                traceparent: None,
            },
            parent: Some(StreamId::new("Parent", "1/2")),
        },
    }
}

pub(super) fn some_events(count: u64) -> Vec<NewEvent> {
    (0..count)
        .map(|number| event("happened", json!({ "number": number })))
        .collect()
}

pub(super) fn exact(number: u64) -> ExpectedSequence {
    ExpectedSequence::Exact(Sequence::new(number))
}

pub(super) fn sequence_numbers(envelopes: &[Envelope]) -> Vec<u64> {
    envelopes
        .iter()
        .map(|envelope| envelope.sequence.get())
        .collect()
}

pub(super) fn position_numbers(envelopes: &[Envelope]) -> Vec<u64> {
    envelopes
        .iter()
        .map(|envelope| envelope.position.get())
        .collect()
}

/// Appends to one stream, and returns the new end of the stream.
pub(super) async fn append(
    store: &Store,
    stream: StreamId,
    expected: ExpectedSequence,
    events: Vec<NewEvent>,
) -> Result<StreamHead, Violation> {
    let appended = append_all(store, vec![(stream, expected, events)]).await?;
    let one: [StreamHead; 1] = appended
        .streams
        .try_into()
        .map_err(failed("one stream must be answered"))?;
    let [head] = one;
    Ok(head)
}

/// Appends to several streams.
pub(super) async fn append_all(
    store: &Store,
    appends: Vec<(StreamId, ExpectedSequence, Vec<NewEvent>)>,
) -> Result<Appended, Violation> {
    let streams = appends
        .into_iter()
        .map(|(stream, expected, events)| StreamAppend {
            stream,
            expected,
            events,
        })
        .collect();
    let append = Append {
        streams,
        command: None,
    };
    store.append(append).await.map_err(failed("append"))
}

/// Returns the sequence in the answer to an append.
pub(super) fn last_sequence(head: &StreamHead) -> Result<Sequence, Violation> {
    head.sequence
        .ok_or_else(|| Violation("a stream with events must have a sequence".to_owned()))
}

/// Requires that an append is refused, and returns the sequence that the refusal names.
pub(super) async fn refused(
    store: &Store,
    stream: StreamId,
    expected: ExpectedSequence,
    events: Vec<NewEvent>,
) -> Result<Option<Sequence>, Violation> {
    let attempt = Append::to_stream(stream.clone(), expected, events);
    match store.append(attempt).await {
        Err(AppendError::Conflict { actual, .. }) => Ok(actual),
        outcome => Err(Violation(format!(
            "{expected:?} must be refused on {stream}, but: {outcome:?}"
        ))),
    }
}

pub(super) async fn conflict(
    store: &Store,
    stream: StreamId,
    expected: ExpectedSequence,
    actual: Option<Sequence>,
) -> Verdict {
    let named = refused(store, stream, expected, some_events(1)).await?;
    equal("the sequence that the conflict names", named, actual)
}

pub(super) async fn head(store: &Store) -> Result<Position, Violation> {
    store.head().await.map_err(failed("head"))
}

pub(super) async fn log(store: &Store) -> Result<Vec<Envelope>, Violation> {
    store
        .load_after(Position::START, 10_000)
        .await
        .map_err(failed("load_after"))
}

pub(super) async fn stream_events(
    store: &Store,
    stream: &StreamId,
) -> Result<Vec<Envelope>, Violation> {
    store
        .load_stream(stream, None, 10_000)
        .await
        .map_err(failed("load_stream"))
}
