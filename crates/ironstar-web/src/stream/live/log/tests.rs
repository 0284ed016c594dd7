use std::collections::HashMap;
use std::sync::Arc;

use ironstar_app::projection::{Changed, Changes};
use ironstar_ports::Position;

use super::{Bounds, Log, Missed};

fn at(position: u64) -> Position {
    Position::new(position)
}

/// A change of the document from one number to the next.
fn change(from: u64) -> Changes<u64> {
    let changed = Changed {
        before: Some(Arc::new(from)),
        after: Some(Arc::new(from + 1)),
    };
    Changes {
        from: at(from),
        to: at(from + 1).into(),
        documents: HashMap::from([("a".to_owned(), changed)]),
    }
}

/// The log may lose entries between the time when a watcher reads its gap and the drawing.
#[test]
fn forgotten_changes_cannot_be_merged() {
    let bounds = Bounds {
        entries: 2,
        ..Bounds::OF_A_VIEW
    };
    let mut log = Log::new(at(0).into(), bounds);
    for from in 0..2 {
        assert!(log.take(&change(from), |_, _| true));
    }
    let Missed::After(gap) = log.missed(at(0)) else {
        panic!("all is known");
    };
    let merged = log.merge(gap, at(2).into()).expect("all is known");
    let number = &merged.documents["a"];
    assert_eq!(number.before.as_deref(), Some(&0));
    assert_eq!(number.after.as_deref(), Some(&2));
    let merged = log.merge(gap, at(1).into()).expect("all is known");
    assert_eq!(merged.documents["a"].after.as_deref(), Some(&1));
    log.take(&change(2), |_, _| true);
    assert!(log.merge(gap, at(2).into()).is_none());
    assert_eq!(log.missed(at(0)), Missed::TooMuch);
}

#[test]
fn log_keeps_the_newest_changes_that_fit() {
    let bounds = Bounds {
        documents: 2,
        ..Bounds::OF_A_VIEW
    };
    let mut log = Log::new(at(0).into(), bounds);
    for from in 0..5 {
        assert!(log.take(&change(from), |_, _| true));
        let oldest = (from + 1).saturating_sub(2);
        assert!(
            matches!(log.missed(at(oldest)), Missed::After(_)),
            "{oldest}"
        );
        if oldest > 0 {
            assert_eq!(log.missed(at(oldest - 1)), Missed::TooMuch);
        }
    }
}

/// Such news would mean that batches overlap, and their changes cannot be merged.
#[test]
fn overlapping_news_clear_the_log() {
    let mut log = Log::new(at(2).into(), Bounds::OF_A_VIEW);
    let mut news = change(1);
    news.to = at(4).into();
    assert!(log.take(&news, |_, _| true));
    assert_eq!(log.missed(at(2)), Missed::TooMuch);
    assert_eq!((log.place(), log.changed()), (at(4).into(), at(4).into()));
}

#[test]
fn log_rejects_ids_inside_a_batch_and_ids_from_before_its_start() {
    let bounds = Bounds {
        batches: 1,
        ..Bounds::OF_A_VIEW
    };
    let mut log = Log::new(at(1).into(), bounds);
    let admitted = |log: &Log<u64>| -> Vec<u64> {
        let all = (0..=9).filter_map(|id| log.admit(at(id), at(8)));
        all.map(Position::get).collect()
    };
    assert_eq!(admitted(&log), [1, 8]);
    for (from, to, known) in [(1, 4, &[1, 4, 8][..]), (5, 7, &[4, 5, 7, 8])] {
        let batch = Changes {
            from: at(from),
            to: at(to).into(),
            ..change(0)
        };
        assert!(
            !log.take(&batch, |_, _| false),
            "the batch does not concern the view"
        );
        assert_eq!(admitted(&log), known);
    }
}
