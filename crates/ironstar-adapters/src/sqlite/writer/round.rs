//! Requests that the task executes together, or that wait together for a lock.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use futures::future::BoxFuture;
use ironstar_ports::{
    Append, AppendError, Appended, Build, BuildId, BuildUpdate, CommitError, Snapshot, StoreError,
    UpdateError,
};
use sqlx::sqlite::SqliteConnection;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::sqlite::documents::Changes;
use crate::sqlite::file::Files;
use crate::sqlite::refusal::Refusal;

/// A request of a caller to the task.
pub(super) enum Request {
    Append(Append, Answer<Appended, AppendError>),
    Save(Snapshot, Answer<(), StoreError>),
    Project(Project),
    Run(Box<dyn Job>),
    /// Unlike the others, never given up while the file is locked: the file is closed in any
    /// case.
    Close(Answer<(), StoreError>),
}

/// A change to read models.
pub(super) enum Project {
    Begin(String, u32, Answer<Build, StoreError>),
    Update(BuildId, BuildUpdate, Answer<(), UpdateError>),
    Commit(Changes, Answer<(), CommitError>),
}

/// A change in one statement, which can be tried again.
pub(super) trait Job: Send {
    /// Executes the change. Answers if it succeeds and the files are in place.
    fn attempt<'a>(
        &'a mut self,
        connection: &'a mut SqliteConnection,
        files: &'a Files,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Answers with an error.
    fn fail(&mut self, error: StoreError);

    /// The end of the time for which the caller waits for a lock.
    fn patient_until(&self) -> Instant;
}

/// The channel for an answer, and the end of the time for which its caller waits for a lock.
pub(super) struct Answer<T, E> {
    /// `None` once the answer was sent.
    to: Option<oneshot::Sender<Result<T, E>>>,
    patient_until: Instant,
}

impl<T, E> Answer<T, E> {
    pub(super) fn new(to: oneshot::Sender<Result<T, E>>, patient_until: Instant) -> Self {
        let to = Some(to);
        Self { to, patient_until }
    }

    /// Sends the first outcome, and ignores others.
    pub(super) fn send(&mut self, outcome: Result<T, E>) {
        if let Some(to) = self.to.take() {
            // The caller may have gone away. The commit has happened all the same.
            let _ = to.send(outcome);
        }
    }

    pub(super) fn patient_until(&self) -> Instant {
        self.patient_until
    }
}

/// Requests by kind, in the order in which the task executes the kinds.
#[derive(Default)]
pub(super) struct Round {
    pub(super) appends: Vec<Append>,
    /// One answer for each append.
    pub(super) append_answers: Vec<Answer<Appended, AppendError>>,
    pub(super) snapshots: Vec<Snapshot>,
    /// One answer for each snapshot.
    pub(super) snapshot_answers: Vec<Answer<(), StoreError>>,
    pub(super) jobs: VecDeque<Box<dyn Job>>,
    pub(super) projects: VecDeque<Project>,
    pub(super) close: Option<Answer<(), StoreError>>,
}

impl Round {
    pub(super) fn add(&mut self, requests: impl Iterator<Item = Request>) {
        for request in requests {
            match request {
                Request::Append(append, answer) => {
                    self.appends.push(append);
                    self.append_answers.push(answer);
                }
                Request::Save(snapshot, answer) => {
                    self.snapshots.push(snapshot);
                    self.snapshot_answers.push(answer);
                }
                Request::Run(job) => self.jobs.push_back(job),
                Request::Project(project) => self.projects.push_back(project),
                Request::Close(answer) => self.close = Some(answer),
            }
        }
    }

    pub(super) fn has_only_appends(&self) -> bool {
        self.len() == self.appends.len()
    }

    /// The number of requests to execute.
    pub(super) fn len(&self) -> usize {
        self.appends.len() + self.snapshots.len() + self.jobs.len() + self.projects.len()
    }

    /// Answers all appends, in their order.
    pub(super) fn answer_appends(
        &mut self,
        answers: impl Iterator<Item = Result<Appended, AppendError>>,
    ) {
        for (mut waiting, answer) in self.append_answers.drain(..).zip(answers) {
            waiting.send(answer);
        }
        self.appends.clear();
    }

    /// Answers all snapshots.
    pub(super) fn answer_snapshots(&mut self, answer: impl Fn() -> Result<(), StoreError>) {
        for mut waiting in self.snapshot_answers.drain(..) {
            waiting.send(answer());
        }
        self.snapshots.clear();
    }

    /// Refuses the requests whose callers do not wait for a lock beyond `time`. Returns the
    /// number of these requests.
    pub(super) fn give_up(&mut self, time: Instant, why: &Arc<Refusal>) -> usize {
        let before = self.len();
        let locked = || StoreError::unavailable(Arc::clone(why));
        give_up_of(&mut self.appends, &mut self.append_answers, time, locked);
        give_up_of(
            &mut self.snapshots,
            &mut self.snapshot_answers,
            time,
            locked,
        );
        for mut job in mem::take(&mut self.jobs) {
            if job.patient_until() > time {
                self.jobs.push_back(job);
            } else {
                job.fail(locked());
            }
        }
        for mut project in mem::take(&mut self.projects) {
            if project.patient_until() > time {
                self.projects.push_back(project);
            } else {
                project.fail(locked());
            }
        }
        before - self.len()
    }
}

impl Project {
    fn patient_until(&self) -> Instant {
        match self {
            Self::Begin(_, _, answer) => answer.patient_until(),
            Self::Update(_, _, answer) => answer.patient_until(),
            Self::Commit(_, answer) => answer.patient_until(),
        }
    }

    fn fail(&mut self, error: StoreError) {
        match self {
            Self::Begin(_, _, answer) => answer.send(Err(error)),
            Self::Update(_, _, answer) => answer.send(Err(error.into())),
            Self::Commit(_, answer) => answer.send(Err(error.into())),
        }
    }
}

/// Refuses and removes the requests whose callers do not wait beyond `time`.
fn give_up_of<R, T, E: From<StoreError>>(
    requests: &mut Vec<R>,
    answers: &mut Vec<Answer<T, E>>,
    time: Instant,
    locked: impl Fn() -> StoreError,
) {
    let pairs = mem::take(requests).into_iter().zip(mem::take(answers));
    for (request, mut answer) in pairs {
        if answer.patient_until() > time {
            requests.push(request);
            answers.push(answer);
        } else {
            answer.send(Err(locked().into()));
        }
    }
}
