//! Futures that run to their end, even if their caller is dropped. Every append is such a
//! future, so it must not cost a task (docs/adr/0015).

use std::fmt::{self, Debug};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::Handle;

/// A future that is not cancelled when it is dropped: a task takes it over.
///
/// While a caller waits for it, which is nearly always, it costs no task.
pub struct Finish<T: Send + 'static>(Option<BoxFuture<'static, T>>);

/// Runs a future to its end, even if its caller is dropped. That holds even before the future
/// was polled for the first time.
pub fn finish<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Finish<T> {
    Finish(Some(future.boxed()))
}

impl<T: Send + 'static> Debug for Finish<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finish").finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Future for Finish<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let future = self
            .0
            .as_mut()
            .expect("a future is not polled after its end");
        let outcome = future.poll_unpin(context);
        if outcome.is_ready() {
            self.0 = None;
        }
        outcome
    }
}

impl<T: Send + 'static> Drop for Finish<T> {
    fn drop(&mut self) {
        // Without a runtime the process is about to end, together with all its tasks.
        if let (Some(future), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(future);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::finish;

    #[tokio::test]
    async fn finish_returns_the_outcome_of_its_future() {
        assert_eq!(finish(async { 7 }).await, 7);
    }

    #[tokio::test]
    async fn dropped_future_runs_to_its_end() {
        let (go, gone) = oneshot::channel::<()>();
        let (done, outcome) = oneshot::channel();
        let work = finish(async move {
            gone.await.expect("told to go on");
            done.send(7).expect("the test waits for the outcome");
        });
        let impatient = tokio::time::timeout(Duration::from_millis(1), work).await;
        impatient.expect_err("the future has only begun");
        go.send(()).expect("the future still runs");
        assert_eq!(outcome.await, Ok(7));
    }
}
