//! The way of a subscriber through the log: first the missed events, page by page and in turn
//! with other clients, then new events.
//!
//! Missed events are read from the fastest source. The events of one aggregate come from its
//! stream. If no event can match, nothing is read. In all other cases the log is read.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use ironstar_app::access::{Audiences, Audition, Unknown};
use ironstar_app::history::{self, Resolved};
use ironstar_app::{EventFeed, FeedError};
use ironstar_ports::{
    Envelope, EventStore, Key, KeyExpr, LogPlace, Sequence, StoreError, StreamId,
};
use tokio_util::task::AbortOnDropHandle;

use crate::edge::rate::Charge;
use crate::edge::turns::ClientTurns;
use crate::stream::sse;

/// The number of events that are read in one turn.
const PAGE: usize = 512;

/// The number of events after which a client is told its position even if none of the events
/// match. So a client that reconnects does not read them again.
const MILESTONE: u64 = 1_024;

/// The events of the log that a subscriber requests and may get.
#[derive(Debug)]
pub(super) struct Hearing {
    keys: KeyExpr,
    audition: Audition,
}

/// A subscriber to the log, from a place on.
#[derive(Debug)]
pub(super) struct Listener {
    feed: EventFeed,
    store: Arc<dyn EventStore>,
    hearing: Hearing,
    after: LogPlace,
    missed: Missed,
    counted: Counted,
}

/// The part of the missed events that the client was already charged for.
#[derive(Clone, Copy, Debug)]
enum Counted {
    /// All events.
    Whole,
    /// The events up to the next page.
    Page,
    /// The events that have been read.
    Past,
}

/// The source of the missed events.
#[derive(Clone, Debug)]
enum Missed {
    /// None: no event was missed, or all missed events are in memory.
    Nothing,
    /// One stream, after the events that the subscriber has, up to a place.
    InStream(StreamId, Behind, LogPlace),
    /// The whole log.
    InLog,
}

/// The event of a stream after which to continue.
#[derive(Clone, Copy, Debug)]
enum Behind {
    /// The last event up to the place at which the subscriber begins.
    Beginning,
    /// The event with this sequence.
    Sequence(Sequence),
}

/// The reason why a stream has ended. The client reconnects with its last position, and asks
/// again.
#[derive(Debug)]
enum Ended {
    Unreadable(FeedError),
    Unknown,
}

impl Hearing {
    pub(super) fn new(keys: KeyExpr, audition: Audition) -> Self {
        Self { keys, audition }
    }

    /// The frame of an event; `None` for most events that the subscriber has not requested.
    async fn show(&mut self, event: &Envelope) -> Result<Option<Bytes>, Unknown> {
        self.audition.takes_note_of(event);
        let audiences = self.audition.audiences();
        if !is_wanted(event, &self.keys, audiences) || !self.audition.may_hear(event).await? {
            let is_milestone = event.position.get().is_multiple_of(MILESTONE);
            return Ok(is_milestone.then(|| sse::progress(event.place())));
        }
        Ok(match serde_json::to_string(&*self.audition.told(event)) {
            Ok(json) => {
                let json = sse::on_one_line(json);
                Some(sse::frame(&event.event_type, [json], Some(event.place())).into())
            }
            Err(error) => {
                tracing::error!(%error, position = %event.position, "an event has no JSON form");
                None
            }
        })
    }

    /// The requested stream, if the keys match exactly one.
    fn stream(&self) -> Option<StreamId> {
        let mut chunks = self.keys.as_str().split('/');
        let (Some(_), Some(aggregate_type), Some(id), None) =
            (chunks.next(), chunks.next(), chunks.next(), chunks.next())
        else {
            return None;
        };
        let stream = StreamId::new(aggregate_type, id);
        // A key with a wildcard or an encoded character does not name the stream literally.
        (KeyExpr::of_stream(&stream) == self.keys).then_some(stream)
    }
}

impl Listener {
    pub(super) fn new(
        feed: EventFeed,
        store: Arc<dyn EventStore>,
        hearing: Hearing,
        after: LogPlace,
    ) -> Self {
        let missed = if feed.is_recent(after.position) {
            Missed::Nothing
        } else if let Some(stream) = hearing.stream() {
            Missed::InStream(stream, Behind::Beginning, feed.place())
        } else {
            Missed::InLog
        };
        let counted = match missed {
            Missed::InLog => Counted::Whole,
            // The length of a stream is known only after reading it. Its first page costs as
            // much as the request, which was counted already.
            Missed::InStream(..) | Missed::Nothing => Counted::Page,
        };
        let mut listener = Self {
            feed,
            store,
            hearing,
            after,
            missed,
            counted,
        };
        let audible: Vec<_> = listener.hearing.audition.audiences().types().collect();
        if !listener.hearing.keys.may_match_types(&audible) {
            let head = listener.feed.place();
            if head.position > listener.after.position {
                listener.after = head;
            }
            listener.missed = Missed::Nothing;
        }
        listener
    }

    /// The number of events that have to be read in the log before the first new event; `None`
    /// if the log is not read.
    pub(super) fn events_to_read(&self) -> Option<u64> {
        match self.missed {
            Missed::InLog => {
                let (head, after) = (self.feed.head(), self.after.position);
                Some(head.get().saturating_sub(after.get()))
            }
            Missed::Nothing | Missed::InStream(..) => None,
        }
    }

    /// The frames of the stream, until it ends.
    pub(super) fn listen(self, turns: ClientTurns, charge: Charge) -> BoxStream<'static, Bytes> {
        let missed = stream::unfold(Some(self), move |listener| {
            let (turns, charge) = (turns.clone(), charge.clone());
            async move {
                let listener = listener?;
                if matches!(listener.missed, Missed::Nothing) {
                    return Some((listener.hear().boxed(), None));
                }
                // A task of its own reads the page, so that a slow client cannot hold the turn.
                let reading =
                    AbortOnDropHandle::new(tokio::spawn(listener.catch_up(turns, charge)));
                match reading.await {
                    Ok(Ok((frames, listener))) => {
                        Some((stream::iter(frames).boxed(), Some(listener)))
                    }
                    Ok(Err(ended)) => {
                        ended.log();
                        None
                    }
                    // The server is stopping.
                    Err(_) => None,
                }
            }
        });
        missed.flatten().fuse().boxed()
    }

    /// Charges the client for the next page, waits for a turn, and reads the page.
    async fn catch_up(
        mut self,
        turns: ClientTurns,
        charge: Charge,
    ) -> Result<(Vec<Bytes>, Self), Ended> {
        match self.counted {
            Counted::Whole => {}
            Counted::Page => self.counted = Counted::Past,
            Counted::Past => charge.catch_up_in_time(PAGE as u64).await,
        }
        let _turn = turns.next().await;
        let page = self.page().await.map_err(Ended::Unreadable)?;
        let mut frames = Vec::new();
        for event in page {
            let frame = self.hearing.show(&event).await;
            frames.extend(frame.map_err(|Unknown| Ended::Unknown)?);
        }
        if let Missed::Nothing = self.missed {
            frames.push(sse::progress(self.after));
        }
        Ok((frames, self))
    }

    /// The next page of missed events. It also updates the source for the page after it.
    async fn page(&mut self) -> Result<VecDeque<Arc<Envelope>>, FeedError> {
        match self.missed.clone() {
            Missed::Nothing => Ok(VecDeque::new()),
            Missed::InLog => {
                let page = self.feed.page_after(self.after, PAGE).await?;
                self.after = page.back().map_or(self.after, |last| last.place());
                if page.is_empty() || self.feed.is_recent(self.after.position) {
                    self.missed = Missed::Nothing;
                }
                Ok(page)
            }
            Missed::InStream(stream, behind, until) => {
                match self.read_stream(&stream, behind).await {
                    Err(StoreError::Damaged { .. }) => {
                        // In the log, the subscriber still gets the events before the damage.
                        self.missed = Missed::InLog;
                        Ok(VecDeque::new())
                    }
                    page => self.page_of_stream(stream, page?, until).await,
                }
            }
        }
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        behind: Behind,
    ) -> Result<Vec<Envelope>, StoreError> {
        let store = &*self.store;
        let after = match behind {
            Behind::Beginning => {
                history::last_of_stream(store, stream, self.after.position).await?
            }
            Behind::Sequence(sequence) => Some(sequence),
        };
        store.load_stream(stream, after, PAGE).await
    }

    async fn page_of_stream(
        &mut self,
        stream: StreamId,
        page: Vec<Envelope>,
        until: LogPlace,
    ) -> Result<VecDeque<Arc<Envelope>>, FeedError> {
        self.check(self.after).await?;
        self.check(until).await?;
        let last = page.last().map(|last| (last.sequence, last.position));
        let is_missed = |event: &Envelope| event.position <= until.position;
        let is_whole = page.len() == PAGE;
        let page: VecDeque<_> = page.into_iter().filter(is_missed).map(Arc::new).collect();
        self.after = page.back().map_or(self.after, |last| last.place());
        self.missed = match last {
            Some((sequence, position)) if is_whole && position < until.position => {
                Missed::InStream(stream, Behind::Sequence(sequence), until)
            }
            Some(_) | None => {
                self.after = until;
                Missed::Nothing
            }
        };
        Ok(page)
    }

    /// Fails unless the store's log still has a place. A restored backup may just have replaced
    /// the log that the feed has in memory.
    async fn check(&self, place: LogPlace) -> Result<(), FeedError> {
        match history::resolve(&*self.store, place).await? {
            Resolved::Here(_) => Ok(()),
            Resolved::Beyond | Resolved::Elsewhere => Err(FeedError::OtherHistory),
        }
    }

    /// The frames of new events.
    fn hear(self) -> impl Stream<Item = Bytes> + Send {
        let events = self.feed.subscribe(self.after);
        stream::unfold((events, self.hearing), async |(mut events, mut hearing)| {
            loop {
                let event = match events.next().await? {
                    Ok(event) => event,
                    Err(error) => {
                        Ended::Unreadable(error).log();
                        return None;
                    }
                };
                if let Some(frame) = hearing.show(&event).await.ok()? {
                    return Some((frame, (events, hearing)));
                }
            }
        })
    }
}

impl Ended {
    fn log(&self) {
        // After a restore, the client reconnects, and learns about it then.
        if let Self::Unreadable(error) = self
            && !matches!(error, FeedError::OtherHistory)
        {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "an event stream was ended"
            );
        }
    }
}

fn is_wanted(event: &Envelope, keys: &KeyExpr, audiences: &Audiences) -> bool {
    keys.matches(&Key::of_stream(&event.stream))
        || audiences
            .parent_of(event)
            .is_some_and(|parent| keys.matches(&Key::of_part(&parent, &event.stream)))
}
