//! What every adapter must prove: one suite of named rules per port.
//!
//! An adapter's tests run each rule on a fresh instance, under a deadline, on
//! a multi-threaded runtime. That a rule can fail is proven too: for each there
//! is a deliberately broken adapter that breaks just that rule.

/// A rule, with its name and the function that checks it.
macro_rules! rule {
    ($name:literal, $check:path) => {
        Rule {
            name: $name,
            check: |subject| $check(subject).boxed(),
        }
    };
}

pub mod event_bus;
pub mod event_store;
pub mod projection_store;
pub mod secret_store;
pub mod session_store;
pub mod snapshot_store;

use futures::future::BoxFuture;

/// One promise of a port, and how to check it on a fresh `subject`.
pub struct Rule<S> {
    /// What is promised, in kebab case.
    pub name: &'static str,
    /// Finds out whether the subject keeps the promise.
    pub check: fn(S) -> BoxFuture<'static, Verdict>,
}

/// `Ok` if the promise was kept, otherwise how it was broken.
pub type Verdict = Result<(), Violation>;

/// How a promise was broken.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

impl<S> std::fmt::Debug for Rule<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Rule").field(&self.name).finish()
    }
}

/// Demands that two things are equal.
fn equal<T: std::fmt::Debug + PartialEq>(what: &str, actual: T, expected: T) -> Verdict {
    if actual == expected {
        return Ok(());
    }
    Err(Violation(format!(
        "{what}: expected {expected:?}, but got {actual:?}"
    )))
}

/// A violation because something that must work did not.
fn failed<E: std::fmt::Debug>(what: &'static str) -> impl Fn(E) -> Violation {
    move |error| Violation(format!("{what}: {error:?}"))
}

/// Gives way, so that an adapter whose futures are always ready is used by
/// many at once too.
async fn let_others_run() {
    let mut yielded = false;
    futures::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
