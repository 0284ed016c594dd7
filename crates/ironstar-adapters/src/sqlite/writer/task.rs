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
use crate::sqlite::batch::{self, Answers, BatchError, Foresight};
use crate::sqlite::checkpoint::Checkpoints;
use crate::sqlite::documents::Changes;
use crate::sqlite::file::{FileError, Files};
use crate::sqlite::snapshots::{self, SnapshotError};
use crate::sqlite::{builds, documents};

/// How many appends are committed together at the most.
const BATCH: usize = 512;

/// How many appends are worth a sync. More may well come while it runs.
const WORTHWHILE: usize = 64;

/// How often old commands are swept, if there is something to commit.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// How often the files are looked at, whether or not there is something to commit.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How many times as long as it took to sweep a little of a build that has ended,
/// nothing more of it is swept.
const SWEEP_REST: u32 = 9;

/// The task's own.
pub(super) struct Task {
    connection: SqliteConnection,
    files: Files,
    checkpoints: Checkpoints,
    clock: Arc<dyn Clock>,
    retention: Duration,
    swept_at: OffsetDateTime,
    foresight: Foresight,
    /// Whether there may be builds that have ended.
    has_ended_builds: bool,
    /// When the next of their documents are swept.
    sweep_at: Instant,
    /// When the files are looked at next.
    look_at: Instant,
    /// Whether what displaced files held has been saved, as far as it can be.
    is_rescued: bool,
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
        files: Files,
        checkpoints: Checkpoints,
        clock: Arc<dyn Clock>,
        retention: Duration,
    ) -> Self {
        Self {
            connection,
            files,
            checkpoints,
            clock,
            retention,
            swept_at: OffsetDateTime::UNIX_EPOCH,
            foresight: Foresight::default(),
            has_ended_builds: true,
            sweep_at: Instant::now(),
            look_at: Instant::now() + LOOK_INTERVAL,
            is_rescued: false,
        }
    }

    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut taken = Vec::with_capacity(BATCH);
        loop {
            if !self.receive(&mut requests, &mut taken).await {
                // Nobody is left to be told how it ended.
                let _ = self.close().await;
                return;
            }
            wait_for_more(&requests, taken.len()).await;
            while taken.len() < BATCH
                && let Ok(request) = requests.try_recv()
            {
                taken.push(request);
            }
            let round = Round::of(taken.drain(..));
            self.look();
            if !round.appends.is_empty() {
                self.append(round.appends).await;
            }
            if !round.saves.is_empty() {
                self.save(round.saves).await;
            }
            for Job(run) in round.jobs {
                let files = self.files.clone();
                run(self.checked().map(|connection| (connection, files))).await;
            }
            for project in round.projects {
                self.project(project).await;
            }
            if let Some(answer) = round.close {
                let closed = self.close().await;
                // The caller may have stopped waiting; the file is closed.
                let _ = answer.send(closed);
                return;
            }
            if !self.files.is_displaced() {
                let (connection, files) = (&mut self.connection, &self.files);
                self.checkpoints.after_batch(connection, files).await;
            }
        }
    }

    /// Looks at the files. If they are displaced, what they hold is saved before any
    /// caller is told.
    fn look(&mut self) {
        if let Err(FileError::Unknown { path, source }) = self.files.check() {
            tracing::warn!(%source, "cannot look at the database {}", path.display());
        }
        if self.files.is_displaced() && !self.is_rescued {
            self.is_rescued = true;
            // It blocks, as nothing else can be done meanwhile.
            self.files.rescue();
        }
    }

    /// Looks at the files, and goes on with what a reader has held up.
    async fn look_now_and_then(&mut self) {
        self.look();
        if !self.files.is_displaced() {
            let (connection, files) = (&mut self.connection, &self.files);
            self.checkpoints.again(connection, files).await;
        }
        self.look_at = Instant::now() + LOOK_INTERVAL;
    }

    /// Closes the connection. One whose files are displaced stays open until the
    /// process ends: SQLite would remove whatever has the log's name by now.
    async fn close(mut self) -> Result<(), StoreError> {
        self.look();
        if let Err(error) = self.files.check() {
            std::mem::forget(self.connection);
            return Err(error.into());
        }
        let closed = self.connection.close().await;
        closed.map_err(StoreError::unavailable)
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
        // If the files are displaced, the log says so once, and what they hold is
        // saved before callers are told.
        self.look();
        if !self.files.is_displaced() {
            tracing::error!(
                error = &failure as &dyn std::error::Error,
                appends = appends.len(),
                "a batch of appends failed"
            );
        }
        for waiting in waiting {
            let answer = Err(StoreError::unavailable(Arc::clone(&failure)).into());
            // A caller that went away needs no answer.
            let _ = waiting.send(answer);
        }
    }

    async fn commit_appends(&mut self, appends: &[Append]) -> Result<Answers, BatchError> {
        let now = self.clock.now();
        let forget_before = (now - self.swept_at > SWEEP_INTERVAL).then(|| now - self.retention);
        self.files.check_latched()?;
        let (connection, foresight) = (&mut self.connection, &mut self.foresight);
        let answers = batch::commit(connection, appends, now, forget_before, foresight).await?;
        self.files.check()?;
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
        self.files.check_latched()?;
        snapshots::save(&mut self.connection, snapshots).await?;
        Ok(self.files.check()?)
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
        let build = builds::begin(self.checked()?, name, version).await?;
        self.files.check()?;
        Ok(build)
    }

    async fn update(&mut self, build: BuildId, update: BuildUpdate) -> Result<(), UpdateError> {
        self.has_ended_builds = true;
        let updated = builds::update(self.checked()?, build, update).await;
        self.files.check().map_err(StoreError::from)?;
        updated
    }

    async fn commit(&mut self, changes: Changes) -> Result<(), CommitError> {
        let committed = documents::commit(self.checked()?, changes).await;
        // Another process may have had it replaced, and have no time to sweep.
        self.has_ended_builds |= matches!(committed, Err(CommitError::Ended));
        self.files.check().map_err(StoreError::from)?;
        committed
    }

    /// The connection, if the files were not displaced at the last look, which is that
    /// of the round or that after the change before.
    fn checked(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        self.files.check_latched()?;
        Ok(&mut self.connection)
    }

    /// Waits for requests. As long as there are builds that have ended, some of
    /// that time goes to sweeping them, a little at a time; and the files are looked
    /// at now and then. Returns whether there will be more requests.
    async fn receive(
        &mut self,
        requests: &mut mpsc::Receiver<Request>,
        taken: &mut Vec<Request>,
    ) -> bool {
        while !requests.is_closed() {
            let files = self.files.clone();
            let receiving = requests.recv_many(taken, BATCH);
            // What is due is done first, or it never would be under load.
            tokio::select! {
                biased;
                () = files.displaced(), if !self.is_rescued => self.look(),
                () = sleep_until(self.sweep_at), if self.has_ended_builds => {
                    self.sweep_builds().await;
                }
                () = sleep_until(self.look_at) => self.look_now_and_then().await,
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
