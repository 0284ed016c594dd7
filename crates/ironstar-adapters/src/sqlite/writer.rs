//! The one task that writes.
//!
//! It takes all appends that are waiting and has them committed together: one
//! transaction, one sync, then everyone's answer. A caller that goes away
//! changes nothing about the commit. When more is waiting than there is room
//! for, callers are told at once.

use std::sync::Arc;
use std::time::Duration;

use ironstar_ports::{Append, AppendError, Appended, Clock, Snapshot, StoreError};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use time::OffsetDateTime;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::batch::{self, BatchError, Foresight};
use super::file::OpenFile;
use super::snapshots::{self, SnapshotError};

/// How many appends may wait for the writer.
const QUEUE: usize = 4_096;

/// How many appends are committed together at the most.
const BATCH: usize = 512;

/// How many appends are worth a sync. More may well come while it runs.
const WORTHWHILE: usize = 64;

/// How often old commands are swept, if there is something to commit.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// A handle to the task.
#[derive(Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Request>,
}

#[derive(Debug)]
enum Request {
    Append(Waiting),
    Save(Snapshot, oneshot::Sender<Result<(), StoreError>>),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// An append that waits for its answer.
#[derive(Debug)]
struct Waiting {
    append: Append,
    answer: oneshot::Sender<Result<Appended, AppendError>>,
}

/// The task's own.
struct Task {
    connection: SqliteConnection,
    file: OpenFile,
    clock: Arc<dyn Clock>,
    retention: Duration,
    swept_at: OffsetDateTime,
    foresight: Foresight,
}

impl Writer {
    /// Starts the task on the connection that writes. Commands are remembered
    /// for `retention`.
    pub(super) fn start(
        connection: SqliteConnection,
        file: OpenFile,
        clock: Arc<dyn Clock>,
        retention: Duration,
    ) -> Self {
        let (queue, requests) = mpsc::channel(QUEUE);
        let task = Task {
            connection,
            file,
            clock,
            retention,
            swept_at: OffsetDateTime::UNIX_EPOCH,
            foresight: Foresight::default(),
        };
        tokio::spawn(task.run(requests));
        Self { queue }
    }

    /// Has events appended.
    pub(super) async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.is_empty() {
            return Err(AppendError::Empty);
        }
        let (answer, answered) = oneshot::channel();
        self.queue
            .try_send(Request::Append(Waiting { append, answer }))
            .map_err(|error| match error {
                TrySendError::Full(_) => AppendError::Overloaded,
                TrySendError::Closed(_) => closed().into(),
            })?;
        answered.await.map_err(|_| closed())?
    }

    /// Has a snapshot saved, unless there is more important work than there is
    /// room for.
    pub(super) async fn save(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue
            .try_send(Request::Save(snapshot, answer))
            .map_err(|error| match error {
                TrySendError::Full(_) => StoreError::unavailable(AppendError::Overloaded),
                TrySendError::Closed(_) => closed(),
            })?;
        answered.await.map_err(|_| closed())?
    }

    /// Ends the task, once it has committed what was asked before.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Close(answer);
        self.queue.send(request).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

/// Waits while more requests come in, up to a batch that is worth its sync:
/// whoever was answered just now may be about to ask again, and is better
/// served by this batch than by the next.
async fn wait_for_more(requests: &mpsc::Receiver<Request>, taken: usize) {
    loop {
        let waiting = requests.len();
        if taken + waiting >= WORTHWHILE {
            return;
        }
        tokio::task::yield_now().await;
        if requests.len() == waiting {
            return;
        }
    }
}

fn closed() -> StoreError {
    StoreError::unavailable("the event store has been closed")
}

impl Task {
    async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut taken = Vec::with_capacity(BATCH);
        while requests.recv_many(&mut taken, BATCH).await > 0 {
            wait_for_more(&requests, taken.len()).await;
            while taken.len() < BATCH
                && let Ok(request) = requests.try_recv()
            {
                taken.push(request);
            }
            let mut batch = Vec::with_capacity(taken.len());
            let mut saves = Vec::new();
            let mut close = None;
            for request in taken.drain(..) {
                match request {
                    Request::Append(waiting) => batch.push(waiting),
                    Request::Save(snapshot, answer) => saves.push((snapshot, answer)),
                    Request::Close(answer) => close = Some(answer),
                }
            }
            if !batch.is_empty() {
                self.commit(batch).await;
            }
            if !saves.is_empty() {
                self.save(saves).await;
            }
            if let Some(answer) = close {
                let closed = self.connection.close().await;
                // Whoever asked may have stopped waiting; the file is closed.
                let _ = answer.send(closed.map_err(StoreError::unavailable));
                return;
            }
        }
    }

    /// Saves snapshots and answers everyone.
    async fn save(&mut self, saves: Vec<(Snapshot, oneshot::Sender<Result<(), StoreError>>)>) {
        let (snapshots, waiting): (Vec<_>, Vec<_>) = saves.into_iter().unzip();
        let saved = match self.file.check() {
            Ok(()) => snapshots::save(&mut self.connection, &snapshots).await,
            Err(displaced) => Err(SnapshotError::from(displaced)),
        };
        let saved = saved.map_err(Arc::new);
        for waiting in waiting {
            // Whoever saves one need not wait for it.
            let _ = waiting.send(saved.clone().map_err(StoreError::unavailable));
        }
    }

    /// Commits a batch and answers everyone in it.
    async fn commit(&mut self, batch: Vec<Waiting>) {
        let now = self.clock.now();
        let forget_before = (now - self.swept_at > SWEEP_INTERVAL).then(|| now - self.retention);
        let (appends, waiting): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|waiting| (waiting.append, waiting.answer))
            .unzip();
        let outcome = match self.file.check() {
            Ok(()) => {
                let foresight = &mut self.foresight;
                batch::commit(
                    &mut self.connection,
                    &appends,
                    now,
                    forget_before,
                    foresight,
                )
                .await
            }
            Err(displaced) => Err(BatchError::from(displaced)),
        };
        let failure = match outcome {
            Ok(answers) => {
                if forget_before.is_some() {
                    self.swept_at = now;
                }
                for (waiting, answer) in waiting.into_iter().zip(answers) {
                    // A caller that went away needs no answer.
                    let _ = waiting.send(answer);
                }
                return;
            }
            Err(failure) => Arc::new(failure),
        };
        tracing::error!(
            error = &failure as &dyn std::error::Error,
            appends = appends.len(),
            "a batch of appends failed"
        );
        for waiting in waiting {
            let answer = Err(StoreError::unavailable(Arc::clone(&failure)).into());
            // A caller that went away needs no answer.
            let _ = waiting.send(answer);
        }
    }
}
