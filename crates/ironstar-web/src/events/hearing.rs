//! The way of a subscriber through the log: first what it has missed, page by page and
//! in turn with others, then what happens.
//!
//! What has been missed is read from where it is found fastest: one aggregate's events
//! from its stream, and none at all where no event can match. All else takes going
//! through the log.

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

/// How many events are read in one turn.
const PAGE: usize = 512;

/// How often a client is told how far it has got, when it has asked for none
/// of the events, so that it need not go over them again when it comes back.
const MILESTONE: u64 = 1_024;

/// What of the log a subscriber asks for and may hear.
#[derive(Debug)]
pub(super) struct Hearing {
    keys: KeyExpr,
    audition: Audition,
}

/// A subscriber that hears the log from a place on.
#[derive(Debug)]
pub(super) struct Listener {
    feed: EventFeed,
    store: Arc<dyn EventStore>,
    hearing: Hearing,
    after: LogPlace,
    missed: Missed,
    counted: Counted,
}

/// What a catch-up was counted for.
#[derive(Clone, Copy, Debug)]
enum Counted {
    /// For all that there is to read.
    Whole,
    /// For the next page.
    Page,
    /// For what has been read.
    Past,
}

/// Where to find what has been missed.
#[derive(Clone, Debug)]
enum Missed {
    /// Nowhere: nothing has, or it is in memory.
    Nothing,
    /// In one stream, behind what the subscriber has, up to a place.
    InStream(StreamId, Behind, LogPlace),
    /// Anywhere in the log.
    InLog,
}

/// Behind which of a stream's events to go on.
#[derive(Clone, Copy, Debug)]
enum Behind {
    /// The last up to the place that the subscriber begins at.
    Beginning,
    /// This one.
    Sequence(Sequence),
}

/// Why there is nothing more to hear. The client comes back with the position that it
/// got to, and asks once more.
#[derive(Debug)]
enum Ended {
    Unreadable(FeedError),
    Unknown,
}

impl Hearing {
    pub(super) fn new(keys: KeyExpr, audition: Audition) -> Self {
        Self { keys, audition }
    }

    /// What is told of an event; nothing of most that are not asked for.
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

    /// The stream that is asked for, if it is one alone.
    fn stream(&self) -> Option<StreamId> {
        let mut chunks = self.keys.as_str().split('/');
        let (Some(_), Some(aggregate_type), Some(id), None) =
            (chunks.next(), chunks.next(), chunks.next(), chunks.next())
        else {
            return None;
        };
        let stream = StreamId::new(aggregate_type, id);
        // With a wildcard, or encoded, it is not what it looks like.
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
            // How many events a stream has is found out by reading it. A page costs as
            // much as the request, which was counted.
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

    /// How many events of the log have to be gone through before the first that
    /// happens; nothing, if that is not needed.
    pub(super) fn events_to_read(&self) -> Option<u64> {
        match self.missed {
            Missed::InLog => {
                let (head, after) = (self.feed.head(), self.after.position);
                Some(head.get().saturating_sub(after.get()))
            }
            Missed::Nothing | Missed::InStream(..) => None,
        }
    }

    /// What is told, until it ends.
    pub(super) fn listen(self, turns: ClientTurns, charge: Charge) -> BoxStream<'static, Bytes> {
        let missed = stream::unfold(Some(self), move |listener| {
            let (turns, charge) = (turns.clone(), charge.clone());
            async move {
                let listener = listener?;
                if matches!(listener.missed, Missed::Nothing) {
                    return Some((listener.hear().boxed(), None));
                }
                // By itself, so that its turn does not last as long as its client likes.
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
                    // The server stops.
                    Err(_) => None,
                }
            }
        });
        missed.flatten().fuse().boxed()
    }

    /// Has the next page counted, takes a turn, and reads the page in it.
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

    /// The next page of what has been missed, and where to go on.
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
                        // A subscriber that goes through the log gets what is in front.
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

    /// Fails unless the store's log still has a place. The feed's memory may be of a log
    /// that has just been replaced by a backup.
    async fn check(&self, place: LogPlace) -> Result<(), FeedError> {
        match history::resolve(&*self.store, place).await? {
            Resolved::Here(_) => Ok(()),
            Resolved::Beyond | Resolved::Elsewhere => Err(FeedError::OtherHistory),
        }
    }

    /// What is told of what happens.
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
        // After a restore the client comes back, and is told then.
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
