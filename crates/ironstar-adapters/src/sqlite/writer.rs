//! The one task that writes.
//!
//! It takes all appends that are waiting and has them committed together: one
//! transaction, one sync, then everyone's answer. Then comes what can be made
//! anew, each in a transaction of its own. A caller that goes away changes
//! nothing about a commit. When more is waiting than there is room for, callers
//! are told at once.

mod task;

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use ironstar_ports::{
    Append, AppendError, Appended, Build, BuildId, BuildUpdate, CommitError, DocumentBatch,
    Snapshot, StoreError, UpdateError,
};
use sqlx::sqlite::SqliteConnection;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use self::task::Task;
use super::documents::Changes;
use super::file::OpenFile;
use super::sessions::SessionError;
use crate::system::SteadyClock;

/// How many requests may wait for the writer.
const QUEUE: usize = 4_096;

/// A handle to the task.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Request>,
}

#[derive(Debug)]
enum Request {
    Append(Append, Answer<Appended, AppendError>),
    Save(Snapshot, Answer<(), StoreError>),
    Project(Project),
    Run(Job),
    Close(Answer<(), StoreError>),
}

/// A change of one statement, and whoever waits for its answer.
struct Job(Box<dyn FnOnce(Checked<'_>) -> Work<'_> + Send>);

/// The connection that writes, if it may be used.
type Checked<'c> = Result<&'c mut SqliteConnection, StoreError>;

/// A job at work.
type Work<'c> = BoxFuture<'c, ()>;

impl Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Job")
    }
}

/// A change to read models.
#[derive(Debug)]
enum Project {
    Begin(String, u32, Answer<Build, StoreError>),
    Update(BuildId, BuildUpdate, Answer<(), UpdateError>),
    Commit(Changes, Answer<(), CommitError>),
}

/// Where the answer goes.
type Answer<T, E> = oneshot::Sender<Result<T, E>>;

impl Writer {
    /// Starts the task on the connection that writes. Commands are remembered
    /// for `retention`.
    pub(super) fn start(
        connection: SqliteConnection,
        file: OpenFile,
        clock: Arc<SteadyClock>,
        retention: Duration,
    ) -> Self {
        let (queue, requests) = mpsc::channel(QUEUE);
        let task = Task::new(connection, file, clock, retention);
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
            .try_send(Request::Append(append, answer))
            .map_err(|error| match error {
                TrySendError::Full(_) => AppendError::Overloaded,
                TrySendError::Closed(_) => closed().into(),
            })?;
        answered.await.map_err(|_| closed())?
    }

    /// Has a snapshot saved.
    pub(super) async fn save(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.ask(|answer| Request::Save(snapshot, answer)).await
    }

    /// Has a build go on, or begin.
    pub(super) async fn begin(&self, name: &str, version: u32) -> Result<Build, StoreError> {
        let name = name.to_owned();
        self.ask(|answer| Request::Project(Project::Begin(name, version, answer)))
            .await
    }

    /// Has a build updated.
    pub(super) async fn update(
        &self,
        build: BuildId,
        update: BuildUpdate,
    ) -> Result<(), UpdateError> {
        self.ask(|answer| Request::Project(Project::Update(build, update, answer)))
            .await
    }

    /// Has documents changed, and a checkpoint moved.
    pub(super) async fn commit(&self, batch: DocumentBatch) -> Result<(), CommitError> {
        let changes = Changes::of(&batch)?;
        self.ask(|answer| Request::Project(Project::Commit(changes, answer)))
            .await
    }

    /// Has a statement carried out that is a transaction of its own.
    pub(super) async fn run<T, R>(&self, run: R) -> Result<T, StoreError>
    where
        T: Send + 'static,
        R: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, SessionError>>
            + Send
            + 'static,
    {
        self.ask(|answer: Answer<T, StoreError>| {
            Request::Run(Job(Box::new(move |connection| {
                async move {
                    let outcome = match connection {
                        Ok(connection) => run(connection).await.map_err(StoreError::unavailable),
                        Err(error) => Err(error),
                    };
                    // Whoever asked may have stopped waiting.
                    let _ = answer.send(outcome);
                }
                .boxed()
            })))
        })
        .await
    }

    /// Ends the task, once it has committed what was asked before.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Close(answer);
        self.queue.send(request).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Asks for what can be made anew, unless there is more important work than
    /// there is room for.
    async fn ask<T, E: From<StoreError>>(
        &self,
        request: impl FnOnce(Answer<T, E>) -> Request,
    ) -> Result<T, E> {
        let (answer, answered) = oneshot::channel();
        self.queue
            .try_send(request(answer))
            .map_err(|error| match error {
                TrySendError::Full(_) => StoreError::unavailable(AppendError::Overloaded),
                TrySendError::Closed(_) => closed(),
            })?;
        answered.await.map_err(|_| closed())?
    }
}

fn closed() -> StoreError {
    StoreError::unavailable("the event store has been closed")
}
