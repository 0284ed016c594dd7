//! What the task does, in rounds.

use std::sync::Arc;
use std::time::Duration;

use ironstar_ports::{
    Append, AppendError, Appended, Build, BuildId, BuildUpdate, Clock, CommitError, Snapshot,
    StoreError, UpdateError,
};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::{Answer, Job, Project, Request};
use crate::sqlite::batch::{self, Answers, BatchError};
use crate::sqlite::documents::Changes;
use crate::sqlite::file::OpenFile;
use crate::sqlite::foresight::Foresight;
use crate::sqlite::snapshots::{self, SnapshotError};
use crate::sqlite::{builds, documents};

/// How many appends are committed together at the most.
const BATCH: usize = 512;

/// How many appends are worth a sync. More may well come while it runs.
const WORTHWHILE: usize = 64;

/// How often old commands are swept, if there is something to commit.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// How many times as long as it took to sweep a little of a build that has ended,
/// nothing more of it is swept.
const SWEEP_REST: u32 = 9;

/// The task's own.
pub(super) struct Task {
    connection: SqliteConnection,
    file: OpenFile,
    clock: Arc<dyn Clock>,
    retention: Duration,
    swept_at: OffsetDateTime,
    foresight: Foresight,
    /// Whether there may be builds that have ended.
    has_ended_builds: bool,
    /// When the next of their documents are swept.
    sweep_at: Instant,
}

/// What one round does, in this order.
#[derive(Default)]
struct Round {
    appends: Vec<(Append, Answer<Appended, AppendError>)>,
    saves: Vec<(Snapshot, Answer<(), StoreError>)>,
    projects: Vec<Project>,
    jobs: Vec<Job>,
    close: Option<Answer<(), StoreError>>,
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

impl Task {
    pub(super) fn new(
        connection: SqliteConnection,
        file: OpenFile,
        clock: Arc<dyn Clock>,
        retention: Duration,
    ) -> Self {
        Self {
            connection,
            file,
            clock,
            retention,
            swept_at: OffsetDateTime::UNIX_EPOCH,
            foresight: Foresight::default(),
            has_ended_builds: true,
            sweep_at: Instant::now(),
        }
    }

    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut taken = Vec::with_capacity(BATCH);
        match Foresight::look(&mut self.connection).await {
            Ok(foresight) => self.foresight = foresight,
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the end of the log cannot be read; a restore before the next append goes unnoticed"
            ),
        }
        loop {
            if !self.receive(&mut requests, &mut taken).await {
                return;
            }
            wait_for_more(&requests, taken.len()).await;
            while taken.len() < BATCH
                && let Ok(request) = requests.try_recv()
            {
                taken.push(request);
            }
            let round = Round::of(taken.drain(..));
            if !round.appends.is_empty() {
                self.append(round.appends).await;
            }
            if !round.saves.is_empty() {
                self.save(round.saves).await;
            }
            for Job(run) in round.jobs {
                run(self.checked()).await;
            }
            for project in round.projects {
                self.project(project).await;
            }
            if let Some(answer) = round.close {
                let closed = self.connection.close().await;
                // Whoever asked may have stopped waiting; the file is closed.
                let _ = answer.send(closed.map_err(StoreError::unavailable));
                return;
            }
        }
    }

    /// Commits appends and answers everyone.
    async fn append(&mut self, appends: Vec<(Append, Answer<Appended, AppendError>)>) {
        let (appends, waiting): (Vec<_>, Vec<_>) = appends.into_iter().unzip();
        let failure = match self.commit_appends(&appends).await {
            Ok(answers) => {
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

    async fn commit_appends(&mut self, appends: &[Append]) -> Result<Answers, BatchError> {
        let now = self.clock.now();
        let forget_before = (now - self.swept_at > SWEEP_INTERVAL).then(|| now - self.retention);
        self.file.check()?;
        let (connection, foresight) = (&mut self.connection, &mut self.foresight);
        let answers = batch::commit(connection, appends, now, forget_before, foresight).await?;
        if forget_before.is_some() {
            self.swept_at = now;
        }
        Ok(answers)
    }

    /// Saves snapshots and answers everyone.
    async fn save(&mut self, saves: Vec<(Snapshot, Answer<(), StoreError>)>) {
        let (snapshots, waiting): (Vec<_>, Vec<_>) = saves.into_iter().unzip();
        let saved = self.save_all(&snapshots).await.map_err(Arc::new);
        for waiting in waiting {
            // Whoever saves one need not wait for it.
            let _ = waiting.send(saved.clone().map_err(StoreError::unavailable));
        }
    }

    async fn save_all(&mut self, snapshots: &[Snapshot]) -> Result<(), SnapshotError> {
        self.file.check()?;
        snapshots::save(&mut self.connection, snapshots).await
    }

    /// Changes a read model and answers. Whoever asked may have stopped waiting.
    async fn project(&mut self, project: Project) {
        match project {
            Project::Begin(name, version, answer) => {
                let _ = answer.send(self.begin(&name, version).await);
            }
            Project::Update(build, update, answer) => {
                let _ = answer.send(self.update(build, update).await);
            }
            Project::Commit(changes, answer) => {
                let _ = answer.send(self.commit(changes).await);
            }
        }
    }

    async fn begin(&mut self, name: &str, version: u32) -> Result<Build, StoreError> {
        self.has_ended_builds = true;
        Ok(builds::begin(self.checked()?, name, version).await?)
    }

    async fn update(&mut self, build: BuildId, update: BuildUpdate) -> Result<(), UpdateError> {
        self.has_ended_builds = true;
        builds::update(self.checked()?, build, update).await
    }

    async fn commit(&mut self, changes: Changes) -> Result<(), CommitError> {
        let committed = documents::commit(self.checked()?, changes).await;
        // Another process may have had it replaced, and have no time to sweep.
        self.has_ended_builds |= matches!(committed, Err(CommitError::Ended));
        committed
    }

    /// The connection, if the file is still the one that it was opened on.
    fn checked(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        self.file.check().map_err(StoreError::unavailable)?;
        Ok(&mut self.connection)
    }

    /// Waits for requests. As long as there are builds that have ended, some of
    /// that time goes to sweeping them, a little at a time. Returns whether there
    /// will be more requests.
    async fn receive(
        &mut self,
        requests: &mut mpsc::Receiver<Request>,
        taken: &mut Vec<Request>,
    ) -> bool {
        while self.has_ended_builds && !requests.is_closed() {
            let receiving = requests.recv_many(taken, BATCH);
            // What is due is done first, or it never would be under load.
            tokio::select! {
                biased;
                () = sleep_until(self.sweep_at) => self.sweep_builds().await,
                received = receiving => return received > 0,
            }
        }
        requests.recv_many(taken, BATCH).await > 0
    }

    /// Sweeps some of what builds that have ended leave behind, and then lets
    /// others have the connection for longer than it took.
    async fn sweep_builds(&mut self) {
        let start = Instant::now();
        let swept = self.sweep_some().await;
        self.has_ended_builds = swept.unwrap_or_else(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "builds that have ended were not swept; they will be with the next"
            );
            false
        });
        self.sweep_at = Instant::now() + start.elapsed() * SWEEP_REST;
    }

    /// Returns whether there may be more.
    async fn sweep_some(&mut self) -> Result<bool, StoreError> {
        let swept = builds::sweep(self.checked()?).await;
        swept.map_err(StoreError::unavailable)
    }
}

impl Round {
    fn of(requests: impl Iterator<Item = Request>) -> Self {
        let mut round = Self::default();
        for request in requests {
            match request {
                Request::Append(append, answer) => round.appends.push((append, answer)),
                Request::Save(snapshot, answer) => round.saves.push((snapshot, answer)),
                Request::Project(project) => round.projects.push(project),
                Request::Run(job) => round.jobs.push(job),
                Request::Close(answer) => round.close = Some(answer),
            }
        }
        round
    }
}
