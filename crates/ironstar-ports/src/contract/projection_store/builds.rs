//! The rules of builds, from their beginning to their end.

use super::Store;
use super::support::{
    NAME, OPEN, advance, begin, begin_of, build, builds, by_keys, commit, commit_places, failure,
    find, find_in, found_live, in_wrong_state, list, lists, live, page, place, put, says, stands,
    states, update,
};
use crate::contract::{Verdict, Violation, equal};
use crate::{
    Build, BuildId, BuildState, BuildUpdate, DocumentQuery, DocumentSource, Found, LogPlace,
    Position, UpdateError,
};

/// A new store has no builds. A new build begins at the start, and without documents.
pub(super) async fn begins_empty(store: Store) -> Verdict {
    equal("builds", builds(&store).await?, vec![])?;
    let begun = begin_of(&store, NAME, 7).await?;
    let expected = Build {
        id: begun.id,
        name: NAME.to_owned(),
        version: 7,
        state: BuildState::Building,
        checkpoint: LogPlace::START,
        failure: None,
        skipped: vec![],
    };
    equal("the build", &begun, &expected)?;
    let expected = Found {
        build: begun.id,
        version: 7,
        checkpoint: LogPlace::START,
        keyed: vec![],
        page: vec![],
    };
    equal("builds", builds(&store).await?, vec![begun])?;
    let mut query = page(&[OPEN], None, 9);
    query.keys = vec!["a".to_owned()];
    let found = find_in(&store, expected.build, query).await?;
    equal("the answer to the query", found, expected)
}

/// Beginning a build that is in progress continues it unchanged.
pub(super) async fn goes_on(store: Store) -> Verdict {
    let id = begin(&store, 1).await?;
    advance(&store, id, 0, 5).await?;
    update(&store, id, BuildUpdate::Fail(failure(6))).await?;
    let before = build(&store, id).await?;
    equal(
        "begun again",
        begin_of(&store, NAME, 1).await?,
        before.clone(),
    )?;
    equal("builds", builds(&store).await?, vec![before])?;
    says(&store, id, "at", Some("5")).await
}

/// Beginning a build that was cancelled continues it.
pub(super) async fn goes_on_after_a_cancellation(store: Store) -> Verdict {
    let id = begin(&store, 1).await?;
    advance(&store, id, 0, 5).await?;
    let before = build(&store, id).await?;
    update(&store, id, BuildUpdate::Cancel).await?;
    equal(
        "begun again",
        begin_of(&store, NAME, 1).await?,
        before.clone(),
    )?;
    equal("builds", builds(&store).await?, vec![before])?;
    says(&store, id, "at", Some("5")).await?;
    advance(&store, id, 5, 6).await
}

/// When a build of another version begins, the build in progress ends. The new build begins at
/// the start, and the live build stays.
pub(super) async fn of_another_version(store: Store) -> Verdict {
    let live = live(&store, 3).await?;
    let first = begin(&store, 4).await?;
    let changes = vec![put("a", "1"), list("b", OPEN, "1")];
    commit(&store, first, 0, 5, changes).await?;
    let second = begin(&store, 3).await?;
    let expected = vec![(live, BuildState::Live), (second, BuildState::Building)];
    equal("builds", states(&store).await?, expected)?;
    stands(&store, second, BuildState::Building, 0).await?;
    says(&store, second, "a", None).await?;
    lists(&store, second, page(&[OPEN], None, 9), &[]).await?;
    update(&store, second, BuildUpdate::Cancel).await?;
    let third = begin(&store, 4).await?;
    let expected = vec![(live, BuildState::Live), (third, BuildState::Building)];
    equal("builds", states(&store).await?, expected)
}

/// No build number is used twice.
pub(super) async fn numbers(store: Store) -> Verdict {
    let mut ids = vec![live(&store, 1).await?];
    for (version, other) in [(2, "a"), (3, "b"), (2, "c")] {
        // The former build of this projection ends here.
        ids.push(begin(&store, version).await?);
        ids.push(begin_of(&store, other, 1).await?.id);
    }
    ids.push(begin(&store, 3).await?);
    ids.sort_unstable();
    ids.dedup();
    equal("the number of different ids", ids.len(), 8)
}

/// Builds are listed by name, the live one first. Ended builds are not listed.
pub(super) async fn in_order(store: Store) -> Verdict {
    for name in ["b", "c", "a"] {
        begin_of(&store, name, 1).await?;
    }
    for build in builds(&store).await? {
        match &*build.name {
            "b" | "c" => update(&store, build.id, BuildUpdate::Promote).await?,
            _ => {}
        }
    }
    for version in [1, 2] {
        begin_of(&store, "b", version).await?;
    }
    let builds = builds(&store).await?;
    let listed: Vec<_> = builds
        .iter()
        .map(|build| (&*build.name, build.state))
        .collect();
    let expected = vec![
        ("a", BuildState::Building),
        ("b", BuildState::Live),
        ("b", BuildState::Building),
        ("c", BuildState::Live),
    ];
    equal("builds", listed, expected)
}

/// Only a build in progress can be cancelled. It keeps its documents.
pub(super) async fn cancelled(store: Store) -> Verdict {
    let build = begin(&store, 1).await?;
    advance(&store, build, 0, 5).await?;
    update(&store, build, BuildUpdate::Cancel).await?;
    stands(&store, build, BuildState::Cancelled, 5).await?;
    says(&store, build, "at", Some("5")).await?;
    in_wrong_state(&store, build, BuildUpdate::Cancel).await?;
    let other = begin_of(&store, "other", 1).await?.id;
    update(&store, other, BuildUpdate::Promote).await?;
    in_wrong_state(&store, other, BuildUpdate::Cancel).await?;
    stands(&store, other, BuildState::Live, 0).await
}

/// A build of another history is discarded in any state. It stays if its checkpoint is not the
/// expected one.
pub(super) async fn discarded(store: Store) -> Verdict {
    let at = place(5, 1);
    let elsewhere = [place(5, 2), Position::new(5).into(), LogPlace::START];
    for state in [
        BuildState::Live,
        BuildState::Building,
        BuildState::Cancelled,
    ] {
        let id = begin(&store, 1).await?;
        commit_places(&store, id, LogPlace::START, at).await?;
        match state {
            BuildState::Live => update(&store, id, BuildUpdate::Promote).await?,
            BuildState::Building => {}
            BuildState::Cancelled => update(&store, id, BuildUpdate::Cancel).await?,
        }
        for elsewhere in elsewhere {
            in_wrong_state(&store, id, BuildUpdate::Discard(elsewhere)).await?;
            stands(&store, id, state, 5).await?;
        }
        update(&store, id, BuildUpdate::Discard(at)).await?;
        equal("builds", builds(&store).await?, vec![])?;
        let found = find(&store, DocumentSource::Build(id), DocumentQuery::default()).await?;
        equal("the answer to the query", found, None)?;
        equal("live", found_live(&store, NAME).await?, None)?;
    }
    Ok(())
}

/// An ended build is not found and cannot be updated, just like an unknown build.
pub(super) async fn that_has_ended(store: Store) -> Verdict {
    let ended = begin(&store, 1).await?;
    advance(&store, ended, 0, 5).await?;
    begin(&store, 2).await?;
    let unknown = BuildId::new(ended.get() + 100);
    for build in [ended, unknown] {
        for query in [DocumentQuery::default(), by_keys(&["at"])] {
            let found = find(&store, DocumentSource::Build(build), query).await?;
            equal("the answer to the query", found, None)?;
        }
        for update in [
            BuildUpdate::Promote,
            BuildUpdate::Cancel,
            BuildUpdate::Fail(failure(1)),
            BuildUpdate::Retry,
            BuildUpdate::Skip(Position::new(1)),
            BuildUpdate::Discard(Position::new(5).into()),
        ] {
            let answer = store.update(build, update).await;
            if !matches!(answer, Err(UpdateError::NoSuchBuild)) {
                return Err(Violation(format!(
                    "there is no build {build}, but: {answer:?}"
                )));
            }
        }
    }
    Ok(())
}
