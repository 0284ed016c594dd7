//! Mutations of builds: how they begin, change and end.

use ironstar_ports::{
    Build, BuildId, BuildState, BuildUpdate, DocumentBatch, DocumentQuery, Failure,
    ProjectionStore, Skipped,
};

use super::{Mutant, Mutation};

impl Mutant {
    /// Applies the mutation before a build begins or continues. Returns the version that the
    /// mutant uses.
    pub(super) async fn before_begin(&self, unfinished: &Build, version: u32) -> u32 {
        let is_cancelled = unfinished.state == BuildState::Cancelled;
        let is_ended = self.is(Mutation::BeginsAnew) && !is_cancelled
            || self.is(Mutation::BeginsAnewIfCancelled) && is_cancelled;
        if is_ended {
            let other = self.inner.begin(&unfinished.name, version + 1).await;
            other.expect("begun");
        }
        let live = self.build_of(&unfinished.name, true).await;
        let is_of_live = live.is_some_and(|live| live.version == version);
        if self.is(Mutation::GoesOnWithAnother) && is_of_live {
            return unfinished.version;
        }
        if unfinished.version != version {
            if self.is(Mutation::FindsWhatHasEnded) {
                self.keep(unfinished.id).await;
            }
            *self.notes.free.lock().expect("the lock") = Some(unfinished.id);
        }
        version
    }

    /// Executes an update with a mutation of its kind. Returns `None` for other mutations.
    pub(super) async fn update_mutated(&self, build: &Build, update: &BuildUpdate) -> Option<()> {
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
    pub(super) async fn fail(&self, build: &Build, failure: Failure) {
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
        *self.notes.ended.lock().expect("the lock") = found;
    }
}
