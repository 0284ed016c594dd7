//! A check that a build was made of this log, and not of a log that a backup has replaced.

use ironstar_ports::{
    Build, BuildState, BuildUpdate, CommitError, DocumentBatch, EventStore, LogPlace,
    ProjectionStore, StoreError, UpdateError,
};

use crate::history::{Resolved, resolve};

/// Returns a build if the log has the event at its checkpoint. A build of another history is
/// discarded, because its documents contain events that this log does not have. A build from
/// before there were marks is trusted once, and its checkpoint gets a mark.
pub(super) async fn of_this_log(
    build: Build,
    events: &dyn EventStore,
    store: &dyn ProjectionStore,
) -> Result<Option<Build>, StoreError> {
    match resolve(events, build.checkpoint).await? {
        Resolved::Here(place) if place == build.checkpoint => Ok(Some(build)),
        Resolved::Here(place) => Ok(Some(mark(build, place, store).await?)),
        Resolved::Beyond | Resolved::Elsewhere => {
            tracing::warn!(
                projection = build.name,
                checkpoint = %build.checkpoint,
                "a read model was made of a log that a backup has replaced; it is discarded, \
                 and will be rebuilt"
            );
            let discard = BuildUpdate::Discard(build.checkpoint);
            match store.update(build.id, discard).await {
                Ok(()) | Err(UpdateError::NoSuchBuild | UpdateError::WrongState) => Ok(None),
                Err(UpdateError::Store(error)) => Err(error),
                Err(error @ (UpdateError::Behind { .. } | UpdateError::LeaseOver)) => {
                    Err(StoreError::unavailable(error))
                }
            }
        }
    }
}

/// Adds the mark to a checkpoint. A commit would delete a failure, and a cancelled build
/// accepts no commit. Such builds get their mark when they continue.
async fn mark(
    build: Build,
    place: LogPlace,
    store: &dyn ProjectionStore,
) -> Result<Build, StoreError> {
    if build.failure.is_some() || build.state == BuildState::Cancelled || place.mark.is_none() {
        return Ok(build);
    }
    let batch = DocumentBatch {
        build: build.id,
        from: build.checkpoint,
        to: place,
        changes: Vec::new(),
    };
    match store.commit(batch).await {
        Ok(()) => Ok(Build {
            checkpoint: place,
            ..build
        }),
        // Another process has added the mark, or has continued the build.
        Err(CommitError::Moved { .. } | CommitError::Ended | CommitError::LeaseOver) => Ok(build),
        Err(CommitError::Store(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use ironstar_adapters::memory::MemoryProjectionStore;
    use ironstar_ports::{Failure, Mark, Position};
    use time::OffsetDateTime;
    use uuid::Uuid;

    use super::*;

    fn place() -> LogPlace {
        LogPlace::of(Position::new(3), Uuid::from_u128(1))
    }

    /// A build that was stored before there were marks, after an update.
    async fn marked(update: Option<BuildUpdate>, place: LogPlace) -> (Option<Mark>, Build) {
        let store = MemoryProjectionStore::new();
        let build = store.begin("test", 1).await.expect("begun");
        let batch = DocumentBatch {
            build: build.id,
            from: build.checkpoint,
            to: LogPlace::unmarked(Position::new(3)),
            changes: Vec::new(),
        };
        store.commit(batch).await.expect("stored");
        if let Some(update) = update {
            store.update(build.id, update).await.expect("updated");
        }
        let build = store.builds().await.expect("read").remove(0);
        let marked = mark(build, place, &store).await.expect("marked");
        let stored = store.builds().await.expect("read").remove(0);
        assert_eq!(marked.checkpoint, stored.checkpoint);
        (stored.checkpoint.mark, stored)
    }

    #[tokio::test]
    async fn checkpoint_gets_its_mark_unless_the_build_failed_or_was_cancelled() {
        let (mark, _) = marked(None, place()).await;
        assert_eq!(mark, place().mark);
        let (mark, _) = marked(None, LogPlace::unmarked(Position::new(3))).await;
        assert_eq!(mark, None);
        let (mark, build) = marked(Some(BuildUpdate::Cancel), place()).await;
        assert_eq!((mark, build.state), (None, BuildState::Cancelled));
        let failure = Failure {
            position: Position::new(4),
            event_type: "happened".to_owned(),
            reason: "the event is damaged".to_owned(),
            attempts: 1,
            failed_at: OffsetDateTime::UNIX_EPOCH,
        };
        let (mark, build) = marked(Some(BuildUpdate::Fail(failure.clone())), place()).await;
        assert_eq!((mark, build.failure), (None, Some(failure)));
    }
}
