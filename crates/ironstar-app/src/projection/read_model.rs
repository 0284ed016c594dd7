//! A read model, as its callers see it.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use ironstar_ports::{
    BuildId, DocumentPage, DocumentQuery, DocumentSource, LogPlace, Position, ProjectionStore,
    StoreError,
};
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;

use super::Projection;
use super::changes::News;
use super::follower::Reached;

/// The time that a query waits for the check that the stored documents belong to this log.
const CHECK: Duration = Duration::from_secs(2);

/// The live read model of a projection.
#[derive(Debug)]
pub struct ReadModel<P: Projection> {
    store: Arc<dyn ProjectionStore>,
    reached: watch::Receiver<Reached>,
    news: broadcast::WeakSender<News<P::Document>>,
    projection: PhantomData<fn() -> P>,
}

/// Documents, all as of the same position.
#[derive(Clone, Debug)]
pub struct Snapshot<D> {
    /// The build that they belong to.
    pub build: BuildId,
    /// The version of the code that made them.
    pub version: u32,
    /// The documents include all events up to this place, and no later ones.
    pub place: LogPlace,
    /// The documents with the requested keys, as far as they exist, in no particular order.
    pub keyed: Vec<(String, D)>,
    /// The requested page, in order.
    pub page: Vec<(String, D)>,
}

/// The reason why a read model cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The read model is being built for the first time.
    #[error("the read model {name:?} is still being built")]
    NotBuilt {
        /// The name of its projection.
        name: &'static str,
    },
    /// The read model was made by another version of the code, and cannot be read until it is
    /// rebuilt.
    #[error("the read model {name:?} is of version {version}, and is still being rebuilt")]
    OtherVersion {
        /// The name of its projection.
        name: &'static str,
        /// The version of the code that made it.
        version: u32,
    },
    /// A stored document cannot be parsed.
    #[error("the document {key:?} of the read model {name:?} is damaged")]
    Damaged {
        /// The name of the projection.
        name: &'static str,
        /// The key of the document.
        key: String,
        /// The error of the parser.
        source: serde_json::Error,
    },
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A read model has not reached the requested position in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the read model is at position {actual}, and has not reached {wanted} in time")]
pub struct Behind {
    /// The requested position.
    pub wanted: Position,
    /// The position of the read model.
    pub actual: Position,
}

impl<P: Projection> Clone for ReadModel<P> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            reached: self.reached.clone(),
            news: self.news.clone(),
            projection: PhantomData,
        }
    }
}

impl<P: Projection> ReadModel<P> {
    pub(super) fn new(
        store: Arc<dyn ProjectionStore>,
        reached: watch::Receiver<Reached>,
        news: broadcast::WeakSender<News<P::Document>>,
    ) -> Self {
        Self {
            store,
            reached,
            news,
            projection: PhantomData,
        }
    }

    /// The position that the read model has reached; [`Position::START`] if there is none yet.
    #[must_use]
    pub fn position(&self) -> Position {
        self.place().position
    }

    /// The place that the read model has reached.
    #[must_use]
    pub fn place(&self) -> LogPlace {
        self.reached.borrow().place.unwrap_or_default()
    }

    /// Returns true if the read model is kept up to date: it exists, and exactly this version
    /// of the code has made it.
    pub(crate) fn is_followed(&self) -> bool {
        self.reached.borrow().place.is_some()
    }

    /// Waits until the read model exists and has reached a position, so that a caller sees its
    /// own change.
    ///
    /// # Errors
    ///
    /// If the position is not reached after `within`, or an event cannot be folded.
    pub async fn reach(&self, position: Position, within: Duration) -> Result<(), Behind> {
        let has_reached = |reached: &Reached| {
            let place = reached.place;
            place.is_some_and(|place| place.position >= position)
        };
        let mut reached = self.reached.clone();
        let waiting = reached.wait_for(|reached| has_reached(reached) || reached.is_stuck);
        if let Ok(Ok(reached)) = timeout(within, waiting).await
            && has_reached(&reached)
        {
            return Ok(());
        }
        Err(Behind {
            wanted: position,
            actual: self.position(),
        })
    }

    /// The news from now on. A slow listener misses some, and gets an error that says so.
    /// Returns `None` if the read model is no longer kept up to date.
    #[must_use]
    pub fn news(&self) -> Option<broadcast::Receiver<News<P::Document>>> {
        self.news.upgrade().map(|news| news.subscribe())
    }

    /// Documents by their keys, and a page of listed documents.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub async fn find(
        &self,
        keys: Vec<String>,
        page: Option<DocumentPage>,
    ) -> Result<Snapshot<P::Document>, ReadError> {
        // Until the check is done, the stored documents may belong to another log.
        let mut checked = self.reached.clone();
        let is_checked = timeout(CHECK, checked.wait_for(|reached| reached.is_checked));
        if !matches!(is_checked.await, Ok(Ok(_))) {
            return Err(ReadError::NotBuilt { name: P::NAME });
        }
        // Events without a change of a document move the position at once, but the checkpoint
        // later.
        let reached = self.place();
        let source = DocumentSource::Live(P::NAME.to_owned());
        let query = DocumentQuery { keys, page };
        let found = self.store.find(&source, &query).await?;
        let found = found.ok_or(ReadError::NotBuilt { name: P::NAME })?;
        let read = |documents: Vec<ironstar_ports::Document>| {
            let documents = documents.into_iter();
            documents
                .map(
                    |document| match serde_json::from_str(document.body.as_str()) {
                        Ok(body) => Ok((document.key, body)),
                        Err(_) if found.version != P::VERSION => Err(ReadError::OtherVersion {
                            name: P::NAME,
                            version: found.version,
                        }),
                        Err(source) => Err(ReadError::Damaged {
                            name: P::NAME,
                            key: document.key,
                            source,
                        }),
                    },
                )
                .collect::<Result<Vec<_>, _>>()
        };
        let place = if found.version == P::VERSION {
            found.checkpoint.later(reached)
        } else {
            // An event without effect for this version may have one for the other version.
            found.checkpoint
        };
        Ok(Snapshot {
            build: found.build,
            version: found.version,
            place,
            keyed: read(found.keyed)?,
            page: read(found.page)?,
        })
    }
}
