//! The rules of failures: events that a build cannot process.

use super::Store;
use super::support::{advance, begin, build, failure, in_wrong_state, stands, update};
use crate::contract::{Verdict, equal};
use crate::{BuildId, BuildState, BuildUpdate, Failure, Position, Skipped};

/// A failure is reported until the event is tried again. A later failure replaces it.
pub(super) async fn reported(store: Store) -> Verdict {
    let id = begin(&store, 1).await?;
    advance(&store, id, 0, 5).await?;
    for position in [6, 8, 7] {
        update(&store, id, BuildUpdate::Fail(failure(position))).await?;
        fails(&store, id, Some(failure(position))).await?;
    }
    update(&store, id, BuildUpdate::Retry).await?;
    fails(&store, id, None).await?;
    update(&store, id, BuildUpdate::Retry).await?;
    stands(&store, id, BuildState::Building, 5).await
}

/// A commit clears a failure, even that of the live build.
pub(super) async fn over(store: Store) -> Verdict {
    let id = begin(&store, 1).await?;
    for (from, to) in [(0, 5), (5, 9)] {
        update(&store, id, BuildUpdate::Fail(failure(from + 1))).await?;
        fails(&store, id, Some(failure(from + 1))).await?;
        advance(&store, id, from, to).await?;
        fails(&store, id, None).await?;
        if from == 0 {
            update(&store, id, BuildUpdate::Promote).await?;
        }
    }
    Ok(())
}

/// The event of a failure can be skipped. From then on, the build lists its skipped events by
/// position.
pub(super) async fn skipped(store: Store) -> Verdict {
    let id = begin(&store, 1).await?;
    advance(&store, id, 0, 5).await?;
    for position in [7, 12, 6] {
        update(&store, id, BuildUpdate::Fail(failure(position))).await?;
        let skip = BuildUpdate::Skip(Position::new(position));
        update(&store, id, skip).await?;
        fails(&store, id, None).await?;
    }
    stands(&store, id, BuildState::Building, 5).await?;
    advance(&store, id, 5, 20).await?;
    let expected = [6, 7, 12].map(failure).map(|failure| Skipped {
        position: failure.position,
        event_type: failure.event_type,
        reason: failure.reason,
    });
    equal("skipped", build(&store, id).await?.skipped, expected.into())
}

/// Only the event of the failure can be skipped.
pub(super) async fn of_that_position(store: Store) -> Verdict {
    let id = begin(&store, 1).await?;
    let skip = || BuildUpdate::Skip(Position::new(7));
    in_wrong_state(&store, id, skip()).await?;
    update(&store, id, BuildUpdate::Fail(failure(6))).await?;
    in_wrong_state(&store, id, skip()).await?;
    fails(&store, id, Some(failure(6))).await?;
    equal("skipped", build(&store, id).await?.skipped, vec![])
}

/// A late failure at a skipped event changes nothing.
pub(super) async fn at_a_skipped_event(store: Store) -> Verdict {
    let id = begin(&store, 1).await?;
    advance(&store, id, 0, 5).await?;
    for position in [6, 8] {
        update(&store, id, BuildUpdate::Fail(failure(position))).await?;
        let skip = BuildUpdate::Skip(Position::new(position));
        update(&store, id, skip).await?;
    }
    let before = build(&store, id).await?;
    for position in [6, 8] {
        update(&store, id, BuildUpdate::Fail(failure(position))).await?;
        equal("the build", build(&store, id).await?, before.clone())?;
    }
    update(&store, id, BuildUpdate::Fail(failure(7))).await?;
    update(&store, id, BuildUpdate::Fail(failure(8))).await?;
    fails(&store, id, Some(failure(7))).await
}

/// A late failure at an event that the checkpoint has passed changes nothing.
pub(super) async fn at_a_passed_event(store: Store) -> Verdict {
    let id = begin(&store, 1).await?;
    advance(&store, id, 0, 5).await?;
    let before = build(&store, id).await?;
    for position in [1, 5] {
        update(&store, id, BuildUpdate::Fail(failure(position))).await?;
        equal("the build", build(&store, id).await?, before.clone())?;
    }
    update(&store, id, BuildUpdate::Fail(failure(6))).await?;
    update(&store, id, BuildUpdate::Fail(failure(5))).await?;
    fails(&store, id, Some(failure(6))).await
}

async fn fails(store: &Store, id: BuildId, expected: Option<Failure>) -> Verdict {
    equal("the failure", build(store, id).await?.failure, expected)
}
