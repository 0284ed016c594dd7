use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::Documents;
use crate::projection::FoldError;

fn documents(most: usize, is_new: bool) -> Documents<u32> {
    Documents::new(NonZeroUsize::new(most).expect("it is not zero"), is_new)
}

fn is_missed(documents: &mut Documents<u32>, key: &str) -> bool {
    matches!(documents.get(key), Err(FoldError::NotLoaded(missed)) if missed == key)
}

fn before_and_after(documents: &Documents<u32>, key: &str) -> Option<(Option<u32>, Option<u32>)> {
    let changed = documents.changed().get(key)?;
    Some((
        changed.before.as_deref().copied(),
        changed.after.as_deref().copied(),
    ))
}

#[test]
fn new_read_model_has_nothing_to_load() {
    let mut documents = documents(2, true);
    assert_eq!(documents.get("a").expect("known"), None);
    documents.put("a", 1).expect("known");
    documents.keep_edits();
    documents.stored();
    assert_eq!(documents.get("a").expect("known"), Some(&1));
    assert_eq!(documents.get("b").expect("known"), None);
}

#[test]
fn document_is_loaded_before_it_is_read_or_changed() {
    let mut documents = documents(2, false);
    assert!(is_missed(&mut documents, "a"));
    documents.put("a", 1).expect_err("the document may exist");
    documents.remove("a").expect_err("the document may exist");
    documents.keep_edits();
    assert!(documents.changed().is_empty());
    documents.load("a".to_owned(), None);
    assert_eq!(documents.get("a").expect("loaded"), None);
    documents.load("b".to_owned(), Some(7));
    assert_eq!(documents.get("b").expect("loaded"), Some(&7));
}

#[test]
fn evicted_document_is_loaded_again() {
    let mut documents = documents(2, true);
    for (key, number) in [("a", 1), ("b", 2), ("c", 3)] {
        documents.put(key, number).expect("known");
        documents.keep_edits();
    }
    assert_eq!(documents.get("a").expect("not stored"), Some(&1));
    documents.stored();
    let kept = ["a", "b", "c"].map(|key| !is_missed(&mut documents, key));
    assert_eq!(kept.iter().filter(|kept| **kept).count(), 2);
    assert!(
        is_missed(&mut documents, "d"),
        "the document may have been evicted"
    );
}

#[test]
fn removed_document_takes_no_room_in_a_complete_read_model() {
    let mut documents = documents(1, true);
    for key in ["a", "b", "c"] {
        documents.put(key, 1).expect("known");
        documents.keep_edits();
        documents.stored();
        documents.remove(key).expect("known");
        documents.keep_edits();
        documents.stored();
    }
    assert_eq!(documents.get("a").expect("known"), None);
}

/// Otherwise each document would be loaded and then evicted by the next, for ever.
#[test]
fn event_may_need_more_documents_than_there_is_room_for() {
    let mut documents = documents(1, false);
    let keys = ["a", "b", "c"];
    for (number, key) in keys.into_iter().enumerate() {
        assert!(is_missed(&mut documents, key));
        documents.undo_edits();
        documents.load(key.to_owned(), Some(number as u32));
    }
    for key in keys {
        documents.get(key).expect("all documents are in memory");
    }
    documents.keep_edits();
    let kept = keys.map(|key| !is_missed(&mut documents, key));
    assert_eq!(
        kept,
        [false, false, true],
        "only the most recently used document stays"
    );
}

#[test]
fn undone_edits_leave_no_trace() {
    let mut documents = documents(2, false);
    documents.load("a".to_owned(), Some(1));
    documents.put("a", 2).expect("loaded");
    documents.remove("a").expect("loaded");
    documents.put("a", 3).expect("loaded");
    assert_eq!(documents.get("a").expect("loaded"), Some(&3));
    documents.undo_edits();
    assert_eq!(documents.get("a").expect("loaded"), Some(&1));
    assert!(documents.changed().is_empty());
}

#[test]
fn change_holds_the_stored_and_the_new_document() {
    let mut documents = documents(2, false);
    documents.load("a".to_owned(), Some(1));
    documents.load("b".to_owned(), None);
    for number in [2, 3] {
        documents.put("a", number).expect("loaded");
        documents.put("b", number).expect("loaded");
        documents.keep_edits();
    }
    documents.remove("a").expect("loaded");
    documents.put("b", 9).expect("loaded");
    assert_eq!(before_and_after(&documents, "a"), Some((Some(1), Some(3))));
    documents.keep_edits();
    assert_eq!(before_and_after(&documents, "a"), Some((Some(1), None)));
    assert_eq!(before_and_after(&documents, "b"), Some((None, Some(9))));
    documents.stored();
    assert!(documents.changed().is_empty());
    documents.put("b", 10).expect("loaded");
    documents.keep_edits();
    assert_eq!(before_and_after(&documents, "b"), Some((Some(9), Some(10))));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Put(u32),
    Remove,
    Read,
}

/// The edits of an event, and true if it fails in the end.
type Event = (Vec<(u8, Step)>, bool);

fn any_event() -> impl Strategy<Value = Event> {
    let step = prop_oneof![
        (0..9_u32).prop_map(Step::Put),
        Just(Step::Remove),
        Just(Step::Read),
    ];
    (
        prop::collection::vec((0..6_u8, step), 1..5),
        prop::bool::weighted(0.2),
    )
}

fn step(
    documents: &mut Documents<u32>,
    key: &str,
    step: Step,
    expected: Option<u32>,
) -> Result<(), FoldError> {
    match step {
        Step::Put(number) => documents.put(key, number),
        Step::Remove => documents.remove(key),
        Step::Read => {
            assert_eq!(documents.get(key)?.copied(), expected);
            Ok(())
        }
    }
}

/// Folds an event, and loads missing documents. Returns the documents after the event.
fn fold(
    documents: &mut Documents<u32>,
    stored: &BTreeMap<String, u32>,
    before: &BTreeMap<String, u32>,
    event: &[(u8, Step)],
) -> BTreeMap<String, u32> {
    'again: loop {
        let mut after = before.clone();
        for (key, what) in event {
            let key = key.to_string();
            let expected = after.get(&key).copied();
            match step(documents, &key, *what, expected) {
                Ok(()) => {}
                Err(FoldError::NotLoaded(key)) => {
                    documents.undo_edits();
                    let document = stored.get(&key).copied();
                    documents.load(key, document);
                    continue 'again;
                }
                Err(error) => panic!("{error}"),
            }
            match what {
                Step::Put(number) => {
                    after.insert(key, *number);
                }
                Step::Remove => {
                    after.remove(&key);
                }
                Step::Read => {}
            }
        }
        return after;
    }
}

proptest! {
    /// With any number of documents in memory, the result is the same as with a map.
    #[test]
    fn memory_size_does_not_change_the_documents(
        most in 1..4_usize,
        is_new: bool,
        batches in prop::collection::vec(prop::collection::vec(any_event(), 1..6), 1..12),
    ) {
        let mut stored: BTreeMap<String, u32> = BTreeMap::new();
        if !is_new {
            stored.extend([("0".to_owned(), 100), ("1".to_owned(), 101)]);
        }
        let mut documents = documents(most, is_new);
        for batch in batches {
            let mut now = stored.clone();
            for (event, fails) in batch {
                let after = fold(&mut documents, &stored, &now, &event);
                if fails {
                    documents.undo_edits();
                } else {
                    documents.keep_edits();
                    now = after;
                }
            }
            for (key, changed) in documents.stored() {
                prop_assert_eq!(changed.before.as_deref(), stored.get(&key));
                match changed.after {
                    Some(document) => stored.insert(key, *document),
                    None => stored.remove(&key),
                };
            }
            prop_assert_eq!(&stored, &now);
        }
    }
}
