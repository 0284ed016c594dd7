//! Catches a failed expectation, so that a test can inspect it.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

/// The message of a failure, and the place where it was reported.
pub(super) struct Failure {
    pub(super) message: String,
    file: String,
    line: usize,
}

thread_local! {
    /// The place of the panic that this thread waits for.
    static PLACE: Cell<Option<(String, usize)>> = const { Cell::new(None) };
    static WAITS: Cell<bool> = const { Cell::new(false) };
}

/// Runs a check that has to fail, and returns its failure.
#[track_caller]
pub(super) fn failure_of(check: impl FnOnce()) -> Failure {
    note_places();
    WAITS.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(check));
    WAITS.set(false);
    let panic = outcome.expect_err("the check has to fail");
    let message = panic.downcast::<String>().expect("a panic with a text");
    let (file, line) = PLACE.take().expect("a panic has a place");
    Failure {
        message: *message,
        file,
        line,
    }
}

impl Failure {
    /// Asserts that the failure was reported at a line of the test's source that ends with this
    /// expectation.
    #[track_caller]
    pub(super) fn assert_place(&self, file: &str, source: &str, expectation: &str) {
        assert_eq!(self.file, file, "it was reported in another file");
        let line = source.lines().nth(self.line - 1);
        let line = line.expect("the file has the line");
        assert!(line.ends_with(expectation), "it was reported at {line}");
    }
}

/// Records the place of a panic in each thread that waits for one. The panics of other threads
/// are reported as usual.
fn note_places() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = take_hook();
        set_hook(Box::new(move |panic| {
            if !WAITS.get() {
                return report(panic);
            }
            let place = panic.location();
            PLACE.set(place.map(|place| (place.file().to_owned(), place.line() as usize)));
        }));
    });
}
