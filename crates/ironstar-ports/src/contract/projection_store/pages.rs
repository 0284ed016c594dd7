//! The rules of pages of listed documents.

use super::Store;
use super::support::{OPEN, begin, commit, list, lists, page, put};
use crate::contract::Verdict;

/// A page is ordered by sort text, byte by byte, and then by key.
pub(super) async fn in_order(store: Store) -> Verdict {
    let build = begin(&store, 1).await?;
    let changes = vec![
        list("f", OPEN, "ä"),
        list("b", OPEN, "1"),
        list("d", OPEN, "B"),
        list("ab", OPEN, "9"),
        list("a", OPEN, "9"),
        list("Z", OPEN, "9"),
        list("c", OPEN, "10"),
        list("e", OPEN, "a"),
        list("g", OPEN, ""),
        list("h", OPEN, "🦀"),
        list("i", OPEN, "\u{ffee}"),
    ];
    commit(&store, build, 0, 1, changes).await?;
    let expected = ["g", "b", "c", "Z", "a", "ab", "d", "e", "f", "i", "h"];
    lists(&store, build, page(&[OPEN], None, 99), &expected).await
}

/// A page begins after a place, whether or not there is a document at that place.
pub(super) async fn after_a_place(store: Store) -> Verdict {
    let build = begin(&store, 1).await?;
    let changes = vec![
        list("", OPEN, ""),
        list("a", OPEN, "1"),
        list("b", OPEN, "1"),
        list("a2", OPEN, "2"),
        list("a3", OPEN, "3"),
    ];
    commit(&store, build, 0, 1, changes).await?;
    for (after, expected) in [
        (None, &["", "a", "b", "a2", "a3"][..]),
        (Some(("", "")), &["a", "b", "a2", "a3"]),
        (Some(("1", "a")), &["b", "a2", "a3"]),
        (Some(("1", "aa")), &["b", "a2", "a3"]),
        (Some(("1", "b")), &["a2", "a3"]),
        (Some(("2", "")), &["a2", "a3"]),
        (Some(("2", "b")), &["a3"]),
        (Some(("3", "a3")), &[]),
        (Some(("4", "")), &[]),
    ] {
        lists(&store, build, page(&[OPEN], after, 9), expected).await?;
    }
    Ok(())
}

/// A page has as many documents as requested, if there are enough.
pub(super) async fn limit(store: Store) -> Verdict {
    let build = begin(&store, 1).await?;
    let changes = ["a", "b", "c"].map(|key| list(key, OPEN, key));
    commit(&store, build, 0, 1, changes.into()).await?;
    for limit in [0, 1, 2, 3, 4, usize::MAX] {
        let expected = &["a", "b", "c"][..limit.min(3)];
        lists(&store, build, page(&[OPEN], None, limit), expected).await?;
    }
    Ok(())
}

/// A page may list several collections as if they were one.
pub(super) async fn of_several_collections(store: Store) -> Verdict {
    let build = begin(&store, 1).await?;
    let changes = vec![
        list("a", OPEN, "1"),
        list("b", "closed", "2"),
        list("c", OPEN, "3"),
        list("d", "hidden", "3"),
        list("e", "closed", "3"),
        list("f", OPEN, "4"),
        put("g", "{}"),
    ];
    commit(&store, build, 0, 1, changes).await?;
    let both = &[OPEN, "closed"][..];
    let all = &["hidden", "closed", "missing", OPEN];
    for (collections, after, limit, expected) in [
        (both, None, 9, &["a", "b", "c", "e", "f"][..]),
        (both, None, 3, &["a", "b", "c"]),
        (both, Some(("3", "c")), 9, &["e", "f"]),
        (all, None, usize::MAX, &["a", "b", "c", "d", "e", "f"]),
        (all, Some(("2", "a")), 3, &["b", "c", "d"]),
        (&["missing"], None, 9, &[]),
        (&[], None, 9, &[]),
    ] {
        let page = page(collections, after, limit);
        lists(&store, build, page, expected).await?;
    }
    Ok(())
}
