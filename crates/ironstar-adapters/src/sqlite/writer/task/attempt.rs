//! Attempts at the database, and the answers to their callers.
//!
//! If another process has the file locked, an attempt leaves its requests in the round, and
//! may be repeated. Any other outcome answers the callers.

use std::error::Error;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use ironstar_ports::{
    Append, Build, BuildId, BuildUpdate, Clock, CommitError, Snapshot, StoreError, UpdateError,
};

use super::Task;
use crate::log::Answers;
use crate::sqlite::batch::{Batch, BatchError, Times};
use crate::sqlite::code::{is_locked, result_code};
use crate::sqlite::documents::Changes;
use crate::sqlite::refusal::{Cause, Refusal, cause_of};
use crate::sqlite::snapshots::{self, SnapshotError};
use crate::sqlite::writer::round::{Job, Project, Round};
use crate::sqlite::{builds, documents};

/// The pause between two removals of old commands, if there are commits; and the pause while
/// there are more to remove. A removal takes a few milliseconds.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
const SWEEP_PAUSE: Duration = Duration::from_millis(100);

/// The error if another process has the file locked. The rest of the round may be tried
/// again.
pub(super) struct Locked(pub(super) Arc<Refusal>);

impl Task {
    /// Executes the round. If the file is locked, the remaining requests stay in the round.
    pub(super) async fn carry_out(&mut self, round: &mut Round) -> Result<(), Locked> {
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

    /// Ends an attempt at the database. If the file was locked, the attempt may be repeated.
    /// Otherwise callers get their answers. Errors get the cause for which the storage
    /// refuses. The data of displaced files is saved before callers get their answers.
    fn settle<T, E>(
        &mut self,
        outcome: Result<T, E>,
        answer: impl FnOnce(Result<T, E>),
    ) -> Result<(), Locked>
    where
        E: Error + From<Refusal> + Send + Sync + 'static,
    {
        let error = match outcome {
            Ok(done) => {
                answer(Ok(done));
                return Ok(());
            }
            Err(error) => error,
        };
        let path = self.place.path();
        if is_locked(&error) {
            let why = Refusal::new(path, Cause::Locked, error);
            return Err(Locked(Arc::new(why)));
        }
        // This runs on the same thread: the system may be unable to start another one now.
        let cause = result_code(&error).and_then(|code| cause_of(path, code));
        let error = match cause {
            Some(cause) => Refusal::new(path, cause, error).into(),
            None => error,
        };
        self.look();
        answer(Err(error));
        Ok(())
    }

    /// Commits the appends and answers all callers.
    async fn append(&mut self, round: &mut Round) -> Result<(), Locked> {
        let committed = self.commit_appends(&round.appends).await;
        let files = self.files.clone();
        self.settle(committed, |committed| match committed {
            Ok(answers) => round.answer_appends(answers.into_iter()),
            Err(failure) => {
                let failure = Arc::new(failure);
                // If the files are displaced, the rescue has logged that.
                if !files.is_displaced() {
                    tracing::error!(
                        error = &failure as &dyn Error,
                        appends = round.appends.len(),
                        "a batch of appends failed"
                    );
                }
                let failed = || StoreError::unavailable(Arc::clone(&failure));
                round.answer_appends(iter::repeat_with(|| Err(failed().into())));
            }
        })
    }

    async fn commit_appends(&mut self, appends: &[Append]) -> Result<Answers, BatchError> {
        let steady = self.clock.steady();
        let is_due = self.commands_due.is_none_or(|due| steady >= due);
        let times = Times {
            now: self.clock.now(),
            steady,
            forget_before: is_due.then(|| steady - self.retention),
        };
        self.files.check_latched()?;
        let batch = Batch {
            connection: &mut self.connection,
            appends,
            times,
            foresight: &mut self.foresight,
        };
        let committed = batch.commit().await?;
        self.check()?;
        if is_due {
            let pause = if committed.has_old_commands {
                SWEEP_PAUSE
            } else {
                SWEEP_INTERVAL
            };
            self.commands_due = Some(steady + pause);
        }
        Ok(committed.answers)
    }

    /// Saves the snapshots and answers all callers.
    async fn save(&mut self, round: &mut Round) -> Result<(), Locked> {
        let saved = self.save_all(&round.snapshots).await;
        self.settle(saved, |saved| {
            let saved = saved.map_err(Arc::new);
            round.answer_snapshots(|| saved.clone().map_err(StoreError::unavailable));
        })
    }

    async fn save_all(&mut self, snapshots: &[Snapshot]) -> Result<(), SnapshotError> {
        self.files.check_latched()?;
        snapshots::save(&mut self.connection, snapshots).await?;
        Ok(self.check()?)
    }

    /// Executes a job and answers it, or puts it back into the round.
    async fn job(&mut self, mut job: Box<dyn Job>, round: &mut Round) -> Result<(), Locked> {
        let files = self.files.clone();
        let done = match self.checked() {
            Ok(connection) => job.attempt(connection, &files).await,
            Err(error) => Err(error),
        };
        let settled = self.settle(done, |done| {
            if let Err(error) = done {
                job.fail(error);
            }
        });
        if settled.is_err() {
            round.jobs.push_front(job);
        }
        settled
    }

    /// Changes a read model and answers, or puts the change back into the round.
    async fn project(&mut self, mut project: Project, round: &mut Round) -> Result<(), Locked> {
        let settled = match &mut project {
            Project::Begin(name, version, answer) => {
                let begun = self.begin(name, *version).await;
                self.settle(begun, |begun| answer.send(begun))
            }
            Project::Update(build, update, answer) => {
                let updated = self.update(*build, update.clone()).await;
                self.settle(updated, |updated| answer.send(updated))
            }
            Project::Commit(changes, answer) => {
                let committed = self.commit(changes).await;
                self.settle(committed, |committed| answer.send(committed))
            }
        };
        if settled.is_err() {
            round.projects.push_front(project);
        }
        settled
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
        // Another process may have replaced this build, and may have had no time to sweep it.
        self.has_ended_builds |= matches!(committed, Err(CommitError::Ended));
        self.check().map_err(StoreError::from)?;
        committed
    }
}
