//! Read models in maps.

use std::collections::BTreeMap;

use async_trait::async_trait;
use ironstar_ports::{
    Build, BuildId, BuildState, BuildUpdate, CommitError, Document, DocumentBatch, DocumentChange,
    DocumentPage, DocumentQuery, DocumentSource, Found, LogPlace, ProjectionStore, StoreError,
    UpdateError,
};
use parking_lot::Mutex;

use crate::builds::updated;

/// Read models that are lost when the process ends.
#[derive(Debug, Default)]
pub struct MemoryProjectionStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The number of builds so far, for new ids.
    begun: u64,
    /// The builds that have not ended.
    builds: BTreeMap<BuildId, Kept>,
}

/// A build and its documents.
#[derive(Debug)]
struct Kept {
    build: Build,
    documents: BTreeMap<String, Document>,
}

impl MemoryProjectionStore {
    /// Creates a store without builds.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl State {
    fn live(&self, name: &str) -> Option<&Kept> {
        self.builds
            .values()
            .find(|kept| kept.build.name == name && kept.build.state == BuildState::Live)
    }

    fn begin(&mut self, name: &str, version: u32) -> Build {
        let unfinished = self
            .builds
            .values_mut()
            .map(|kept| &mut kept.build)
            .find(|build| build.name == name && build.state != BuildState::Live);
        if let Some(build) = unfinished {
            if build.version == version {
                build.state = BuildState::Building;
                return build.clone();
            }
            let ended = build.id;
            self.builds.remove(&ended);
        }
        self.begun += 1;
        let build = Build {
            id: BuildId::new(self.begun),
            name: name.to_owned(),
            version,
            state: BuildState::Building,
            checkpoint: LogPlace::START,
            failure: None,
            skipped: vec![],
        };
        let kept = Kept {
            build: build.clone(),
            documents: BTreeMap::new(),
        };
        self.builds.insert(build.id, kept);
        build
    }

    fn update(&mut self, id: BuildId, update: BuildUpdate) -> Result<(), UpdateError> {
        let kept = self.builds.get(&id).ok_or(UpdateError::NoSuchBuild)?;
        let live = self.live(&kept.build.name).map(|kept| &kept.build);
        let live = live.map(|build| (build.id, build.checkpoint.position));
        let is_promoted = update == BuildUpdate::Promote;
        let updated = updated(kept.build.clone(), update, live.map(|(_, at)| at))?;
        if let Some((live, _)) = live
            && is_promoted
        {
            self.builds.remove(&live);
        }
        match updated {
            Some(updated) => {
                self.builds
                    .entry(id)
                    .and_modify(|kept| kept.build = updated);
            }
            None => {
                self.builds.remove(&id);
            }
        }
        Ok(())
    }

    fn commit(&mut self, batch: DocumentBatch) -> Result<(), CommitError> {
        let kept = self
            .builds
            .get_mut(&batch.build)
            .filter(|kept| kept.build.state != BuildState::Cancelled)
            .ok_or(CommitError::Ended)?;
        let checkpoint = kept.build.checkpoint;
        if checkpoint != batch.from {
            return Err(CommitError::Moved { checkpoint });
        }
        for change in batch.changes {
            match change {
                DocumentChange::Put(document) => {
                    kept.documents.insert(document.key.clone(), document);
                }
                DocumentChange::Remove(key) => {
                    kept.documents.remove(&key);
                }
            }
        }
        kept.build.checkpoint = batch.to;
        kept.build.failure = None;
        Ok(())
    }
}

impl Kept {
    fn find(&self, query: &DocumentQuery) -> Found {
        let keyed = query.keys.iter().filter_map(|key| self.documents.get(key));
        let page = query.page.as_ref().map(|page| self.page(page));
        Found {
            build: self.build.id,
            version: self.build.version,
            checkpoint: self.build.checkpoint,
            keyed: keyed.cloned().collect(),
            page: page.unwrap_or_default(),
        }
    }

    fn page(&self, page: &DocumentPage) -> Vec<Document> {
        let after = page.after.as_ref().map(|(sort, key)| (&**sort, &**key));
        let mut listed: Vec<_> = self
            .documents
            .values()
            .filter_map(|document| {
                let place = document.place.as_ref()?;
                let is_asked_for = page.collections.contains(&place.collection);
                let place = (&*place.sort, &*document.key);
                (is_asked_for && Some(place) > after).then_some((place, document))
            })
            .collect();
        listed.sort_unstable_by_key(|(place, _)| *place);
        let listed = listed.into_iter().take(page.limit);
        listed.map(|(_, document)| document.clone()).collect()
    }
}

#[async_trait]
impl ProjectionStore for MemoryProjectionStore {
    async fn builds(&self) -> Result<Vec<Build>, StoreError> {
        let state = self.state.lock();
        let builds = state.builds.values().map(|kept| kept.build.clone());
        let mut builds: Vec<Build> = builds.collect();
        builds.sort_by(|a, b| {
            let order = |build: &Build| build.state != BuildState::Live;
            (&a.name, order(a)).cmp(&(&b.name, order(b)))
        });
        Ok(builds)
    }

    async fn begin(&self, name: &str, version: u32) -> Result<Build, StoreError> {
        Ok(self.state.lock().begin(name, version))
    }

    async fn update(&self, build: BuildId, update: BuildUpdate) -> Result<(), UpdateError> {
        self.state.lock().update(build, update)
    }

    async fn commit(&self, batch: DocumentBatch) -> Result<(), CommitError> {
        self.state.lock().commit(batch)
    }

    async fn find(
        &self,
        source: &DocumentSource,
        query: &DocumentQuery,
    ) -> Result<Option<Found>, StoreError> {
        let state = self.state.lock();
        let kept = match source {
            DocumentSource::Live(name) => state.live(name),
            DocumentSource::Build(id) => state.builds.get(id),
        };
        Ok(kept.map(|kept| kept.find(query)))
    }
}
