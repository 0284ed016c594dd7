//! The documents of a read model, as far as they are in memory.

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use super::FoldError;

/// The documents of a projection while it folds an event.
///
/// Documents may be missing from memory. Access to a missing document is an error that
/// [`fold`](super::Projection::fold) passes on with `?`. Then the document is loaded, and the
/// event is folded again.
pub struct Documents<D> {
    /// Documents without unstored changes: the most recently used ones, and keys that are known
    /// not to exist. The map has more than `most` entries only until the current event has been
    /// folded, because the event may need them all.
    stored: LruCache<String, Option<Arc<D>>>,
    most: usize,
    /// True if a document that is not in `stored` does not exist.
    is_complete: bool,
    /// The changes since the last commit.
    changed: HashMap<String, Changed<D>>,
    /// The changes of the current event so far.
    edits: Vec<(String, Option<Arc<D>>)>,
}

/// A document that has changed.
#[derive(Debug)]
pub struct Changed<D> {
    /// The document before the change, if there was one.
    pub before: Option<Arc<D>>,
    /// The document after the change, if there is one.
    pub after: Option<Arc<D>>,
}

impl<D> Clone for Changed<D> {
    fn clone(&self) -> Self {
        Self {
            before: self.before.clone(),
            after: self.after.clone(),
        }
    }
}

impl<D: Clone> Documents<D> {
    /// No documents in memory. If the read model `is_new`, it has none in the store either.
    pub(crate) fn new(most: NonZeroUsize, is_new: bool) -> Self {
        Self {
            stored: LruCache::unbounded(),
            most: most.get(),
            is_complete: is_new,
            changed: HashMap::new(),
            edits: Vec::new(),
        }
    }

    /// The document with this key, if there is one.
    ///
    /// # Errors
    ///
    /// If the document must be loaded first.
    pub fn get(&mut self, key: &str) -> Result<Option<&D>, FoldError> {
        Ok(self.shared(key)?.map(|document| &**document))
    }

    /// Stores a document under a key, and replaces the existing document.
    ///
    /// # Errors
    ///
    /// If the existing document must be loaded first.
    pub fn put(&mut self, key: impl Into<String>, document: D) -> Result<(), FoldError> {
        self.edit(key.into(), Some(Arc::new(document)))
    }

    /// Removes the document with this key.
    ///
    /// # Errors
    ///
    /// If the document must be loaded first.
    pub fn remove(&mut self, key: impl Into<String>) -> Result<(), FoldError> {
        self.edit(key.into(), None)
    }

    fn edit(&mut self, key: String, document: Option<Arc<D>>) -> Result<(), FoldError> {
        self.shared(&key)?;
        self.edits.push((key, document));
        Ok(())
    }

    fn shared(&mut self, key: &str) -> Result<Option<&Arc<D>>, FoldError> {
        let edited = self.edits.iter().rposition(|(edited, _)| edited == key);
        if let Some(index) = edited {
            return Ok(self.edits[index].1.as_ref());
        }
        if let Some(changed) = self.changed.get(key) {
            return Ok(changed.after.as_ref());
        }
        match self.stored.get(key) {
            Some(stored) => Ok(stored.as_ref()),
            None if self.is_complete => Ok(None),
            None => Err(FoldError::NotLoaded(key.to_owned())),
        }
    }

    /// Keeps the changes of the current event, after it was folded. Returns false if there are
    /// none.
    pub(crate) fn keep_edits(&mut self) -> bool {
        let has_edits = !self.edits.is_empty();
        for (key, after) in std::mem::take(&mut self.edits) {
            if let Some(changed) = self.changed.get_mut(&key) {
                changed.after = after;
            } else {
                let before = self.stored.get(&key).cloned().flatten();
                self.changed.insert(key, Changed { before, after });
            }
        }
        self.forget_surplus();
        has_edits
    }

    /// Drops the changes of the current event, because it was not folded.
    pub(crate) fn undo_edits(&mut self) {
        self.edits.clear();
    }

    /// Keeps a document that was loaded from the store; `None` if the key does not exist.
    pub(crate) fn load(&mut self, key: String, document: Option<D>) {
        self.remember(key, document.map(Arc::new));
    }

    /// The changes since the last commit.
    pub(crate) fn changed(&self) -> &HashMap<String, Changed<D>> {
        &self.changed
    }

    /// The keys of the documents that were used last, with changes first, at most `most` of them.
    pub(crate) fn recent(&self, most: usize) -> Vec<String> {
        let stored = self.stored.iter().map(|(key, _)| key);
        self.changed
            .keys()
            .chain(stored)
            .take(most)
            .cloned()
            .collect()
    }

    /// Forgets all documents and changes.
    pub(crate) fn forget(&mut self) {
        self.stored.clear();
        self.changed.clear();
        self.edits.clear();
        self.is_complete = false;
    }

    /// Marks all changes as stored, and returns them.
    pub(crate) fn stored(&mut self) -> HashMap<String, Changed<D>> {
        let changed = std::mem::take(&mut self.changed);
        for (key, document) in &changed {
            self.remember(key.clone(), document.after.clone());
        }
        self.forget_surplus();
        changed
    }

    fn remember(&mut self, key: String, document: Option<Arc<D>>) {
        if self.is_complete && document.is_none() {
            self.stored.pop(&key);
            return;
        }
        self.stored.put(key, document);
    }

    /// Removes the least recently used documents.
    fn forget_surplus(&mut self) {
        while self.stored.len() > self.most {
            // The removed document may exist, and will not be found here.
            self.stored.pop_lru();
            self.is_complete = false;
        }
    }
}

impl<D> Debug for Documents<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documents")
            .field("stored", &self.stored.len())
            .field("is_complete", &self.is_complete)
            .field("changed", &self.changed.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
