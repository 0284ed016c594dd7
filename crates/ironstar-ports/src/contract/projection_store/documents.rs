//! The rules of documents.

use super::Store;
use super::support::{
    OPEN, begin, begin_of, by_keys, commit, document, find_in, list, lists, live, page, put,
    remove, says,
};
use crate::contract::{Verdict, equal};
use crate::{DocumentChange, DocumentQuery};

/// A document is found as it was stored, by its key and in its collection.
pub(super) async fn round_trip(store: Store) -> Verdict {
    let build = begin(&store, 1).await?;
    let listed = [
        document("", Some((OPEN, "")), r#"{ "spaces" : [1.50, null ] }"#),
        document("1/2", Some((OPEN, "1 🦀")), r#""\u0000 🦀 \"\\ '""#),
        document("?1' \"\\%\n", Some((OPEN, "2' \"\\\n")), "{}"),
        document("Ärger 🦀", Some((OPEN, "3")), "[[], {}]"),
    ];
    let elsewhere = document("e", Some(("\"closed' 🦀", "4")), "true");
    let nowhere = document("n", None, "1e3");
    let all = listed.iter().chain([&elsewhere, &nowhere]);
    let changes = all.clone().cloned().map(DocumentChange::Put).collect();
    commit(&store, build, 0, 1, changes).await?;
    for document in all {
        let found = find_in(&store, build, by_keys(&[&document.key])).await?;
        equal("by key", found.keyed, vec![document.clone()])?;
    }
    let found = find_in(&store, build, page(&[OPEN], None, 9)).await?;
    equal("the collection", found.page, listed.to_vec())?;
    let found = find_in(&store, build, page(&["\"closed' 🦀"], None, 9)).await?;
    equal("the other collection", found.page, vec![elsewhere])
}

/// A document replaces the one with the same key: its content, and its place in a collection, if
/// it has one.
pub(super) async fn put_again(store: Store) -> Verdict {
    let build = begin(&store, 1).await?;
    let places = [
        (Some((OPEN, "1")), [true, false]),
        (Some(("closed", "1")), [false, true]),
        (None, [false, false]),
        (Some((OPEN, "2")), [true, false]),
    ];
    for (at, (place, is_listed)) in (0..).zip(places) {
        let body = at.to_string();
        let change = DocumentChange::Put(document("a", place, &body));
        commit(&store, build, at, at + 1, vec![change]).await?;
        says(&store, build, "a", Some(&body)).await?;
        for (collection, is_listed) in [OPEN, "closed"].into_iter().zip(is_listed) {
            let expected: &[&str] = if is_listed { &["a"] } else { &[] };
            lists(&store, build, page(&[collection], None, 9), expected).await?;
        }
    }
    Ok(())
}

/// A removed document is found neither by its key nor in a collection. Removing a missing
/// document is allowed.
pub(super) async fn removed(store: Store) -> Verdict {
    let build = begin(&store, 1).await?;
    let changes = vec![put("a", "1"), list("b", OPEN, "1"), list("c", OPEN, "2")];
    commit(&store, build, 0, 1, changes).await?;
    let changes = vec![remove("a"), remove("b"), remove("missing")];
    commit(&store, build, 1, 2, changes).await?;
    says(&store, build, "a", None).await?;
    says(&store, build, "b", None).await?;
    says(&store, build, "c", Some("{}")).await?;
    lists(&store, build, page(&[OPEN], None, 9), &["c"]).await
}

/// Documents are found by their keys, and no other documents are found.
pub(super) async fn by_key(store: Store) -> Verdict {
    let build = begin(&store, 1).await?;
    let changes = vec![put("a", "1"), list("b", OPEN, "1"), put("c", "3")];
    commit(&store, build, 0, 1, changes).await?;
    let mut found = find_in(&store, build, by_keys(&["c", "missing", "a"])).await?;
    found.keyed.sort_by(|a, b| a.key.cmp(&b.key));
    let expected = vec![document("a", None, "1"), document("c", None, "3")];
    equal("by key", found.keyed, expected)?;
    equal("the page", found.page, vec![])?;
    let found = find_in(&store, build, DocumentQuery::default()).await?;
    equal("documents without a requested key", found.keyed, vec![])
}

/// Each build has its own documents, even beside another build of its projection.
pub(super) async fn of_each_build(store: Store) -> Verdict {
    let one = live(&store, 1).await?;
    let next = begin(&store, 2).await?;
    let other = begin_of(&store, "other", 1).await?.id;
    let builds = [(one, "1"), (next, "2"), (other, "3")];
    for (build, body) in builds {
        let listed = list(body, OPEN, "1");
        commit(&store, build, 0, 1, vec![put("a", body), listed]).await?;
    }
    // A build cannot remove the documents of other builds.
    commit(&store, next, 1, 2, vec![remove("1"), remove("3")]).await?;
    for (build, body) in builds {
        says(&store, build, "a", Some(body)).await?;
        says(&store, build, body, Some("{}")).await?;
        lists(&store, build, page(&[OPEN], None, 9), &[body]).await?;
    }
    Ok(())
}
