//! The documents of a read model, as far as they are in memory.

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use super::FoldError;

/// What a projection sees of its documents while it folds an event.
///
/// Not all of them are in memory. To ask for one that is not is an error that
/// [`fold`](super::Projection::fold) passes on with `?`; the document is then
/// loaded, and the event folded again.
pub struct Documents<D> {
    /// What is as it is stored: the ones used last, also those that are known
    /// not to exist. There are more than `most` only until the event at hand has
    /// been folded: it may need them all.
    stored: LruCache<String, Option<Arc<D>>>,
    most: usize,
    /// Whether what is not in `stored` does not exist.
    is_complete: bool,
    /// What has changed since it was stored.
    changed: HashMap<String, Changed<D>>,
    /// What the event at hand has changed so far.
    edits: Vec<(String, Option<Arc<D>>)>,
}

/// A document that has changed.
#[derive(Debug)]
pub struct Changed<D> {
    /// What it was, if there was one.
    pub before: Option<Arc<D>>,
    /// What it is, if there is one.
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
    /// The documents of a read model that has none yet, if it `is_new`, or of
    /// which none are in memory.
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
    /// If it has to be loaded first.
    pub fn get(&mut self, key: &str) -> Result<Option<&D>, FoldError> {
        Ok(self.shared(key)?.map(|document| &**document))
    }

    /// Puts a document under a key, in place of the one that is there.
    ///
    /// # Errors
    ///
    /// If the one that is there has to be loaded first.
    pub fn put(&mut self, key: impl Into<String>, document: D) -> Result<(), FoldError> {
        self.edit(key.into(), Some(Arc::new(document)))
    }

    /// Removes the document with this key.
    ///
    /// # Errors
    ///
    /// If it has to be loaded first.
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

    /// The event at hand has been folded.
    pub(crate) fn keep_edits(&mut self) {
        for (key, after) in std::mem::take(&mut self.edits) {
            if let Some(changed) = self.changed.get_mut(&key) {
                changed.after = after;
            } else {
                let before = self.stored.get(&key).cloned().flatten();
                self.changed.insert(key, Changed { before, after });
            }
        }
        self.forget_surplus();
    }

    /// The event at hand has not been folded.
    pub(crate) fn undo_edits(&mut self) {
        self.edits.clear();
    }

    /// Takes note of what is stored under a key.
    pub(crate) fn load(&mut self, key: String, document: Option<D>) {
        self.remember(key, document.map(Arc::new));
    }

    /// What has changed since it was stored.
    pub(crate) fn changed(&self) -> &HashMap<String, Changed<D>> {
        &self.changed
    }

    /// What has changed is stored now.
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

    /// Forgets the documents that have not been used for longest.
    fn forget_surplus(&mut self) {
        while self.stored.len() > self.most {
            // It may exist, and will not be found here.
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
