//! Futures that run to their end, whoever waits for them.

use std::fmt::{self, Debug};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::Handle;

/// A future that is not cut off when it is dropped: a task takes it over.
///
/// As long as somebody waits it costs no task, which is nearly always.
pub struct Finish<T: Send + 'static>(Option<BoxFuture<'static, T>>);

/// Has a future run to its end, also if whoever waits for it goes away, be it
/// before it has begun.
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
        let future = self.0.as_mut().expect("it is not polled after its end");
        let outcome = future.poll_unpin(context);
        if outcome.is_ready() {
            self.0 = None;
        }
        outcome
    }
}

impl<T: Send + 'static> Drop for Finish<T> {
    fn drop(&mut self) {
        // Without a runtime the process is about to end, and everything with it.
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
    async fn what_is_waited_for_is_returned() {
        assert_eq!(finish(async { 7 }).await, 7);
    }

    #[tokio::test]
    async fn what_has_begun_runs_to_its_end() {
        let (go, gone) = oneshot::channel::<()>();
        let (done, outcome) = oneshot::channel();
        let work = finish(async move {
            gone.await.expect("told to go on");
            done.send(7).expect("somebody wants to know");
        });
        let impatient = tokio::time::timeout(Duration::from_millis(1), work).await;
        impatient.expect_err("it has only begun");
        go.send(()).expect("it is still there");
        assert_eq!(outcome.await, Ok(7));
    }
}
