//! The task that writes, and the handle to it.
//!
//! The task takes all waiting appends, commits them in one transaction with one sync, and
//! then answers all callers. After that it makes the other changes, each in its own
//! transaction. If a caller goes away, the commit happens all the same. If the queue is full,
//! new requests are refused at once.
//!
//! While another process has the file locked, all requests wait together. The task gives up
//! each request when its own caller has waited long enough, so no caller also waits for the
//! requests before its own.

mod guarded;
mod round;
mod task;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use ironstar_ports::{
    Append, AppendError, Appended, Build, BuildId, BuildUpdate, CommitError, DocumentBatch,
    Snapshot, StoreError, UpdateError,
};
use sqlx::sqlite::SqliteConnection;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use self::round::{Answer, Job, Project, Request};
use self::task::Task;
use super::checkpoint::WalFigures;
use super::database::SqliteDatabase;
use super::documents::Changes;
use super::file::Files;
use super::readers::Readers;
use super::sessions::SessionError;
use crate::system::SteadyClock;

/// The number of requests that may wait for the writer.
const QUEUE: usize = 4_096;

/// The time for which SQLite waits for another process's lock. After that, the task gives up
/// the requests that have waited long enough, and takes in new requests.
pub(super) const LOCK_ATTEMPT: Duration = Duration::from_millis(100);

/// A handle to the task.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Request>,
    /// The time for which a caller waits for another process's lock.
    patience: Duration,
    wal: Arc<Mutex<WalFigures>>,
}

/// A change in one statement, with the answer for its caller.
struct Asked<T, R> {
    run: R,
    answer: Answer<T, StoreError>,
}

impl Writer {
    /// Starts the task on the writing connection of a database, and returns its readers, too.
    /// Commands are remembered for `retention`.
    pub(super) fn start(
        database: SqliteDatabase,
        clock: Arc<SteadyClock>,
        retention: Duration,
    ) -> (Self, Readers) {
        let (queue, requests) = mpsc::channel(QUEUE);
        let patience = database.patience;
        let readers = database.readers.clone();
        let wal = database.checkpoints.figures();
        tokio::spawn(Task::new(database, clock, retention).run(requests));
        let writer = Self {
            queue,
            patience,
            wal,
        };
        (writer, readers)
    }

    /// The state of the write-ahead log.
    pub(super) fn wal(&self) -> WalFigures {
        *self.wal.lock()
    }

    /// Asks the task to append events.
    pub(super) async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.is_empty() {
            return Err(AppendError::Empty);
        }
        let (answer, answered) = self.answer();
        self.queue
            .try_send(Request::Append(append, answer))
            .map_err(|error| match error {
                TrySendError::Full(_) => AppendError::Overloaded,
                TrySendError::Closed(_) => closed().into(),
            })?;
        answered.await.map_err(|_| closed())?
    }

    /// Asks the task to save a snapshot.
    pub(super) async fn save(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.ask(|answer| Request::Save(snapshot, answer)).await
    }

    /// Asks the task to continue a build, or to begin one.
    pub(super) async fn begin(&self, name: &str, version: u32) -> Result<Build, StoreError> {
        let name = name.to_owned();
        self.ask(|answer| Request::Project(Project::Begin(name, version, answer)))
            .await
    }

    /// Asks the task to update a build.
    pub(super) async fn update(
        &self,
        build: BuildId,
        update: BuildUpdate,
    ) -> Result<(), UpdateError> {
        self.ask(|answer| Request::Project(Project::Update(build, update, answer)))
            .await
    }

    /// Asks the task to change documents, and to move a checkpoint.
    pub(super) async fn commit(&self, batch: DocumentBatch) -> Result<(), CommitError> {
        let changes = Changes::of(&batch)?;
        self.ask(|answer| Request::Project(Project::Commit(changes, answer)))
            .await
    }

    /// Asks the task to execute one statement, which is its own transaction. The task repeats
    /// the attempt while the file is locked.
    pub(super) async fn run<T, R>(&self, run: R) -> Result<T, StoreError>
    where
        T: Send + 'static,
        R: for<'c> FnMut(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, SessionError>>
            + Send
            + 'static,
    {
        self.ask(|answer| Request::Run(Box::new(Asked { run, answer })))
            .await
    }

    /// Ends the task after it has committed all earlier requests.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        let (answer, answered) = self.answer();
        let request = Request::Close(answer);
        self.queue.send(request).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Sends a request to the task, or refuses it if the queue is full.
    async fn ask<T, E: From<StoreError>>(
        &self,
        request: impl FnOnce(Answer<T, E>) -> Request,
    ) -> Result<T, E> {
        let (answer, answered) = self.answer();
        self.queue
            .try_send(request(answer))
            .map_err(|error| match error {
                TrySendError::Full(_) => StoreError::unavailable(AppendError::Overloaded),
                TrySendError::Closed(_) => closed(),
            })?;
        answered.await.map_err(|_| closed())?
    }

    /// Creates the two ends of an answer.
    fn answer<T, E>(&self) -> (Answer<T, E>, oneshot::Receiver<Result<T, E>>) {
        let (to, answered) = oneshot::channel();
        (Answer::new(to, Instant::now() + self.patience), answered)
    }
}

impl<T, R> Job for Asked<T, R>
where
    T: Send,
    R: for<'c> FnMut(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, SessionError>> + Send,
{
    fn attempt<'a>(
        &'a mut self,
        connection: &'a mut SqliteConnection,
        files: &'a Files,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            let done = (self.run)(connection).await;
            let done = done.map_err(StoreError::unavailable)?;
            files.check()?;
            self.answer.send(Ok(done));
            Ok(())
        }
        .boxed()
    }

    fn fail(&mut self, error: StoreError) {
        self.answer.send(Err(error));
    }

    fn patient_until(&self) -> Instant {
        self.answer.patient_until()
    }
}

/// The error of a request after the end of the store.
pub(super) fn closed() -> StoreError {
    StoreError::unavailable("the event store has been closed")
}
