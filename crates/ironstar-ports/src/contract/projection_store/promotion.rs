//! The rules of promotion: how a build becomes the live build.

use super::Store;
use super::support::{
    NAME, advance, begin, begin_of, find, found_live, in_wrong_state, live, stands, states, update,
};
use crate::contract::{Verdict, Violation, equal};
use crate::{BuildState, BuildUpdate, DocumentQuery, DocumentSource, Position, UpdateError};

/// A projection has no live build until one is promoted, and then at once.
pub(super) async fn of_the_first(store: Store) -> Verdict {
    let build = begin(&store, 1).await?;
    begin_of(&store, "other", 1).await?;
    equal("live", found_live(&store, NAME).await?, None)?;
    update(&store, build, BuildUpdate::Promote).await?;
    equal("live", found_live(&store, NAME).await?, Some(build))?;
    stands(&store, build, BuildState::Live, 0).await?;
    equal("other", found_live(&store, "other").await?, None)?;
    advance(&store, build, 0, 1).await?;
    stands(&store, build, BuildState::Live, 1).await
}

/// A promoted build replaces the live build, which ends.
pub(super) async fn of_the_next(store: Store) -> Verdict {
    let mut former = live(&store, 1).await?;
    for version in [2, 2, 1] {
        let next = begin(&store, version).await?;
        equal("live", found_live(&store, NAME).await?, Some(former))?;
        update(&store, next, BuildUpdate::Promote).await?;
        equal("live", found_live(&store, NAME).await?, Some(next))?;
        let expected = vec![(next, BuildState::Live)];
        equal("builds", states(&store).await?, expected)?;
        let former_one = DocumentSource::Build(former);
        let found = find(&store, former_one, DocumentQuery::default()).await?;
        equal("the former one", found, None)?;
        former = next;
    }
    Ok(())
}

/// A build cannot be promoted before it has reached the live build's position.
pub(super) async fn not_behind(store: Store) -> Verdict {
    let live = live(&store, 1).await?;
    advance(&store, live, 0, 5).await?;
    let next = begin(&store, 2).await?;
    for (from, to) in [(0, 0), (0, 4)] {
        advance(&store, next, from, to).await?;
        match store.update(next, BuildUpdate::Promote).await {
            Err(UpdateError::Behind { live }) => {
                equal("the live one's checkpoint", live, Position::new(5))?;
            }
            answer => {
                return Err(Violation(format!("the build is behind, but: {answer:?}")));
            }
        }
        stands(&store, live, BuildState::Live, 5).await?;
        stands(&store, next, BuildState::Building, to).await?;
        equal("live", found_live(&store, NAME).await?, Some(live))?;
    }
    advance(&store, next, 4, 5).await?;
    update(&store, next, BuildUpdate::Promote).await?;
    equal("live", found_live(&store, NAME).await?, Some(next))
}

/// Only a build in progress can be promoted: neither a cancelled nor the live build can be.
pub(super) async fn of_a_build_in_progress(store: Store) -> Verdict {
    let live = live(&store, 1).await?;
    in_wrong_state(&store, live, BuildUpdate::Promote).await?;
    let cancelled = begin(&store, 2).await?;
    update(&store, cancelled, BuildUpdate::Cancel).await?;
    in_wrong_state(&store, cancelled, BuildUpdate::Promote).await?;
    let expected = vec![(live, BuildState::Live), (cancelled, BuildState::Cancelled)];
    equal("builds", states(&store).await?, expected)
}
