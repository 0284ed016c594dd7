//! From events to the log, with a hint on the bus.

use std::sync::Arc;

use ironstar_domain::Aggregate;
use ironstar_ports::{
    Append, AppendError, Appended, ExpectedSequence, Key, Metadata, NewEvent, Origin, PayloadError,
    Sequence, StreamAppend, StreamId,
};

use super::decide::Loaded;
use super::{Accepted, CommandHandler};
use crate::codec::encode;
use crate::finish::finish;

impl CommandHandler {
    /// The first event of an aggregate, to be stored together with the events of a command on
    /// another aggregate: see [`CommandContext::also`](super::CommandContext::also).
    ///
    /// # Errors
    ///
    /// If the event has no stored form.
    pub fn first_event<A: Aggregate>(
        &self,
        id: &A::Id,
        event: &A::Event,
        origin: &Origin,
    ) -> Result<StreamAppend, PayloadError> {
        Ok(StreamAppend {
            stream: StreamId::new(A::TYPE, id.to_string()),
            expected: ExpectedSequence::NoStream,
            events: self.encode(&A::default(), std::slice::from_ref(event), origin)?,
        })
    }

    /// Makes the events that were decided on a state ready to be stored.
    pub(super) fn encode<A: Aggregate>(
        &self,
        state: &A,
        events: &[A::Event],
        origin: &Origin,
    ) -> Result<Vec<NewEvent>, PayloadError> {
        // Events that create an aggregate also name its parent.
        let parent = state
            .parent()
            .or_else(|| events.iter().fold(state.clone(), A::apply).parent())
            .map(|parent| StreamId::new(parent.aggregate_type, parent.aggregate_id));
        events
            .iter()
            .map(|event| {
                let metadata = Metadata {
                    event_id: self.ids.next_id(),
                    origin: origin.clone(),
                    parent: parent.clone(),
                };
                encode(event, metadata)
            })
            .collect()
    }

    /// Appends the events and publishes the hints: both or neither, even if the caller is
    /// dropped in between.
    pub(super) async fn append_and_hint(&self, append: Append) -> Result<Appended, AppendError> {
        let (store, bus) = (Arc::clone(&self.store), Arc::clone(&self.bus));
        finish(async move {
            // Streams that are only guarded have not changed.
            let changed = append.streams.iter();
            let changed = changed.filter(|append| !append.events.is_empty());
            let keys: Vec<Key> = changed.flat_map(keys).collect();
            let appended = store.append(append).await?;
            let hint = appended.place().position.to_string();
            for key in keys {
                if let Err(error) = bus.publish(&key, hint.as_bytes()).await {
                    // The events are stored: feeds find them at their next poll.
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        %key,
                        "a hint was not published"
                    );
                }
            }
            Ok(appended)
        })
        .await
    }

    /// Keeps the state that results from the events, and returns its place.
    ///
    /// If the store recognised a repeated command, it has returned the answer of the first run.
    /// Then these events were not stored, and the state is not kept.
    pub(super) fn keep<A: Aggregate>(
        &self,
        loaded: Loaded<A>,
        events: &[A::Event],
        appended: Appended,
    ) -> Accepted {
        let Some(head) = appended.streams.into_iter().next() else {
            return loaded.accepted();
        };
        let appended = head.sequence.map(Sequence::get);
        let before = loaded.head.sequence.map_or(0, |last| last.get() + 1);
        let is_ours = head.stream == loaded.head.stream
            && appended.map(|last| last + 1) == Some(before + events.len() as u64);
        if is_ours {
            let state = events.iter().fold(loaded.state, A::apply);
            self.snapshot(loaded.head.sequence, &state, &head);
            self.warm.put(state, head.clone());
        }
        Accepted::at(head)
    }
}

/// The keys at which an append is announced: one for subscribers of its stream, and one for
/// subscribers of its parent.
fn keys(append: &StreamAppend) -> impl Iterator<Item = Key> {
    let parent = append.events.first();
    let part = parent
        .and_then(|event| event.metadata.parent.as_ref())
        .map(|parent| Key::of_part(parent, &append.stream));
    std::iter::once(Key::of_stream(&append.stream)).chain(part)
}
