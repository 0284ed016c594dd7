//! The task that appends, and the handle to it.
//!
//! The task takes all waiting appends, commits them in one transaction, and then answers all
//! callers. If a caller goes away, the commit happens all the same. If the queue is full, new
//! appends are refused at once.
//!
//! If the database cannot be reached, waiting callers are refused, and each later batch tries to
//! connect again.

mod sweep;
mod task;

use std::time::Duration;

use ironstar_ports::{Append, AppendError, Appended, StoreError};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::task::Task;
use super::connection::Connector;
use super::open_error::OpenError;
use super::pool::Pool;

/// The number of appends that may wait for the task.
const QUEUE: usize = 4_096;

/// A handle to the task.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Request>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

/// An append, and the channel for its answer.
struct Request {
    append: Append,
    answer: oneshot::Sender<Result<Appended, AppendError>>,
}

impl Writer {
    /// Starts the task, and one that forgets commands after `retention`.
    pub(super) fn start(connector: Connector, writers: Pool, retention: Duration) -> Self {
        let (queue, requests) = mpsc::channel(QUEUE);
        let (closing, tasks) = (CancellationToken::new(), TaskTracker::new());
        let task = Task::new(connector);
        tasks.spawn(task.run(requests, closing.clone()));
        let sweeping = sweep::commands(writers, retention);
        tasks.spawn(closing.clone().run_until_cancelled_owned(sweeping));
        Self {
            queue,
            closing,
            tasks,
        }
    }

    /// Asks the task to append events.
    pub(super) async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.is_empty() {
            return Err(AppendError::Empty);
        }
        if self.closing.is_cancelled() {
            return Err(closed().into());
        }
        let (answer, answered) = oneshot::channel();
        self.queue
            .try_send(Request { append, answer })
            .map_err(|error| match error {
                TrySendError::Full(_) => AppendError::Overloaded,
                TrySendError::Closed(_) => closed().into(),
            })?;
        answered.await.map_err(|_| closed())?
    }

    /// Ends the tasks when the guard is dropped, as [`Self::close`] does.
    pub(super) fn close_on_drop(&self) -> DropGuard {
        self.closing.clone().drop_guard()
    }

    /// Ends the tasks after all earlier appends are committed.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn closed() -> StoreError {
    StoreError::unavailable(OpenError::Closed)
}
