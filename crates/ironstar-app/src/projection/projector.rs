//! Folds events into the documents of one build, and stores them.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use ironstar_ports::{
    Build, BuildId, Document, DocumentBatch, DocumentChange, DocumentQuery, DocumentSource,
    Envelope, LogPlace, Payload, Position, ProjectionStore, StoreError,
};

use tokio::time::sleep;

use super::changes::Changes;
use super::documents::{Changed, Documents};
use super::error::{BuildError, chain};
use super::{FoldError, Projection};

/// The pauses between looks at the checkpoint of another node.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The number of documents that a node loads again when it jumps.
const KEPT: usize = 256;

/// One build of a projection, with its position in the log.
#[derive(Debug)]
pub(super) struct Projector<P: Projection> {
    pub(super) build: BuildId,
    skipped: HashSet<Position>,
    /// The stored position of the build.
    checkpoint: LogPlace,
    /// The folded position: not behind the checkpoint.
    place: LogPlace,
    /// The folded position before the first change of a document since the last commit. The
    /// folded position itself, if no document has changed.
    unchanged: Position,
    /// The last event that has changed a document.
    last_change: Position,
    /// True if another node stores the documents.
    is_watching: bool,
    /// The place to which this node has jumped, behind events that it has not folded.
    jumped: Option<LogPlace>,
    documents: Documents<P::Document>,
}

/// A document that must be loaded, and the index of the event that needs it.
#[derive(Debug)]
pub(super) struct Missing {
    index: usize,
    key: String,
}

/// A batch for the store, and the documents that are part of it.
pub(super) type Taken<D> = (DocumentBatch, HashMap<String, Changed<D>>);

impl<P: Projection> Projector<P> {
    /// Continues at the checkpoint of a build. At most `most` of its documents are kept in
    /// memory.
    pub(super) fn new(build: &Build, most: NonZeroUsize) -> Self {
        let skipped: HashSet<Position> = build
            .skipped
            .iter()
            .map(|skipped| skipped.position)
            .collect();
        // A skipped event may be unreadable.
        let mut place = build.checkpoint;
        while skipped.contains(&place.position.next()) {
            place = place.position.next().into();
        }
        Self {
            build: build.id,
            skipped,
            checkpoint: build.checkpoint,
            place,
            unchanged: place.position,
            last_change: Position::START,
            is_watching: false,
            jumped: None,
            documents: Documents::new(most, build.checkpoint == LogPlace::START),
        }
    }

    /// The same for documents that another node folds and stores.
    ///
    /// This node folds the same events for itself, so that it knows what has changed, and waits
    /// for the other node to store that. A document that it loads may be as of any position from
    /// the last stored change to the folded position. All that changed in between is in memory,
    /// so any other document is the same at each of these positions. If the other node is ahead,
    /// this node [jumps](Self::take_jump) there.
    pub(super) fn watching(build: &Build, most: NonZeroUsize) -> Self {
        Self {
            is_watching: true,
            ..Self::new(build, most)
        }
    }

    /// The folded position.
    pub(super) fn place(&self) -> LogPlace {
        self.place
    }

    /// The number of positions that were folded since the last commit.
    pub(super) fn unstored(&self) -> u64 {
        self.place.position.get() - self.checkpoint.position.get()
    }

    /// Returns true if documents have changed since the last commit.
    pub(super) fn has_changes(&self) -> bool {
        !self.documents.changed().is_empty()
    }

    /// Folds the next events. If an event cannot be folded, all events before it are folded.
    pub(super) async fn fold(
        &mut self,
        store: &dyn ProjectionStore,
        events: &[Arc<Envelope>],
    ) -> Result<(), BuildError> {
        let missing = self.fold_known(events)?;
        self.fold_missing(store, events, missing).await
    }

    /// Folds events as long as their documents are in memory. Returns the first event that
    /// needs another document, with the key of that document.
    pub(super) fn fold_known(
        &mut self,
        events: &[Arc<Envelope>],
    ) -> Result<Option<Missing>, BuildError> {
        for (index, event) in events.iter().enumerate() {
            if event.position <= self.place.position {
                continue;
            }
            match self.fold_one(event) {
                Ok(()) => {
                    if self.documents.keep_edits() {
                        self.last_change = event.position;
                    }
                    self.place = event.place();
                    if !self.has_changes() {
                        self.unchanged = event.position;
                    }
                }
                Err(FoldError::NotLoaded(key)) if self.documents.get(&key).is_err() => {
                    self.documents.undo_edits();
                    return Ok(Some(Missing { index, key }));
                }
                Err(source) => {
                    self.documents.undo_edits();
                    return Err(BuildError::stuck(event, chain(&source)));
                }
            }
        }
        Ok(None)
    }

    /// Continues with events that need a missing document. The store must have reached the
    /// checkpoint.
    pub(super) async fn fold_missing(
        &mut self,
        store: &dyn ProjectionStore,
        events: &[Arc<Envelope>],
        mut missing: Option<Missing>,
    ) -> Result<(), BuildError> {
        let mut rest = events;
        while let Some(Missing { index, key }) = missing {
            rest = &rest[index..];
            let [event, after @ ..] = rest else {
                return Ok(());
            };
            let keys = self.missing(key.clone(), after);
            let damage = self.load(store, keys).await?;
            // A damaged document of a later event counts once that event is folded.
            if let Some(damage) = damage.get(&key) {
                let words = format!("the document {key:?} cannot be read: {damage}");
                return Err(BuildError::stuck(event, words));
            }
            missing = self.fold_known(rest)?;
        }
        Ok(())
    }

    fn fold_one(&mut self, event: &Envelope) -> Result<(), FoldError> {
        let is_ours = P::is_about(&event.stream.aggregate_type);
        if !is_ours || self.skipped.contains(&event.position) {
            return Ok(());
        }
        // A panic would end the projection without a report to the operator. It leaves only
        // edits, which are undone.
        let fold = AssertUnwindSafe(|| P::fold(event, &mut self.documents));
        catch_unwind(fold).unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<&str>().copied();
            let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            let words = words.unwrap_or("without a message");
            Err(FoldError::Senseless(format!(
                "the projection panicked: {words}"
            )))
        })
    }

    /// The keys of the documents to load: the missing one, and those that the later events will
    /// need, as far as that is known.
    fn missing(&mut self, first: String, events: &[Arc<Envelope>]) -> Vec<String> {
        let mut keys = HashSet::from([first]);
        for event in events {
            if let Err(FoldError::NotLoaded(key)) = self.fold_one(event) {
                keys.insert(key);
            }
            self.documents.undo_edits();
        }
        keys.into_iter().collect()
    }

    /// Loads documents. Returns the errors of those that cannot be read.
    async fn load(
        &mut self,
        store: &dyn ProjectionStore,
        keys: Vec<String>,
    ) -> Result<HashMap<String, serde_json::Error>, BuildError> {
        let source = DocumentSource::Build(self.build);
        let query = DocumentQuery { keys, page: None };
        let mut query = query;
        let mut found = store
            .find(&source, &query)
            .await?
            .ok_or(BuildError::Ended)?;
        if !self.is_watching && found.checkpoint != self.checkpoint {
            return Err(BuildError::Moved);
        }
        if self.is_watching && found.checkpoint.position > self.place.position {
            // Without the other documents, each of their next changes would lead to a jump.
            query.keys.extend(self.documents.recent(KEPT));
            query.keys.sort_unstable();
            query.keys.dedup();
            let again = store.find(&source, &query).await?;
            found = again.ok_or(BuildError::Ended)?;
            self.jump(found.checkpoint);
        }
        let found = found.keyed.into_iter();
        let mut found: HashMap<_, _> = found.map(|found| (found.key, found.body)).collect();
        let mut damage = HashMap::new();
        for key in query.keys {
            let body = found.remove(&key);
            match body.map(|body| serde_json::from_str(body.as_str())) {
                None => self.documents.load(key, None),
                Some(Ok(document)) => self.documents.load(key, Some(document)),
                Some(Err(error)) => {
                    damage.insert(key, error);
                }
            }
        }
        Ok(damage)
    }

    /// Goes on at a place ahead, without the documents of the place before.
    fn jump(&mut self, place: LogPlace) {
        self.documents.forget();
        self.place = place;
        self.checkpoint = place;
        self.unchanged = place.position;
        self.last_change = place.position;
        self.jumped = Some(place);
    }

    /// The place to which this node has jumped since the last call. The changes up to there are
    /// unknown.
    pub(super) fn take_jump(&mut self) -> Option<LogPlace> {
        self.jumped.take()
    }

    /// Stores the folded documents, or waits until the other node has. Returns the changes.
    pub(super) async fn commit(
        &mut self,
        store: &dyn ProjectionStore,
    ) -> Result<Changes<P::Document>, BuildError> {
        // The changes begin at the last event that changed no document.
        let from = self.unchanged;
        let to = self.place;
        let mut documents = if self.is_watching {
            if self.has_changes() {
                self.wait_for_the_other_node(store).await?;
            }
            self.settle()
        } else {
            let (batch, documents) = self.take()?;
            store.commit(batch).await?;
            documents
        };
        documents.retain(|_, document| document.before != document.after);
        Ok(Changes {
            from,
            to,
            documents,
        })
    }

    /// Takes the unstored changes, for a commit. From here on they count as stored: if the
    /// commit fails, this projector cannot be used any more.
    pub(super) fn take(&mut self) -> Result<Taken<P::Document>, BuildError> {
        let batch = DocumentBatch {
            build: self.build,
            from: self.checkpoint,
            to: self.place,
            changes: self.changes()?,
        };
        Ok((batch, self.settle()))
    }

    /// Counts all changes as stored, and returns them.
    fn settle(&mut self) -> HashMap<String, Changed<P::Document>> {
        self.checkpoint = self.place;
        self.unchanged = self.place.position;
        self.documents.stored()
    }

    /// Waits until the other node has stored the last change.
    async fn wait_for_the_other_node(&self, store: &dyn ProjectionStore) -> Result<(), BuildError> {
        let source = DocumentSource::Build(self.build);
        let mut pause = FIRST_PAUSE;
        loop {
            let found = store.find(&source, &DocumentQuery::default()).await?;
            let checkpoint = found.ok_or(BuildError::Ended)?.checkpoint;
            if checkpoint.position >= self.last_change {
                return Ok(());
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The changes for the store.
    fn changes(&self) -> Result<Vec<DocumentChange>, StoreError> {
        let changed = self.documents.changed().iter();
        changed
            .filter(|(_, document)| document.before != document.after)
            .map(|(key, document)| {
                let Some(document) = &document.after else {
                    return Ok(DocumentChange::Remove(key.clone()));
                };
                Ok(DocumentChange::Put(Document {
                    key: key.clone(),
                    place: P::place(document),
                    body: Payload::of(&**document).map_err(StoreError::unavailable)?,
                }))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
