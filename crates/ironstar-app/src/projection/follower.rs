//! Keeps the live build of a projection up to date.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use ironstar_ports::{Build, Envelope, LogPlace, Position, ProjectionStore};
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::Projection;
use super::documents::Changed;
use super::folder::{Folder, Halt};
use crate::{EventFeed, FeedError};

/// How many documents are kept in memory.
const DOCUMENTS: NonZeroUsize = NonZeroUsize::new(16_384).expect("it is not zero");

/// How many events are folded before their documents are stored.
pub(super) const BATCH: usize = 1_024;

/// How many times as long as it took to store a batch, nothing more is stored,
/// unless a batch is full; and how long that is at the most. Every commit waits
/// for the disk, and appends wait for it. So whoever acts alone is shown at once,
/// and where much happens it is stored together.
const REST: u32 = 4;
const LONGEST_REST: Duration = Duration::from_millis(25);

/// How many positions without a change to any document may go by before the
/// checkpoint is stored; and for how long, when nothing more happens.
pub(super) const UNSTORED: u64 = 1_024;
const IDLE: Duration = Duration::from_secs(1);

/// What the events of a batch have changed about a read model.
#[derive(Debug)]
pub struct Changes<D> {
    /// After this position: that of the last event before the first that
    /// changes a document.
    pub from: Position,
    /// Up to this one.
    pub to: LogPlace,
    /// The documents that are not what they were: none, if they have changed and
    /// are again what they were before. Then nothing is new at the end, but
    /// something was in between.
    pub documents: HashMap<String, Changed<D>>,
}

/// What happens to a read model.
#[derive(Debug)]
pub enum News<D> {
    /// These events have changed these documents.
    Changed(Arc<Changes<D>>),
    /// It is as of this place now, and what has changed is not known.
    Jumped(LogPlace),
}

impl<D> Clone for News<D> {
    fn clone(&self) -> Self {
        match self {
            Self::Changed(changes) => Self::Changed(Arc::clone(changes)),
            Self::Jumped(place) => Self::Jumped(*place),
        }
    }
}

/// Tells whoever wants to know how far a read model has got.
#[derive(Debug)]
pub(super) struct Announcer<D> {
    pub(super) reached: watch::Sender<Reached>,
    pub(super) news: broadcast::Sender<News<D>>,
}

/// How far a read model has got.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Reached {
    /// `None`: there is none yet.
    pub(super) place: Option<LogPlace>,
    /// Whether what is stored is known to be of this log.
    pub(super) is_checked: bool,
    /// Whether an event is in the way.
    pub(super) is_stuck: bool,
}

impl<D> Announcer<D> {
    fn announce(&self, news: News<D>, place: LogPlace) {
        // First the position: who begins to listen in between has missed the
        // news, and finds that it is there already.
        self.reach(place);
        // Nobody may be listening.
        let _ = self.news.send(news);
    }

    /// Tells of a read model that is as of this position. It may have been
    /// further: events that change nothing move a position before they move a
    /// checkpoint. Its documents are the same ones, so it still counts as there.
    fn jump(&self, place: LogPlace) {
        let reached = self.reached.borrow().place;
        let place = reached.map_or(place, |reached| reached.later(place));
        self.announce(News::Jumped(place), place);
    }

    fn reach(&self, place: LogPlace) {
        self.reached.send_modify(|reached| {
            let before = reached.place.map(|before| before.position);
            // What is tried again from the same place is still in the way.
            reached.is_stuck &= before >= Some(place.position);
            reached.place = Some(reached.place.map_or(place, |before| before.later(place)));
        });
    }

    /// Tells that what is stored is of this log.
    pub(super) fn check(&self) {
        self.reached
            .send_if_modified(|reached| !std::mem::replace(&mut reached.is_checked, true));
    }

    /// Tells whether an event is in the way.
    pub(super) fn stick(&self, is_stuck: bool) {
        self.reached.send_if_modified(|reached| {
            std::mem::replace(&mut reached.is_stuck, is_stuck) != is_stuck
        });
    }
}

/// Why a build is no longer followed.
#[derive(Debug)]
pub(super) enum Left {
    /// Something is in the way.
    Halted(Halt),
    /// The log goes on elsewhere than it should.
    Feed(FeedError),
    /// The feed has ended, and so does everything.
    Stopped,
}

/// Follows the log with a build until something is in the way, or another is seen
/// to have `replaced` it.
pub(super) async fn follow<P: Projection>(
    build: &Build,
    feed: &EventFeed,
    store: &dyn ProjectionStore,
    announcer: &Announcer<P::Document>,
    replaced: impl Future<Output = ()>,
) -> Left {
    let mut folder = Folder::<P>::new(build, DOCUMENTS);
    let mut events = feed.subscribe(folder.place());
    announcer.jump(folder.place());
    let mut not_before = Instant::now();
    tokio::pin!(replaced);
    loop {
        let batch = tokio::select! {
            batch = next_batch(&mut events, folder.unstored() > 0, not_before) => batch,
            () = &mut replaced => return Left::Halted(Halt::Ended),
        };
        let Some((batch, failure)) = batch else {
            // An operator who looks while no server runs sees how far it has got. If it
            // cannot be stored, these events are folded once more.
            if folder.unstored() > 0
                && let Err(halt) = folder.commit(store).await
            {
                tracing::debug!(projection = P::NAME, %halt, "how far it has got is not stored");
            }
            return Left::Stopped;
        };
        let start = Instant::now();
        let folded = folder.fold(store, &batch).await;
        // Whoever decides to leave an event out does so at the checkpoint, which
        // has to be right before it.
        let is_last = batch.is_empty() || folded.is_err() || failure.is_some();
        if let Err(halt) = store_and_announce(&mut folder, store, announcer, is_last).await {
            return Left::Halted(halt);
        }
        not_before = Instant::now() + (start.elapsed() * REST).min(LONGEST_REST);
        if let Err(halt) = folded {
            return Left::Halted(halt);
        }
        match failure {
            None => {}
            Some(FeedError::Store(error)) => return Left::Halted(Halt::unread(error)),
            Some(error @ (FeedError::Gap { .. } | FeedError::OtherHistory)) => {
                return Left::Feed(error);
            }
        }
    }
}

/// Has stored what was folded, if it is worth it or `is_last` for now, and tells
/// of it.
async fn store_and_announce<P: Projection>(
    folder: &mut Folder<P>,
    store: &dyn ProjectionStore,
    announcer: &Announcer<P::Document>,
    is_last: bool,
) -> Result<(), Halt> {
    let is_due = folder.has_changes() || folder.unstored() >= UNSTORED || is_last;
    if is_due && folder.unstored() > 0 {
        let has_changes = folder.has_changes();
        let changes = folder.commit(store).await?;
        if has_changes {
            announcer.announce(News::Changed(Arc::new(changes)), folder.place());
            return Ok(());
        }
    }
    announcer.reach(folder.place());
    Ok(())
}

/// The events that are there, once there is one, but `not_before` a time unless
/// they are as many as a batch may have; none, if nothing happens for a
/// while and somebody `is_waiting` for that. Also the error that comes after
/// them, if one does. Nothing, if there will never be any.
async fn next_batch(
    events: &mut BoxStream<'static, Result<Arc<Envelope>, FeedError>>,
    is_waiting: bool,
    not_before: Instant,
) -> Option<(Vec<Arc<Envelope>>, Option<FeedError>)> {
    let mut batch = Vec::new();
    let first = if is_waiting {
        match timeout(IDLE, events.next()).await {
            Ok(first) => first,
            Err(_) => return Some((batch, None)),
        }
    } else {
        events.next().await
    };
    let mut next = Some(first?);
    while let Some(event) = next.take() {
        match event {
            Ok(event) => batch.push(event),
            // What is in the batch is of a log that is gone.
            Err(error @ FeedError::OtherHistory) => return Some((Vec::new(), Some(error))),
            Err(error) => return Some((batch, Some(error))),
        }
        if batch.len() < BATCH {
            next = events.next().now_or_never().flatten();
            if next.is_none() && Instant::now() < not_before {
                sleep_until(not_before).await;
                next = events.next().now_or_never().flatten();
            }
        }
    }
    Some((batch, None))
}
