use bytes::Bytes;
use ironstar_ports::Position;

use super::{Next, Progress};
use crate::stream::live::log::{Gap, Missed};
use crate::stream::live::publication::{Publication, Step};

fn gap(first: u64, last: u64) -> Gap {
    Gap {
        first: Position::new(first),
        last: Position::new(last),
    }
}

/// A publication of edition 2, which leads from the gap between 4 and 6 to 9.
fn publication(step: Step) -> Publication {
    Publication::new(gap(4, 6), Position::new(9).into(), step, 2)
}

fn at(boundary: u64, edition: u64) -> Progress {
    Progress::At {
        boundary: Position::new(boundary),
        edition,
    }
}

/// Returns the next step of a watcher, and whether the log was asked for it.
fn step_of(progress: Progress, step: Step, missed: Missed) -> (Next, bool) {
    let mut is_asked = false;
    let next = progress.step_to(&publication(step), |boundary| {
        assert_eq!(progress, at(boundary.get(), 2));
        is_asked = true;
        missed
    });
    (next, is_asked)
}

#[test]
fn watcher_that_is_up_to_date_takes_a_step_without_the_log() {
    let frames = Step::Frames(Bytes::from_static(b"frames"));
    for step in [Step::Nothing, frames, Step::Whole] {
        for (progress, expected) in [
            (Progress::Nothing, &Step::Whole),
            // An earlier edition, wherever it ends.
            (at(3, 1), &Step::Whole),
            (at(4, 1), &Step::Whole),
            (at(6, 1), &Step::Whole),
            (at(8, 1), &Step::Whole),
            (at(9, 1), &Step::Whole),
            (at(10, 1), &Step::Whole),
            // The gap of the publication.
            (at(4, 2), &step),
            (at(5, 2), &step),
            (at(6, 2), &step),
            // A whole view may be ahead of the publication, also by its edition.
            (at(5, 3), &step),
            (at(9, 2), &Step::Nothing),
            (at(10, 2), &Step::Nothing),
            (at(10, 3), &Step::Nothing),
        ] {
            let (next, is_asked) = step_of(progress, step.clone(), Missed::TooMuch);
            assert_eq!(next, Next::Take(expected.clone()), "{progress:?} {step:?}");
            assert!(!is_asked, "{progress:?}");
        }
    }
}

#[test]
fn watcher_that_is_elsewhere_takes_the_step_that_the_log_tells() {
    for (boundary, missed, expected) in [
        // A slow watcher.
        (2, Missed::TooMuch, Next::Take(Step::Whole)),
        (2, Missed::After(gap(1, 3)), Next::Draw(gap(1, 3))),
        // Between the gap and the end of the publication, as after a whole view.
        (7, Missed::TooMuch, Next::Take(Step::Whole)),
        (7, Missed::After(gap(7, 7)), Next::Draw(gap(7, 7))),
        (8, Missed::After(gap(7, 8)), Next::Draw(gap(7, 8))),
        // The next changes are not published yet.
        (8, Missed::After(gap(8, 9)), Next::Take(Step::Nothing)),
        (8, Missed::After(gap(8, 12)), Next::Take(Step::Nothing)),
        (8, Missed::Nothing, Next::Take(Step::Nothing)),
    ] {
        for step in [Step::Nothing, Step::Whole] {
            let (next, is_asked) = step_of(at(boundary, 2), step, missed);
            assert_eq!(next, expected, "{boundary} {missed:?}");
            assert!(is_asked, "{boundary} {missed:?}");
        }
    }
}

#[test]
fn browser_never_goes_back() {
    let to = Position::new(9);
    assert_eq!(at(4, 2).after(to), at(9, 2));
    assert_eq!(at(9, 2).after(to), at(9, 2));
    assert_eq!(at(10, 3).after(to), at(10, 3));
    assert_eq!(Progress::Nothing.after(to), Progress::Nothing);
}
