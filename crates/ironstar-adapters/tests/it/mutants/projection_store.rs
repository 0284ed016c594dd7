//! Broken projection stores, each a wrapper of a working one.

mod builds;

use std::sync::Mutex;

use async_trait::async_trait;
use ironstar_adapters::memory::MemoryProjectionStore;
use ironstar_ports::contract::projection_store::RULES;
use ironstar_ports::{
    Build, BuildId, BuildState, BuildUpdate, CommitError, Document, DocumentBatch, DocumentChange,
    DocumentPage, DocumentQuery, DocumentSource, Found, LogPlace, Position, ProjectionStore,
    StoreError, UpdateError,
};

mutants! {
    dyn ProjectionStore, around MemoryProjectionStore::new();
    "document-round-trip" => ForgetsTheSortText,
    "document-put-again" => ListsWhereItWas,
    "document-removed" => RemovesNothing,
    "documents-by-key" => FindsTheFirstKeyOnly,
    "documents-of-each-build" => FindsInAnyBuild,
    "commit-moves-the-checkpoint" => IgnoresEmptyCommits,
    "commit-from-elsewhere" => WritesBeforeItChecks,
    "commit-in-another-history" => IgnoresTheMark,
    "commit-one-winner" => ChecksBeforeItWrites,
    "commit-seen-whole" => ReadsInTwoSteps,
    "commit-to-a-stopped-build" => CommitsToCancelled,
    "build-begins-empty" => BeginsAtOne,
    "build-goes-on" => BeginsAnew,
    "build-goes-on-after-a-cancellation" => BeginsAnewIfCancelled,
    "build-of-another-version" => GoesOnWithAnother,
    "build-numbers" => ReusesNumbers,
    "builds-in-order" => ListsByNumber,
    "build-cancelled" => CancelsTwice,
    "build-that-has-ended" => FindsWhatHasEnded,
    "build-discarded" => KeepsTheLiveOne,
    "promote-the-first" => FindsTheFirstToBe,
    "promote-the-next" => FindsTheFormer,
    "promote-not-behind" => PromotesWhatIsBehind,
    "promote-only-a-build-in-progress" => PromotesCancelled,
    "failure-reported" => KeepsTheFirstFailure,
    "failure-over" => FailsForEver,
    "failure-skipped" => TellsTheLastSkippedFirst,
    "failure-of-that-position" => SkipsAnything,
    "failure-at-a-skipped-event" => FailsAtWhatIsSkipped,
    "failure-at-a-passed-event" => FailsAtWhatIsPassed,
    "page-in-order" => IgnoresCase,
    "page-after-a-place" => PageIncludesAfter,
    "page-limit" => PageIgnoresLimit,
    "page-of-several-collections" => PagesOneAfterAnother,
}

type Mutant = super::Mutant<Mutation, MemoryProjectionStore, Notes>;

#[derive(Debug, Default)]
struct Notes {
    /// An ended build, whose number the mutant uses again.
    free: Mutex<Option<BuildId>>,
    /// The documents of a build from before it ended.
    ended: Mutex<Option<Found>>,
}

impl Mutant {
    async fn build(&self, id: BuildId) -> Option<Build> {
        let mut builds = self.inner.builds().await.expect("read").into_iter();
        builds.find(|build| build.id == id)
    }

    /// The live build of a projection, or its build in progress.
    async fn build_of(&self, name: &str, is_live: bool) -> Option<Build> {
        let mut builds = self.inner.builds().await.expect("read").into_iter();
        builds.find(|build| build.name == name && (build.state == BuildState::Live) == is_live)
    }

    async fn inner_find(&self, build: BuildId, query: &DocumentQuery) -> Option<Found> {
        let source = DocumentSource::Build(build);
        self.inner.find(&source, query).await.expect("read")
    }

    /// Applies the mutation to a commit before the store gets it.
    async fn distort(&self, batch: &mut DocumentBatch) {
        if self.is(Mutation::RemovesNothing) {
            let is_put = |change: &DocumentChange| matches!(change, DocumentChange::Put(_));
            batch.changes.retain(is_put);
        }
        if self.is(Mutation::ListsWhereItWas) {
            for change in &mut batch.changes {
                if let DocumentChange::Put(document) = change
                    && document.place.is_none()
                {
                    *document = self.where_it_was(batch.build, document.clone()).await;
                }
            }
        }
        let Some(build) = self.build(batch.build).await else {
            return;
        };
        if self.is(Mutation::ChecksBeforeItWrites) && build.checkpoint == batch.from {
            tokio::task::yield_now().await;
            let now = self.build(batch.build).await.expect("a build");
            batch.from = now.checkpoint;
        }
        if self.is(Mutation::IgnoresTheMark) && build.checkpoint.position == batch.from.position {
            batch.from = build.checkpoint;
        }
    }

    async fn where_it_was(&self, build: BuildId, document: Document) -> Document {
        let query = DocumentQuery {
            keys: vec![document.key.clone()],
            page: None,
        };
        let found = self.inner_find(build, &query).await;
        let before = found.into_iter().flat_map(|found| found.keyed).next();
        let place = before.and_then(|before| before.place);
        Document { place, ..document }
    }

    /// Applies the mutation to a refused commit.
    async fn after_refusal(
        &self,
        mut batch: DocumentBatch,
        refusal: CommitError,
    ) -> Result<(), CommitError> {
        let build = self.build(batch.build).await;
        if let CommitError::Moved { checkpoint } = refusal
            && self.is(Mutation::WritesBeforeItChecks)
            && checkpoint.position != batch.from.position
        {
            (batch.from, batch.to) = (checkpoint, checkpoint);
            self.inner.commit(batch).await.expect("written");
        } else if self.is(Mutation::CommitsToCancelled)
            && let Some(build) = build
            && build.state == BuildState::Cancelled
        {
            let resumed = self.inner.begin(&build.name, build.version).await;
            let committed = self.inner.commit(batch).await;
            self.inner
                .update(build.id, BuildUpdate::Cancel)
                .await
                .expect("cancelled");
            return resumed
                .map(|_| ())
                .map_err(CommitError::from)
                .and(committed);
        }
        Err(refusal)
    }

    /// Applies the mutation to a query before the store gets it. Pages of several collections
    /// have their own mutation.
    fn distort_query(&self, query: &mut DocumentQuery) {
        if self.is(Mutation::FindsTheFirstKeyOnly) {
            query.keys.truncate(1);
        }
        if let Some(page) = &mut query.page
            && page.collections.len() == 1
        {
            if self.is(Mutation::PageIgnoresLimit) {
                page.limit = usize::MAX;
            }
            if self.is(Mutation::PageIncludesAfter) {
                page.after = None;
            }
        }
    }

    /// Applies the mutation to the result of a query.
    async fn distort_found(&self, found: &mut Found, query: &DocumentQuery) {
        if self.is(Mutation::ForgetsTheSortText) {
            for place in found
                .keyed
                .iter_mut()
                .filter_map(|found| found.place.as_mut())
            {
                place.sort.clear();
            }
        }
        if self.is(Mutation::FindsInAnyBuild) && !query.keys.is_empty() {
            for build in self.inner.builds().await.expect("read") {
                let any = self.inner_find(build.id, query).await.expect("a build");
                if !any.keyed.is_empty() {
                    found.keyed = any.keyed;
                }
            }
        }
        if self.is(Mutation::ReadsInTwoSteps) {
            tokio::task::yield_now().await;
            let later = self.inner_find(found.build, query).await.expect("a build");
            found.page = later.page;
        }
        if self.is(Mutation::IgnoresCase) {
            found
                .page
                .sort_by_key(|found| (sort(found).to_lowercase(), found.key.clone()));
        }
        if let Some(page) = &query.page {
            self.distort_page(found, page).await;
        }
    }

    async fn distort_page(&self, found: &mut Found, page: &DocumentPage) {
        if self.is(Mutation::PagesOneAfterAnother) {
            found.page.clear();
            for collection in &page.collections {
                let mut page = page.clone();
                page.collections = vec![collection.clone()];
                let page = DocumentQuery {
                    keys: vec![],
                    page: Some(page),
                };
                let one = self.inner_find(found.build, &page).await;
                found.page.extend(one.expect("a build").page);
            }
            found.page.truncate(page.limit);
        }
    }

    async fn find_ended(&self, source: &DocumentSource) -> Option<Found> {
        match source {
            DocumentSource::Build(id) => {
                let ended = self.notes.ended.lock().expect("the lock").clone();
                ended.filter(|ended| ended.build == *id)
            }
            DocumentSource::Live(name) if self.is(Mutation::FindsTheFirstToBe) => {
                let build = self.build_of(name, false).await?;
                self.inner_find(build.id, &DocumentQuery::default()).await
            }
            DocumentSource::Live(_) => None,
        }
    }
}

fn sort(document: &Document) -> &str {
    document.place.as_ref().map_or("", |place| &*place.sort)
}

#[async_trait]
impl ProjectionStore for Mutant {
    async fn builds(&self) -> Result<Vec<Build>, StoreError> {
        let mut builds = self.inner.builds().await?;
        if self.is(Mutation::ListsByNumber) {
            builds.sort_by_key(|build| build.id);
        }
        if self.is(Mutation::TellsTheLastSkippedFirst) {
            for build in &mut builds {
                build.skipped.reverse();
            }
        }
        Ok(builds)
    }

    async fn begin(&self, name: &str, version: u32) -> Result<Build, StoreError> {
        let mut taken_for = version;
        let builds = self.inner.builds().await?;
        let is_first = builds.iter().all(|build| build.name != name);
        if let Some(unfinished) = self.build_of(name, false).await {
            taken_for = self.before_begin(&unfinished, version).await;
        }
        let mut build = self.inner.begin(name, taken_for).await?;
        if self.is(Mutation::BeginsAtOne) && build.checkpoint == LogPlace::START {
            build.checkpoint = Position::new(1).into();
        }
        if self.is(Mutation::ReusesNumbers)
            && is_first
            && let Some(free) = self.notes.free.lock().expect("the lock").take()
        {
            build.id = free;
        }
        Ok(build)
    }

    async fn update(&self, id: BuildId, update: BuildUpdate) -> Result<(), UpdateError> {
        if let Some(build) = self.build(id).await
            && let Some(()) = self.update_mutated(&build, &update).await
        {
            return Ok(());
        }
        self.inner.update(id, update).await
    }

    async fn commit(&self, mut batch: DocumentBatch) -> Result<(), CommitError> {
        if self.is(Mutation::IgnoresEmptyCommits) && batch.changes.is_empty() {
            return Ok(());
        }
        self.distort(&mut batch).await;
        let before = self.build(batch.build).await;
        let failure = before.and_then(|build| build.failure);
        if let Err(refusal) = self.inner.commit(batch.clone()).await {
            return self.after_refusal(batch, refusal).await;
        }
        if self.is(Mutation::FailsForEver)
            && let Some(failure) = failure
            && let Some(build) = self.build(batch.build).await
        {
            self.fail(&build, failure).await;
        }
        Ok(())
    }

    async fn find(
        &self,
        source: &DocumentSource,
        query: &DocumentQuery,
    ) -> Result<Option<Found>, StoreError> {
        let mut distorted = query.clone();
        self.distort_query(&mut distorted);
        let found = self.inner.find(source, &distorted).await?;
        let Some(mut found) = found else {
            return Ok(self.find_ended(source).await);
        };
        self.distort_found(&mut found, &distorted).await;
        if let Some(page) = &query.page
            && self.is(Mutation::PageIncludesAfter)
            && page.collections.len() == 1
            && let Some((after, key)) = &page.after
        {
            found
                .page
                .retain(|found| (sort(found), &*found.key) >= (&**after, &**key));
        }
        Ok(Some(found))
    }
}
