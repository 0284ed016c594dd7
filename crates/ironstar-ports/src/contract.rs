//! The contracts of the ports: a suite of named rules for each port.
//!
//! An adapter's tests run each rule on a fresh instance, under a deadline, on a multi-threaded
//! runtime. Each rule is also shown to fail: for each there is a deliberately broken adapter,
//! which breaks only that rule.
//!
//! [`doubles`] are for tests of the code that uses the ports.

/// Makes a rule from its name and the function that checks it.
macro_rules! rule {
    ($name:literal, $check:path) => {
        Rule {
            name: $name,
            check: |subject| $check(subject).boxed(),
        }
    };
}

pub mod doubles;
pub mod event_bus;
pub mod event_store;
pub mod lease_store;
pub mod projection_store;
pub mod secret_store;
pub mod session_store;
pub mod snapshot_store;

use futures::future::BoxFuture;

/// One promise of a port, with a check that runs on a fresh `subject`.
pub struct Rule<S> {
    /// The name of the promise, in kebab case.
    pub name: &'static str,
    /// Checks the promise.
    pub check: fn(S) -> BoxFuture<'static, Verdict>,
}

/// `Ok` if the subject kept the promise, otherwise the violation.
pub type Verdict = Result<(), Violation>;

/// A broken promise, described in a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

impl<S> std::fmt::Debug for Rule<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Rule").field(&self.name).finish()
    }
}

/// Requires that two values are equal.
fn equal<T: std::fmt::Debug + PartialEq>(what: &str, actual: T, expected: T) -> Verdict {
    if actual == expected {
        return Ok(());
    }
    Err(Violation(format!(
        "{what}: expected {expected:?}, but got {actual:?}"
    )))
}

/// Makes a violation of the error of an operation that must succeed.
fn failed<E: std::fmt::Debug>(what: &'static str) -> impl Fn(E) -> Violation {
    move |error| Violation(format!("{what}: {error:?}"))
}

/// Yields to the runtime. So even an adapter whose futures are always ready is used concurrently.
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
