//! What the task does, in rounds.

use std::error::Error;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use ironstar_ports::{
    Append, Build, BuildId, BuildUpdate, Clock, CommitError, Snapshot, StoreError, UpdateError,
};
use sqlx::sqlite::SqliteConnection;
use time::OffsetDateTime;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::mpsc;
use tokio::task::block_in_place;
use tokio::time::{Instant, Interval, interval_at, sleep_until};

use super::LOCK_ATTEMPT;
use super::guarded::Guarded;
use super::round::{Job, Project, Request, Round};
use crate::sqlite::batch::{self, Answers, BatchError, Times};
use crate::sqlite::checkpoint::Checkpoints;
use crate::sqlite::code::{is_locked, result_code};
use crate::sqlite::database::SqliteDatabase;
use crate::sqlite::documents::Changes;
use crate::sqlite::file::{FileError, Files};
use crate::sqlite::foresight::Foresight;
use crate::sqlite::path::DatabaseFile;
use crate::sqlite::refusal::{Cause, Refusal, cause_of};
use crate::sqlite::snapshots::{self, SnapshotError};
use crate::sqlite::{builds, course, documents};
use crate::system::SteadyClock;

/// How many appends are committed together at the most.
const BATCH: usize = 512;

/// How many appends are worth a sync. More may well come while it runs.
const WORTHWHILE: usize = 64;

/// How often old commands are swept, if there is something to commit.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// How often the files are looked at, whether or not there is something to commit.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long after a look the next commit begins without one. A look takes some 20 µs. An
/// append that follows a false index is refused, since the log's end is compared; other
/// changes are not made without a look.
const FRESH: Duration = Duration::from_millis(2);

/// How many times as long as it took to sweep a little of a build that has ended,
/// nothing more of it is swept.
const SWEEP_REST: u32 = 9;

/// The task's own.
pub(super) struct Task {
    connection: Guarded,
    files: Files,
    checkpoints: Checkpoints,
    place: DatabaseFile,
    clock: Arc<SteadyClock>,
    retention: Duration,
    /// When old commands were swept, by the steady time.
    swept_at: Option<OffsetDateTime>,
    foresight: Foresight,
    /// Whether there may be builds that have ended.
    has_ended_builds: bool,
    /// When the next of their documents are swept.
    sweep_at: Instant,
    /// When the files are looked at next. A timer that is kept costs nothing in a round;
    /// one of its own for each round would wake the thread that waits for timers.
    look_due: Interval,
    /// When this task last saw the files in their places.
    seen_at: Option<Instant>,
}

/// Another process has the file locked. What is left of a round may be tried again.
struct Locked(Arc<Refusal>);

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
        database: SqliteDatabase,
        clock: Arc<SteadyClock>,
        retention: Duration,
    ) -> Self {
        Self {
            connection: Guarded::new(database.writer, database.files.clone()),
            files: database.files,
            checkpoints: database.checkpoints,
            place: database.place,
            clock,
            retention,
            swept_at: None,
            foresight: Foresight::default(),
            has_ended_builds: true,
            sweep_at: Instant::now(),
            look_due: interval_at(Instant::now() + LOOK_INTERVAL, LOOK_INTERVAL),
            seen_at: None,
        }
    }

    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut taken = Vec::with_capacity(BATCH);
        let mut round = Round::default();
        match Foresight::look(&mut self.connection).await {
            Ok(foresight) => self.foresight = foresight,
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the end of the log cannot be read; a restore before the next append goes unnoticed"
            ),
        }
        loop {
            if round.len() == 0 {
                if !self.receive(&mut requests, &mut taken).await {
                    // No caller is left to be told how it ended.
                    let _ = self.close().await;
                    return;
                }
                wait_for_more(&requests, taken.len()).await;
            }
            while round.len() + taken.len() < BATCH
                && let Ok(request) = requests.try_recv()
            {
                taken.push(request);
            }
            round.add(taken.drain(..));
            let is_fresh = self.seen_at.is_some_and(|at| at.elapsed() < FRESH);
            if !is_fresh || !round.has_only_appends() {
                self.look();
            }
            if let Err(Locked(why)) = self.carry_out(&mut round).await {
                give_up(&mut round, &why);
            }
            if round.len() > 0 {
                continue;
            }
            self.note_the_time().await;
            if let Some(answer) = round.close.take() {
                answer.send(self.close().await);
                return;
            }
            if !self.files.is_displaced() {
                let (connection, files) = (&mut self.connection, &self.files);
                self.checkpoints.after_batch(connection, files).await;
            }
        }
    }

    /// Carries out what can be. If the file is locked, the rest stays in the round.
    async fn carry_out(&mut self, round: &mut Round) -> Result<(), Locked> {
        if !round.appends.is_empty() {
            self.append(round).await?;
        }
        if !round.snapshots.is_empty() {
            self.save(round).await?;
        }
        while let Some(job) = round.jobs.pop_front() {
            self.job(job, round).await?;
        }
        while let Some(project) = round.projects.pop_front() {
            self.project(project, round).await?;
        }
        Ok(())
    }

    /// Makes sure that the files are in their places.
    fn check(&mut self) -> Result<(), FileError> {
        self.files.check()?;
        self.seen_at = Some(Instant::now());
        Ok(())
    }

    /// Looks at the files. If they are displaced, what they hold is saved before any
    /// caller is told.
    fn look(&mut self) {
        if let Err(FileError::Unknown { path, source }) = self.check() {
            tracing::warn!(%source, "cannot look at the database {}", path.display());
        }
        if self.files.is_displaced() && !self.files.is_rescued() {
            // The task does nothing else meanwhile. Others are refused, if there is a
            // thread for them.
            if Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
                block_in_place(|| self.files.rescue());
            } else {
                self.files.rescue();
            }
        }
    }

    /// Looks at the files, stores what the clock shows, and goes on with what a reader
    /// has held up.
    async fn look_now_and_then(&mut self) {
        self.look();
        self.note_the_time().await;
        if !self.files.is_displaced() {
            let (connection, files) = (&mut self.connection, &self.files);
            // The times that are stored make the log longer, too.
            self.checkpoints.after_batch(connection, files).await;
            self.checkpoints.again(connection, files).await;
        }
        self.look_due.reset();
    }

    /// Saves what displaced files hold, or closes the connection.
    async fn close(mut self) -> Result<(), StoreError> {
        self.look();
        self.connection.close().await
    }

    /// Commits appends and answers everyone.
    async fn append(&mut self, round: &mut Round) -> Result<(), Locked> {
        let committed = self.commit_appends(&round.appends).await;
        let committed = self.settled(committed)?;
        let appends = mem::take(&mut round.appends);
        let waiting = mem::take(&mut round.append_answers).into_iter();
        let failure = match committed {
            Ok(answers) => {
                for (waiting, answer) in waiting.zip(answers) {
                    waiting.send(answer);
                }
                return Ok(());
            }
            Err(failure) => Arc::new(failure),
        };
        // If the files are displaced, the log has said so.
        if !self.files.is_displaced() {
            tracing::error!(
                error = &failure as &dyn Error,
                appends = appends.len(),
                "a batch of appends failed"
            );
        }
        for waiting in waiting {
            waiting.send(Err(StoreError::unavailable(Arc::clone(&failure)).into()));
        }
        Ok(())
    }

    /// What has come of an attempt at the database: it is to be tried again if the file
    /// was locked, and a failure says what the storage refuses. What displaced files
    /// hold is saved before callers are told.
    fn settled<T, E>(&mut self, outcome: Result<T, E>) -> Result<Result<T, E>, Locked>
    where
        E: Error + From<Refusal> + Send + Sync + 'static,
    {
        let error = match outcome {
            Ok(done) => return Ok(Ok(done)),
            Err(error) => error,
        };
        let path = self.place.path();
        if is_locked(&error) {
            let why = Refusal::new(path, Cause::Locked, error);
            return Err(Locked(Arc::new(why)));
        }
        // Not by another thread: the system may refuse that just then, too.
        let cause = result_code(&error).and_then(|code| cause_of(path, code));
        let error = match cause {
            Some(cause) => Refusal::new(path, cause, error).into(),
            None => error,
        };
        self.look();
        Ok(Err(error))
    }

    async fn commit_appends(&mut self, appends: &[Append]) -> Result<Answers, BatchError> {
        let steady = self.clock.steady();
        let is_due = |swept: OffsetDateTime| steady - swept > SWEEP_INTERVAL;
        let is_due = self.swept_at.is_none_or(is_due);
        let times = Times {
            now: self.clock.now(),
            steady,
            forget_before: is_due.then(|| steady - self.retention),
        };
        self.files.check_latched()?;
        let (connection, foresight) = (&mut self.connection, &mut self.foresight);
        let answers = batch::commit(connection, appends, times, foresight).await?;
        self.check()?;
        if is_due {
            self.swept_at = Some(steady);
        }
        Ok(answers)
    }

    /// Stores what the clock shows, now and again: the next server goes on from there.
    /// Nothing is written to files that are displaced, or of which that is not known.
    async fn note_the_time(&mut self) {
        let Some(course) = self.clock.to_store() else {
            return;
        };
        if self.check().is_err() {
            return;
        }
        if let Err(error) = course::save(&mut self.connection, course).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what the clock shows was not stored; trying again later"
            );
        }
    }

    /// Saves snapshots and answers everyone.
    async fn save(&mut self, round: &mut Round) -> Result<(), Locked> {
        let saved = self.save_all(&round.snapshots).await;
        let saved = self.settled(saved)?.map_err(Arc::new);
        round.snapshots.clear();
        for waiting in mem::take(&mut round.snapshot_answers) {
            waiting.send(saved.clone().map_err(StoreError::unavailable));
        }
        Ok(())
    }

    async fn save_all(&mut self, snapshots: &[Snapshot]) -> Result<(), SnapshotError> {
        self.files.check_latched()?;
        snapshots::save(&mut self.connection, snapshots).await?;
        Ok(self.check()?)
    }

    /// Carries out a job and answers, or puts it back.
    async fn job(&mut self, mut job: Box<dyn Job>, round: &mut Round) -> Result<(), Locked> {
        let files = self.files.clone();
        let done = match self.checked() {
            Ok(connection) => job.attempt(connection, &files).await,
            Err(error) => Err(error),
        };
        match self.settled(done) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => job.fail(error),
            Err(locked) => {
                round.jobs.push_front(job);
                return Err(locked);
            }
        }
        Ok(())
    }

    /// Changes a read model and answers, or puts the change back.
    async fn project(&mut self, project: Project, round: &mut Round) -> Result<(), Locked> {
        let (project, locked) = match project {
            Project::Begin(name, version, answer) => {
                let begun = self.begin(&name, version).await;
                match self.settled(begun) {
                    Ok(begun) => {
                        answer.send(begun);
                        return Ok(());
                    }
                    Err(locked) => (Project::Begin(name, version, answer), locked),
                }
            }
            Project::Update(build, update, answer) => {
                let updated = self.update(build, update.clone()).await;
                match self.settled(updated) {
                    Ok(updated) => {
                        answer.send(updated);
                        return Ok(());
                    }
                    Err(locked) => (Project::Update(build, update, answer), locked),
                }
            }
            Project::Commit(changes, answer) => {
                let committed = self.commit(&changes).await;
                match self.settled(committed) {
                    Ok(committed) => {
                        answer.send(committed);
                        return Ok(());
                    }
                    Err(locked) => (Project::Commit(changes, answer), locked),
                }
            }
        };
        round.projects.push_front(project);
        Err(locked)
    }

    async fn begin(&mut self, name: &str, version: u32) -> Result<Build, StoreError> {
        self.has_ended_builds = true;
        let build = builds::begin(self.checked()?, name, version).await?;
        self.check()?;
        Ok(build)
    }

    async fn update(&mut self, build: BuildId, update: BuildUpdate) -> Result<(), UpdateError> {
        self.has_ended_builds = true;
        let updated = builds::update(self.checked()?, build, update).await;
        self.check().map_err(StoreError::from)?;
        updated
    }

    async fn commit(&mut self, changes: &Changes) -> Result<(), CommitError> {
        let committed = documents::commit(self.checked()?, changes).await;
        // Another process may have had it replaced, and have no time to sweep.
        self.has_ended_builds |= matches!(committed, Err(CommitError::Ended));
        self.check().map_err(StoreError::from)?;
        committed
    }

    /// The connection, if the files were not displaced at the last look.
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
                () = files.displaced(), if !self.files.is_rescued() => self.look(),
                () = sleep_until(self.sweep_at), if self.has_ended_builds => {
                    self.sweep_builds().await;
                }
                _ = self.look_due.tick() => self.look_now_and_then().await,
                received = receiving => return received > 0,
            }
        }
        requests.recv_many(taken, BATCH).await > 0
    }

    /// Sweeps some of what builds that have ended leave behind, and then lets
    /// others have the connection for longer than it took.
    async fn sweep_builds(&mut self) {
        let start = Instant::now();
        self.look();
        let swept = self.sweep_some().await;
        self.has_ended_builds = swept.unwrap_or_else(|error| {
            if is_locked(&error) {
                return true;
            }
            tracing::warn!(
                error = &error as &dyn Error,
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

/// Answers the callers that have waited long enough for the lock, and those whose
/// patience ends before another attempt would.
fn give_up(round: &mut Round, why: &Arc<Refusal>) {
    let given_up = round.give_up(Instant::now() + LOCK_ATTEMPT, why);
    if given_up > 0 {
        tracing::error!(
            error = why as &dyn Error,
            requests = given_up,
            "requests were given up"
        );
    }
}
