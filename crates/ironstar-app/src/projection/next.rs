//! The decisions about the builds of a projection, apart from the code that carries them out.

use std::time::Duration;

use ironstar_ports::{Build, BuildId, BuildState};
use tokio::time::Instant;

use super::error::BuildError;
use crate::backoff::Backoff;

/// The pauses before a failed task is tried again.
pub(super) const RETRY: Backoff = Backoff {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
};

/// The next thing to do for a projection.
#[derive(Debug, PartialEq)]
pub(super) enum Action<'b> {
    /// Begin a task that keeps this live build up to date.
    Follow(&'b Build),
    /// Begin a task that continues this build, and makes it live.
    Build(&'b Build),
    /// Begin a build.
    Begin,
    /// End the task that follows a build, because another build is live.
    Leave,
    /// Look at the builds again later.
    Wait,
}

/// The tasks for the builds of a projection.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    /// The task that keeps the live build up to date.
    pub(super) following: Task,
    /// The task that continues a build in progress.
    pub(super) building: Task,
    /// True if the store has had a build of this version since the process started.
    pub(super) has_had_one: bool,
    /// True if this node makes the documents. Otherwise another one does.
    pub(super) is_holder: bool,
}

/// A task for a build, of which there is at most one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Task {
    /// No task runs.
    #[default]
    Idle,
    /// A task works on this build.
    Running(BuildId),
    /// The last task has failed.
    Failed {
        /// The build that it worked on.
        build: BuildId,
        /// The time of the failure.
        at: Instant,
        /// True if the build was stored with the failure.
        is_reported: bool,
    },
}

impl Task {
    /// Notes the end of a task.
    pub(super) fn end(&mut self, result: &Result<(), BuildError>, now: Instant) {
        let Self::Running(build) = *self else {
            return;
        };
        *self = match result {
            Ok(()) => Self::Idle,
            Err(error) => Self::Failed {
                build,
                at: now,
                is_reported: matches!(error, BuildError::Stuck { .. }),
            },
        };
    }

    /// Returns true if a task for this build may begin.
    fn may_begin(self, build: &Build, now: Instant) -> bool {
        match self {
            Self::Idle => true,
            Self::Running(_) => false,
            Self::Failed { build: failed, .. } if failed != build.id => true,
            Self::Failed {
                at, is_reported, ..
            } => {
                let pause = match &build.failure {
                    Some(failure) if is_reported => RETRY.after(failure.attempts),
                    // An operator has decided about the failure.
                    None if is_reported => Duration::ZERO,
                    Some(_) | None => RETRY.first,
                };
                at + pause <= now
            }
        }
    }
}

/// The next thing to do for a projection with this version of the code. After everything but
/// [`Action::Leave`] and [`Action::Wait`], there may be more to do at once.
pub(super) fn next<'b>(
    builds: &'b [Build],
    version: u32,
    tasks: &Tasks,
    now: Instant,
) -> Action<'b> {
    let is_ours = |build: &&Build| build.version == version;
    let ours = |state| builds.iter().filter(is_ours).find(|it| it.state == state);
    if let Some(live) = ours(BuildState::Live)
        && tasks.following.may_begin(live, now)
    {
        return Action::Follow(live);
    }
    if tasks.is_holder
        && let Some(build) = ours(BuildState::Building)
        && tasks.building.may_begin(build, now)
    {
        return Action::Build(build);
    }
    let has_ours = builds.iter().any(|build| is_ours(&build));
    if tasks.is_holder && !has_ours && !gives_way(builds, version, tasks) {
        return Action::Begin;
    }
    let mut live = builds
        .iter()
        .filter(|build| build.state == BuildState::Live);
    match (tasks.following, live.next()) {
        (Task::Running(followed), Some(live)) if live.id != followed => Action::Leave,
        _ => Action::Wait,
    }
}

/// Returns true if this process begins no build. A version whose build was replaced by another
/// version does not begin again. Otherwise processes with different versions of the code on one
/// store would replace each other's read models for ever. The operator or process that has stopped
/// or replaced a build decides when it continues.
pub(super) fn gives_way(builds: &[Build], version: u32, tasks: &Tasks) -> bool {
    let has_ours = builds.iter().any(|build| build.version == version);
    tasks.has_had_one && !builds.is_empty() && !has_ours
}

#[cfg(test)]
mod tests;
