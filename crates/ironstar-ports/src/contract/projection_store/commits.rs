//! The rules of commits.

use futures::future::join_all;

use super::Store;
use super::support::{
    OPEN, advance, batch, begin, bodies, build, commit, commit_places, document, failure, find_in,
    has_stopped, moved, page, place, put, says, stands, update,
};
use crate::contract::{Verdict, equal, let_others_run};
use crate::{
    BuildId, BuildState, BuildUpdate, DocumentBatch, DocumentChange, DocumentQuery, LogPlace,
    Position,
};

/// A commit moves the checkpoint, even if it changes no document.
pub(super) async fn moves_the_checkpoint(store: Store) -> Verdict {
    let build = begin(&store, 1).await?;
    for (from, to, changes) in [
        (0, 3, vec![put("a", "1")]),
        (3, 7, vec![]),
        (7, 7, vec![put("a", "2")]),
        (7, 9, vec![]),
    ] {
        commit(&store, build, from, to, changes).await?;
        stands(&store, build, BuildState::Building, to).await?;
        let found = find_in(&store, build, DocumentQuery::default()).await?;
        let expected = Position::new(to).into();
        equal("the checkpoint found", found.checkpoint, expected)?;
    }
    says(&store, build, "a", Some("2")).await
}

/// A commit from another place than the checkpoint's changes nothing. The refusal names the
/// checkpoint.
pub(super) async fn from_elsewhere(store: Store) -> Verdict {
    let id = begin(&store, 1).await?;
    advance(&store, id, 0, 5).await?;
    update(&store, id, BuildUpdate::Fail(failure(6))).await?;
    for from in [0, 4, 6] {
        let changes = vec![put("at", "9"), put("new", "9")];
        let answer = store.commit(batch(id, from, 9, changes)).await;
        equal("the checkpoint", moved(answer)?, Position::new(5).into())?;
        stands(&store, id, BuildState::Building, 5).await?;
        says(&store, id, "at", Some("5")).await?;
        says(&store, id, "new", None).await?;
        let failed = build(&store, id).await?.failure;
        equal("the failure", failed, Some(failure(6)))?;
    }
    Ok(())
}

/// A checkpoint keeps its mark. A commit from the same position in another history changes
/// nothing.
pub(super) async fn in_another_history(store: Store) -> Verdict {
    let id = begin(&store, 1).await?;
    let [ours, others] = [1, 2].map(|id| place(5, id));
    commit_places(&store, id, LogPlace::START, ours).await?;
    for from in [others, LogPlace::unmarked(ours.position)] {
        let batch = DocumentBatch {
            from,
            ..batch(id, 5, 6, vec![put("new", "9")])
        };
        equal("the checkpoint", moved(store.commit(batch).await)?, ours)?;
        equal("the build's", build(&store, id).await?.checkpoint, ours)?;
        says(&store, id, "new", None).await?;
    }
    let next = LogPlace::unmarked(Position::new(6));
    for (from, to) in [(ours, next), (next, place(6, 3))] {
        commit_places(&store, id, from, to).await?;
        let found = find_in(&store, id, DocumentQuery::default()).await?;
        equal("the checkpoint found", found.checkpoint, to)?;
        equal("the build's", build(&store, id).await?.checkpoint, to)?;
    }
    Ok(())
}

/// If several concurrent commits start from the same checkpoint, exactly one succeeds.
pub(super) async fn one_winner(store: Store) -> Verdict {
    let build = begin(&store, 1).await?;
    for from in 0..8 {
        let commits = (0..16).map(|rival| {
            let changes = vec![put(&format!("{from}-{rival}"), "{}")];
            store.commit(batch(build, from, from + 1, changes))
        });
        let mut winners = 0;
        for answer in join_all(commits).await {
            if answer.is_ok() {
                winners += 1;
            } else {
                moved(answer)?;
            }
        }
        equal("winners", winners, 1)?;
        stands(&store, build, BuildState::Building, from + 1).await?;
    }
    Ok(())
}

/// A reader sees all of a concurrent commit or nothing of it: the documents found belong to the
/// checkpoint found.
pub(super) async fn seen_whole(store: Store) -> Verdict {
    const LAST: u64 = 100;

    let build = begin(&store, 1).await?;
    let look = async {
        loop {
            let mut query = page(&[OPEN], None, 9);
            query.keys = vec!["a".to_owned()];
            let found = find_in(&store, build, query).await?;
            let at = found.checkpoint.position.get().to_string();
            let expected = if at == "0" { vec![] } else { vec![&*at] };
            equal("by key", bodies(&found.keyed), expected.clone())?;
            equal("the page", bodies(&found.page), expected)?;
            if found.checkpoint.position.get() == LAST {
                return Ok(());
            }
            let_others_run().await;
        }
    };
    let (seen, written) = futures::join!(look, write(&store, build, LAST));
    written.and(seen)
}

/// Commits one position at a time. The documents contain the position.
async fn write(store: &Store, build: BuildId, last: u64) -> Verdict {
    for from in 0..last {
        let body = (from + 1).to_string();
        let listed = DocumentChange::Put(document("b", Some((OPEN, "")), &body));
        commit(store, build, from, from + 1, vec![put("a", &body), listed]).await?;
        let_others_run().await;
    }
    Ok(())
}

/// A build that was cancelled, has ended or is unknown accepts no commit.
pub(super) async fn to_a_stopped_build(store: Store) -> Verdict {
    let build = begin(&store, 1).await?;
    advance(&store, build, 0, 5).await?;
    let batch = |build| batch(build, 5, 6, vec![put("at", "6")]);
    has_stopped(&store, batch(BuildId::new(build.get() + 100))).await?;
    update(&store, build, BuildUpdate::Cancel).await?;
    has_stopped(&store, batch(build)).await?;
    stands(&store, build, BuildState::Cancelled, 5).await?;
    says(&store, build, "at", Some("5")).await?;
    begin(&store, 2).await?;
    has_stopped(&store, batch(build)).await
}
