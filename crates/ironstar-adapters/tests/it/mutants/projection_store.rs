//! Broken projection stores, each a wrapper of a working one.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ironstar_adapters::memory::MemoryProjectionStore;
use ironstar_ports::contract::projection_store::RULES;
use ironstar_ports::{
    Build, BuildId, BuildState, BuildUpdate, CommitError, Document, DocumentBatch, DocumentChange,
    DocumentPage, DocumentQuery, DocumentSource, Failure, Found, LogPlace, Position,
    ProjectionStore, Skipped, StoreError, UpdateError,
};

use crate::contract::each_breaks_its_rule_and_no_other;

/// The rules, each with the mutation that breaks it.
const MUTANTS: &[(&str, Mutation)] = &[
    ("document-round-trip", Mutation::ForgetsTheSortText),
    ("document-put-again", Mutation::ListsWhereItWas),
    ("document-removed", Mutation::RemovesNothing),
    ("documents-by-key", Mutation::FindsTheFirstKeyOnly),
    ("documents-of-each-build", Mutation::FindsInAnyBuild),
    ("commit-moves-the-checkpoint", Mutation::IgnoresEmptyCommits),
    ("commit-from-elsewhere", Mutation::WritesBeforeItChecks),
    ("commit-in-another-history", Mutation::IgnoresTheMark),
    ("commit-one-winner", Mutation::ChecksBeforeItWrites),
    ("commit-seen-whole", Mutation::ReadsInTwoSteps),
    ("commit-to-what-has-stopped", Mutation::CommitsToCancelled),
    ("build-begins-empty", Mutation::BeginsAtOne),
    ("build-goes-on", Mutation::BeginsAnew),
    ("build-goes-on-after-all", Mutation::BeginsAnewIfCancelled),
    ("build-of-another-version", Mutation::GoesOnWithAnother),
    ("build-numbers", Mutation::ReusesNumbers),
    ("builds-in-order", Mutation::ListsByNumber),
    ("build-cancelled", Mutation::CancelsTwice),
    ("build-that-has-ended", Mutation::FindsWhatHasEnded),
    ("build-discarded", Mutation::KeepsTheLiveOne),
    ("promote-the-first", Mutation::FindsTheFirstToBe),
    ("promote-the-next", Mutation::FindsTheFormer),
    ("promote-not-behind", Mutation::PromotesWhatIsBehind),
    ("promote-what-is-under-way", Mutation::PromotesCancelled),
    ("failure-reported", Mutation::KeepsTheFirstFailure),
    ("failure-over", Mutation::FailsForEver),
    ("failure-skipped", Mutation::TellsTheLastSkippedFirst),
    ("failure-of-that-position", Mutation::SkipsAnything),
    ("failure-of-what-is-skipped", Mutation::FailsAtWhatIsSkipped),
    ("failure-of-what-is-passed", Mutation::FailsAtWhatIsPassed),
    ("page-in-order", Mutation::IgnoresCase),
    ("page-after-a-place", Mutation::PageIncludesAfter),
    ("page-limit", Mutation::PageIgnoresLimit),
    (
        "page-of-several-collections",
        Mutation::PagesOneAfterAnother,
    ),
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mutation {
    ForgetsTheSortText,
    ListsWhereItWas,
    RemovesNothing,
    FindsTheFirstKeyOnly,
    FindsInAnyBuild,
    IgnoresEmptyCommits,
    WritesBeforeItChecks,
    IgnoresTheMark,
    ChecksBeforeItWrites,
    ReadsInTwoSteps,
    CommitsToCancelled,
    BeginsAtOne,
    BeginsAnew,
    BeginsAnewIfCancelled,
    GoesOnWithAnother,
    ReusesNumbers,
    ListsByNumber,
    CancelsTwice,
    FindsWhatHasEnded,
    KeepsTheLiveOne,
    FindsTheFirstToBe,
    FindsTheFormer,
    PromotesWhatIsBehind,
    PromotesCancelled,
    KeepsTheFirstFailure,
    FailsForEver,
    TellsTheLastSkippedFirst,
    SkipsAnything,
    FailsAtWhatIsSkipped,
    FailsAtWhatIsPassed,
    IgnoresCase,
    PageIncludesAfter,
    PageIgnoresLimit,
    PagesOneAfterAnother,
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mutant_breaks_its_rule_and_no_other() {
    each_breaks_its_rule_and_no_other(RULES, MUTANTS, Mutant::with).await;
}

/// A store with one mutation.
#[derive(Debug)]
struct Mutant {
    mutation: Mutation,
    inner: MemoryProjectionStore,
    /// An ended build, whose number the mutant uses again.
    free: Mutex<Option<BuildId>>,
    /// The documents of a build from before it ended.
    ended: Mutex<Option<Found>>,
}

impl Mutant {
    fn with(mutation: Mutation) -> Arc<dyn ProjectionStore> {
        Arc::new(Self {
            mutation,
            inner: MemoryProjectionStore::new(),
            free: Mutex::default(),
            ended: Mutex::default(),
        })
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == mutation
    }

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

    /// Applies the mutation before a build begins or continues. Returns the version that the
    /// mutant uses.
    async fn before_begin(&self, under_way: &Build, version: u32) -> u32 {
        let is_cancelled = under_way.state == BuildState::Cancelled;
        let is_ended = self.is(Mutation::BeginsAnew) && !is_cancelled
            || self.is(Mutation::BeginsAnewIfCancelled) && is_cancelled;
        if is_ended {
            let other = self.inner.begin(&under_way.name, version + 1).await;
            other.expect("begun");
        }
        let live = self.build_of(&under_way.name, true).await;
        let is_of_live = live.is_some_and(|live| live.version == version);
        if self.is(Mutation::GoesOnWithAnother) && is_of_live {
            return under_way.version;
        }
        if under_way.version != version {
            if self.is(Mutation::FindsWhatHasEnded) {
                self.keep(under_way.id).await;
            }
            *self.free.lock().expect("the lock") = Some(under_way.id);
        }
        version
    }

    /// Executes an update with a mutation of its kind. Returns `None` for other mutations.
    async fn update_mutated(&self, build: &Build, update: &BuildUpdate) -> Option<()> {
        let is_cancelled = build.state == BuildState::Cancelled;
        let is_live = build.state == BuildState::Live;
        match update {
            BuildUpdate::Promote => {
                self.before_promotion(build).await;
                None
            }
            BuildUpdate::Cancel => (self.is(Mutation::CancelsTwice) && is_cancelled).then_some(()),
            BuildUpdate::Fail(failure) => {
                self.before_failure(build, failure).await;
                let is_ignored = self.is(Mutation::KeepsTheFirstFailure);
                (is_ignored && build.failure.is_some()).then_some(())
            }
            BuildUpdate::Skip(position) => {
                let failed = build.failure.as_ref().map(|failure| failure.position);
                (self.is(Mutation::SkipsAnything) && failed != Some(*position)).then_some(())
            }
            BuildUpdate::Retry => None,
            BuildUpdate::Discard(_) => {
                (is_live && self.is(Mutation::KeepsTheLiveOne)).then_some(())
            }
        }
    }

    /// Reports a late failure as if it were at the next event.
    async fn before_failure(&self, build: &Build, failure: &Failure) {
        let is_at = |skipped: &Skipped| skipped.position == failure.position;
        let is_skipped = build.skipped.iter().any(is_at);
        let is_passed = failure.position <= build.checkpoint.position;
        if self.is(Mutation::FailsAtWhatIsSkipped) && is_skipped
            || self.is(Mutation::FailsAtWhatIsPassed) && is_passed
        {
            self.fail(build, failure.clone()).await;
        }
    }

    /// Reports a failure at a position that is not late.
    async fn fail(&self, build: &Build, failure: Failure) {
        let last = build.skipped.last().map(|skipped| skipped.position);
        let position = build
            .checkpoint
            .position
            .max(last.unwrap_or_default())
            .next();
        let failure = Failure {
            position,
            ..failure
        };
        let failed = self.inner.update(build.id, BuildUpdate::Fail(failure));
        failed.await.expect("a failure");
    }

    async fn before_promotion(&self, build: &Build) {
        let live = self.build_of(&build.name, true).await;
        if self.is(Mutation::FindsTheFormer)
            && let Some(live) = &live
        {
            self.keep(live.id).await;
        }
        if self.is(Mutation::PromotesCancelled) && build.state == BuildState::Cancelled {
            let resumed = self.inner.begin(&build.name, build.version).await;
            resumed.expect("a build");
        }
        if self.is(Mutation::PromotesWhatIsBehind)
            && let Some(live) = &live
            && live.checkpoint.position > build.checkpoint.position
        {
            let moved = self.inner.commit(DocumentBatch {
                build: build.id,
                from: build.checkpoint,
                to: live.checkpoint,
                changes: vec![],
            });
            moved.await.expect("moved");
        }
    }

    /// Stores the documents of a build that is about to end.
    async fn keep(&self, build: BuildId) {
        let found = self.inner_find(build, &DocumentQuery::default()).await;
        *self.ended.lock().expect("the lock") = found;
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
                let ended = self.ended.lock().expect("the lock").clone();
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
        if let Some(under_way) = self.build_of(name, false).await {
            taken_for = self.before_begin(&under_way, version).await;
        }
        let mut build = self.inner.begin(name, taken_for).await?;
        if self.is(Mutation::BeginsAtOne) && build.checkpoint == LogPlace::START {
            build.checkpoint = Position::new(1).into();
        }
        if self.is(Mutation::ReusesNumbers)
            && is_first
            && let Some(free) = self.free.lock().expect("the lock").take()
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
