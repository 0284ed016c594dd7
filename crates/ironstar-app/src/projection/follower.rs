//! Keeps the live build of a projection up to date.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use ironstar_ports::{
    Build, Clock, DocumentQuery, DocumentSource, Envelope, LogPlace, ProjectionStore,
};
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Projection;
use super::changes::News;
use super::error::BuildError;
use super::projector::Projector;
use crate::feed::EventFeed;
use crate::history::FeedError;

/// The number of documents that are kept in memory.
const DOCUMENTS: NonZeroUsize = NonZeroUsize::new(16_384).expect("it is not zero");

/// The number of events that are folded before their documents are stored.
pub(super) const BATCH: usize = 1_024;

/// After a batch, nothing more is stored for this multiple of the time that the batch took, but
/// at most for [`LONGEST_REST`]. A full batch is stored at once. Every commit waits for the
/// disk, and appends wait for the commit. So a single change is shown at once, and many changes
/// are stored together.
const REST: u32 = 4;
const LONGEST_REST: Duration = Duration::from_millis(25);

/// The number of positions without a change of a document after which the checkpoint is stored;
/// and the time after which it is stored if no more events come.
pub(super) const UNSTORED: u64 = 1_024;
const IDLE: Duration = Duration::from_secs(1);

/// The interval between looks at a node that may be past an event that this node cannot fold.
const WATCH: Duration = Duration::from_millis(200);

/// Announces the progress and the changes of a read model.
#[derive(Debug)]
pub(super) struct Announcer<D> {
    pub(super) reached: watch::Sender<Reached>,
    pub(super) news: broadcast::Sender<News<D>>,
}

/// The progress of a read model.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Reached {
    /// `None` if there is no read model yet.
    pub(super) place: Option<LogPlace>,
    /// True if the stored documents are known to belong to this log.
    pub(super) is_checked: bool,
    /// True if an event cannot be folded.
    pub(super) is_stuck: bool,
}

impl<D> Announcer<D> {
    fn announce(&self, news: News<D>, place: LogPlace) {
        // The position comes first: a listener that subscribes in between misses the news, but
        // finds that the position is already reached.
        self.reach(place);
        // There may be no listener.
        let _ = self.news.send(news);
    }

    /// Announces a read model that is at this place. It may have been further before: events
    /// without a change move the position before they move the checkpoint. The documents are
    /// the same, so the read model still counts as further.
    fn jump(&self, place: LogPlace) {
        let reached = self.reached.borrow().place;
        let place = reached.map_or(place, |reached| reached.later(place));
        self.announce(News::Jumped(place), place);
    }

    fn reach(&self, place: LogPlace) {
        self.reached.send_modify(|reached| {
            let before = reached.place.map(|before| before.position);
            // A failed event that is tried again from the same place is still a failure.
            reached.is_stuck &= before >= Some(place.position);
            reached.place = Some(reached.place.map_or(place, |before| before.later(place)));
        });
    }

    /// Announces that the stored documents belong to this log.
    pub(super) fn check(&self) {
        self.reached
            .send_if_modified(|reached| !std::mem::replace(&mut reached.is_checked, true));
    }

    /// Announces that an event cannot be folded, or that this is over.
    pub(super) fn stick(&self, is_stuck: bool) {
        self.reached.send_if_modified(|reached| {
            std::mem::replace(&mut reached.is_stuck, is_stuck) != is_stuck
        });
    }
}

/// The environment of a build that follows the log.
pub(super) struct Following<P: Projection> {
    pub(super) feed: EventFeed,
    pub(super) store: Arc<dyn ProjectionStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) announcer: Arc<Announcer<P::Document>>,
    /// True if another node stores the documents.
    pub(super) is_watching: bool,
    /// Tells the task to end.
    pub(super) leave: CancellationToken,
}

/// Follows the log with a live build until the feed stops, the task must leave, or the build is
/// continued elsewhere.
///
/// # Errors
///
/// If the build cannot continue. An event that cannot be folded is reported to the operator.
pub(super) async fn follow<P: Projection>(
    build: &Build,
    following: Following<P>,
) -> Result<(), BuildError> {
    let Err(error) = fold_news::<P>(build, &following).await else {
        return Ok(());
    };
    match &error {
        BuildError::Ended => {
            tracing::info!(projection = P::NAME, "another read model is live now");
            return Ok(());
        }
        BuildError::Moved | BuildError::LeaseOver => {
            tracing::debug!(projection = P::NAME, %error, "another node was faster");
            return Ok(());
        }
        BuildError::Log(_) => error.log::<P>("a projection cannot read the log; trying again"),
        BuildError::Stuck { .. } | BuildError::OtherHistory | BuildError::Store(_) => {
            error.log::<P>("a projection has stopped; trying again later");
        }
    }
    if following.is_watching {
        // If the other node has the same failure, it reports it.
        return wait_until_past(build, error, &following).await;
    }
    if matches!(error, BuildError::Stuck { .. }) {
        following.announcer.stick(true);
    }
    let Following { store, clock, .. } = &following;
    if let Err(unstored) = error.report(build, &**store, clock.now()).await {
        tracing::warn!(
            error = &unstored as &dyn std::error::Error,
            projection = P::NAME,
            "the failure of a projection was not stored"
        );
        return Err(unstored.into());
    }
    Err(error)
}

/// Folds the events of the feed until it stops, the task must leave, or the build cannot continue.
async fn fold_news<P: Projection>(
    build: &Build,
    following: &Following<P>,
) -> Result<(), BuildError> {
    let Following {
        feed,
        announcer,
        is_watching,
        ..
    } = following;
    let store = &*following.store;
    let mut projector = if *is_watching {
        Projector::<P>::watching(build, DOCUMENTS)
    } else {
        Projector::<P>::new(build, DOCUMENTS)
    };
    let mut events = feed.subscribe(projector.place());
    announcer.jump(projector.place());
    let mut not_before = Instant::now();
    loop {
        let batch = tokio::select! {
            batch = next_batch(&mut events, projector.unstored() > 0, not_before) => batch,
            () = following.leave.cancelled() => return Ok(()),
        };
        let Some((batch, failure)) = batch else {
            // While no server runs, the checkpoint shows the progress to an operator. If it
            // cannot be stored, these events are folded again.
            if projector.unstored() > 0
                && let Err(error) = projector.commit(store).await
            {
                tracing::debug!(
                    projection = P::NAME,
                    %error,
                    "the checkpoint was not stored"
                );
            }
            return Ok(());
        };
        let start = Instant::now();
        let folded = projector.fold(store, &batch).await;
        if let Some(place) = projector.take_jump() {
            announcer.jump(place);
        }
        // An operator skips an event by the checkpoint, which must be right before the event.
        let is_last = batch.is_empty() || folded.is_err() || failure.is_some();
        let storing = store_and_announce(&mut projector, store, announcer, is_last);
        tokio::select! {
            stored = storing => stored?,
            // The other node may never store the documents.
            () = following.leave.cancelled(), if *is_watching => return Ok(()),
            () = feed.stopped(), if *is_watching => return Ok(()),
        }
        not_before = Instant::now() + (start.elapsed() * REST).min(LONGEST_REST);
        folded?;
        if let Some(failure) = failure {
            return Err(failure.into());
        }
    }
}

/// Waits until the other node is past the event that this node cannot fold. Then this node goes on
/// behind it.
async fn wait_until_past<P: Projection>(
    build: &Build,
    error: BuildError,
    following: &Following<P>,
) -> Result<(), BuildError> {
    let BuildError::Stuck { position, .. } = error else {
        return Err(error);
    };
    let source = DocumentSource::Build(build.id);
    let query = DocumentQuery::default();
    loop {
        tokio::select! {
            () = sleep(WATCH) => {}
            () = following.leave.cancelled() => return Ok(()),
            () = following.feed.stopped() => return Ok(()),
        }
        let found = following.store.find(&source, &query).await?;
        match found {
            Some(found) if found.checkpoint.position < position => {}
            Some(_) | None => return Ok(()),
        }
    }
}

/// Stores the folded documents, if that is due or the batch `is_last` for now, and announces
/// the changes.
async fn store_and_announce<P: Projection>(
    projector: &mut Projector<P>,
    store: &dyn ProjectionStore,
    announcer: &Announcer<P::Document>,
    is_last: bool,
) -> Result<(), BuildError> {
    let is_due = projector.has_changes() || projector.unstored() >= UNSTORED || is_last;
    if is_due && projector.unstored() > 0 {
        let has_changes = projector.has_changes();
        let changes = projector.commit(store).await?;
        if has_changes {
            announcer.announce(News::Changed(Arc::new(changes)), projector.place());
            return Ok(());
        }
    }
    announcer.reach(projector.place());
    Ok(())
}

/// The available events, at least one of them. Does not return before `not_before`, unless the
/// batch is full. If the caller `is_waiting` and no event comes for a while, the batch is
/// empty. The second value is the error behind the events, if there is one. Returns `None` if
/// there will be no more events.
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
            // The events of the batch belong to a log that is gone.
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
