//! A read model, as those see it who ask.

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
use super::follower::{News, Reached};

/// How long a query waits until it is known whether what is stored is of this log.
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
    /// The build that they are of.
    pub build: BuildId,
    /// The version of the code that made them.
    pub version: u32,
    /// All events up to here are part of them, and no others.
    pub place: LogPlace,
    /// The ones with the keys that were asked for, as far as there are any; in
    /// no particular order.
    pub keyed: Vec<(String, D)>,
    /// The page that was asked for, in order.
    pub page: Vec<(String, D)>,
}

/// Why a read model cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is being built for the first time.
    #[error("the read model {name:?} is still being built")]
    NotBuilt {
        /// Its projection's name.
        name: &'static str,
    },
    /// It was made by other code, and cannot be read until it is built anew.
    #[error("the read model {name:?} is of version {version}, and is still being rebuilt")]
    OtherVersion {
        /// Its projection's name.
        name: &'static str,
        /// The version of the code that made it.
        version: u32,
    },
    /// A document is not what it should be.
    #[error("the document {key:?} of the read model {name:?} is damaged")]
    Damaged {
        /// The projection's name.
        name: &'static str,
        /// Which document.
        key: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The store does not work.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A read model has not got as far as was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the read model is at position {actual}, and has not got to {wanted} in time")]
pub struct Behind {
    /// What was asked for.
    pub wanted: Position,
    /// Where it is.
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

    /// How far it has got; [`Position::START`] also if there is none yet.
    #[must_use]
    pub fn position(&self) -> Position {
        self.place().position
    }

    /// The same, as a place.
    #[must_use]
    pub fn place(&self) -> LogPlace {
        self.reached.borrow().place.unwrap_or_default()
    }

    /// Whether it is kept up to date: there is one, and this very code has made
    /// it.
    pub(crate) fn is_followed(&self) -> bool {
        self.reached.borrow().place.is_some()
    }

    /// Waits until there is one and it has got to a position, so that whoever
    /// has just changed something sees it.
    ///
    /// # Errors
    ///
    /// If it has not by then, or an event is in the way.
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

    /// What happens to it from now on. Whoever does not listen for long misses
    /// some, and is told so. Nothing, if it is not kept up to date any more.
    #[must_use]
    pub fn news(&self) -> Option<broadcast::Receiver<News<P::Document>>> {
        self.news.upgrade().map(|news| news.subscribe())
    }

    /// Documents by their keys, and a page of those that are listed.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub async fn find(
        &self,
        keys: Vec<String>,
        page: Option<DocumentPage>,
    ) -> Result<Snapshot<P::Document>, ReadError> {
        // What was stored may be of another log, as long as that has not been checked.
        let mut checked = self.reached.clone();
        let is_checked = timeout(CHECK, checked.wait_for(|reached| reached.is_checked));
        if !matches!(is_checked.await, Ok(Ok(_))) {
            return Err(ReadError::NotBuilt { name: P::NAME });
        }
        // Events that change no document move the position, and not at once
        // the checkpoint.
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
            // What changes nothing for this version may for the other one.
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
