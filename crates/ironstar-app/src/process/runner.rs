//! Runs the steps of a process manager, each once, and its timers when they are due.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use ironstar_domain::{StepCommand, StepEvent, StepId, StepState};
use ironstar_ports::{Clock, DocumentPage, EventStore, Origin};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Executor, NotExecuted, Process, ProcessManager, STEPS, Step, TIMERS};
use crate::backoff::Backoff;
use crate::caller::Caller;
use crate::command::{CommandContext, CommandError, CommandHandler};
use crate::leases::Wanted;
use crate::projection::{Projections, ReadError, ReadModel};

/// The number of steps that are read at a time, and run before the next read.
const PAGE: usize = 64;

/// The maximum time of a step.
const STEP: Duration = Duration::from_secs(60);

/// The time to wait until the read model has reached the log's end.
const CATCH_UP: Duration = Duration::from_secs(2);

/// The pauses before a failed step is tried again. The longest is also the longest time between
/// two reads of the clock, which may jump.
const RETRY: Backoff = Backoff {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
};

/// Runs the steps of one process manager.
struct Runner<M: ProcessManager, E> {
    model: ReadModel<Process<M>>,
    /// The lease of the read model: its holder runs the steps.
    lease: Wanted,
    log: Arc<dyn EventStore>,
    clock: Arc<dyn Clock>,
    commands: CommandHandler,
    executor: E,
    patience: Duration,
    /// Steps that have failed.
    failed: HashMap<StepId, Failed>,
    /// Steps that their executor has reported as done since the last look.
    carried_out: HashSet<StepId>,
}

/// A failure, of a step or of a look.
#[derive(Clone, Copy)]
struct Failed {
    attempts: u32,
    /// The time of the next attempt.
    again: Instant,
}

/// Steps that are due, and the time until more may be due.
struct Due<C> {
    steps: Vec<Step<C>>,
    pause: Duration,
}

/// The executor did not store the step's own event together with the events of its command.
#[derive(Debug, thiserror::Error)]
#[error(
    "the executor reports success, but the log has no event of the step; the executor must pass the \
     context that it gets on to its command"
)]
struct NotOver;

/// The reason why a look at the steps failed.
#[derive(Debug, thiserror::Error)]
enum Vain {
    #[error("the steps cannot be read")]
    Read(#[from] ReadError),
    #[error("no step can run at the moment")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

impl Projections {
    /// Runs a process manager in a task, until the feed is stopped. An executor runs its steps,
    /// one at a time. Its timers wait for the time `patience`. For different waiting times, use
    /// several process managers.
    ///
    /// Open steps from the past run, too. So a new process manager also runs the steps that
    /// result from old events.
    pub fn manage<M: ProcessManager, E: Executor<M::Command>>(
        &self,
        commands: CommandHandler,
        executor: E,
        patience: Duration,
    ) -> JoinHandle<()> {
        let runner = Runner::<M, E> {
            model: self.model(),
            lease: self.lease::<Process<M>>(),
            log: Arc::clone(&self.events),
            clock: Arc::clone(&self.clock),
            commands,
            executor,
            patience,
            failed: HashMap::new(),
            carried_out: HashSet::new(),
        };
        tokio::spawn(runner.run())
    }
}

impl<M: ProcessManager, E: Executor<M::Command>> Runner<M, E> {
    async fn run(mut self) {
        let mut vain: Option<Failed> = None;
        // Listen first, then look: news in between is received.
        while let Some(mut news) = self.model.news() {
            if !self.lease.hold().is_here() {
                // Another node runs the steps.
                tokio::select! {
                    () = self.lease.changed() => {}
                    news = news.recv() => if matches!(news, Err(RecvError::Closed)) {
                        return;
                    },
                }
                continue;
            }
            match self.look().await {
                Ok(pause) if pause.is_zero() => vain = None,
                Ok(pause) => {
                    vain = None;
                    tokio::select! {
                        news = news.recv() => if matches!(news, Err(RecvError::Closed)) {
                            return;
                        },
                        () = sleep(pause) => {}
                    }
                }
                Err(_) if self.model.news().is_none() => return,
                Err(error) => {
                    let failed = Failed::after(vain);
                    tracing::error!(
                        error = &error as &dyn Error,
                        process = M::NAME,
                        attempts = failed.attempts,
                        "a process manager cannot continue; trying again later"
                    );
                    vain = Some(failed);
                    sleep_until(failed.again).await;
                }
            }
        }
    }

    /// Runs steps that are due: some of those that must run now, or otherwise one whose timer
    /// is due. Returns the time until more may be due.
    async fn look(&mut self) -> Result<Duration, Vain> {
        let head = self.log.head().await.map_err(ReadError::from)?;
        let is_caught_up = self.model.reach(head, CATCH_UP).await.is_ok();
        if !self.model.is_followed() {
            // The stored steps, if there are any, were made by another version of the code.
            return Ok(RETRY.first);
        }
        let mut due = self.due(STEPS, PAGE).await?;
        let mut pause = due.pause;
        if due.steps.is_empty() && is_caught_up {
            // The effect of one step may prevent the next one. So a timer fires only when all
            // events up to now are known.
            due = self.due(TIMERS, 1).await?;
            pause = pause.min(due.pause);
        }
        if due.steps.is_empty() {
            return Ok(if is_caught_up { pause } else { RETRY.first });
        }
        let carried_out = std::mem::take(&mut self.carried_out);
        for step in due.steps {
            if self.model.news().is_none() || !self.lease.hold().is_here() {
                break;
            }
            // Otherwise the step would run again and again without a pause.
            if is_caught_up && carried_out.contains(&step.id) {
                self.fail(step.id, &NotExecuted::Failed(NotOver.into()));
                continue;
            }
            match self.take(&step).await {
                Ok(()) => {
                    self.carried_out.insert(step.id);
                }
                Err(NotExecuted::Unavailable(error)) => return Err(Vain::Unavailable(error)),
                Err(error) => self.fail(step.id, &error),
            }
        }
        Ok(Duration::ZERO)
    }

    /// The first steps of a collection, in order, that are due and are not waiting after a
    /// failure. At most `most` steps.
    async fn due(&self, collection: &str, most: usize) -> Result<Due<M::Command>, ReadError> {
        let mut due = Due {
            steps: Vec::new(),
            pause: RETRY.longest,
        };
        let mut after = None;
        loop {
            let page = DocumentPage {
                collections: vec![collection.to_owned()],
                after,
                limit: PAGE,
            };
            let found = self.model.find(Vec::new(), Some(page)).await?;
            if found.version != M::VERSION {
                return Ok(due);
            }
            let found = found.page;
            let is_last = found.len() < PAGE;
            after = found
                .last()
                .and_then(|(key, document)| Some((document.place()?.sort, key.clone())));
            let instant = Instant::now();
            for step in found
                .into_iter()
                .filter_map(|(_, document)| document.step())
            {
                let left = self.left(&step);
                if !left.is_zero() {
                    // The later steps are not due before this one.
                    due.pause = due.pause.min(left);
                    return Ok(due);
                }
                match self.failed.get(&step.id) {
                    Some(failed) if failed.again > instant => {
                        due.pause = due.pause.min(failed.again - instant);
                    }
                    _ => due.steps.push(step),
                }
                if due.steps.len() == most {
                    return Ok(due);
                }
            }
            if is_last {
                return Ok(due);
            }
        }
    }

    /// The time until a step is due. A timer goes by the steady time, so a clock that jumps
    /// makes no timer due.
    fn left(&self, step: &Step<M::Command>) -> Duration {
        let Some(timer) = &step.timer else {
            return Duration::ZERO;
        };
        let age = self.clock.age(timer.since);
        match Duration::try_from(age) {
            Ok(age) => self.patience.saturating_sub(age),
            Err(_) => self.patience.saturating_add(age.unsigned_abs()),
        }
    }

    /// Runs a step. A panic or an endless executor counts as a failure.
    async fn take(&self, step: &Step<M::Command>) -> Result<(), NotExecuted> {
        let taking = AssertUnwindSafe(self.try_to_take(step)).catch_unwind();
        match timeout(STEP, taking).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(NotExecuted::Failed("the executor panicked".into())),
            Err(late) => Err(NotExecuted::Failed(late.into())),
        }
    }

    /// Records that a step has failed. A step that needs a newer server is left to one.
    fn fail(&mut self, id: StepId, error: &NotExecuted) {
        if matches!(error, NotExecuted::TooNew(_)) {
            self.lease.decline();
        }
        let failed = Failed::after(self.failed.get(&id).copied());
        // The read model will soon know that the step is over.
        if !matches!(error, NotExecuted::Over) {
            tracing::error!(
                error = error as &dyn Error,
                process = M::NAME,
                step = %id,
                attempts = failed.attempts,
                "a step of a process manager cannot be carried out; trying again later"
            );
        }
        // Steps that no longer exist are not tried again.
        let now = Instant::now();
        self.failed.retain(|_, failed| !failed.is_forgotten(now));
        self.failed.insert(id, failed);
    }

    async fn try_to_take(&self, step: &Step<M::Command>) -> Result<(), NotExecuted> {
        let caller = Caller::application(M::NAME);
        let origin = Origin {
            actor: Some(caller.actor()),
            correlation_id: step.correlation_id.clone(),
            causation_id: Some(step.id.to_string()),
            step: Some(step.id.to_string()),
            ..Origin::default()
        };
        let over =
            self.commands
                .first_event::<StepState>(&step.id, &StepEvent::CarriedOut, &origin);
        let context = CommandContext {
            also: vec![over.map_err(|error| NotExecuted::Failed(error.into()))?],
            caller,
            origin,
            ..CommandContext::default()
        };
        match self.executor.execute(&step.command, &context).await {
            Err(NotExecuted::Refused(reason)) => self.refuse(step, reason, context.origin).await,
            outcome => outcome,
        }
    }

    /// Records in the log that a step is over, because its command was refused.
    async fn refuse(
        &self,
        step: &Step<M::Command>,
        reason: String,
        origin: Origin,
    ) -> Result<(), NotExecuted> {
        let context = CommandContext {
            origin,
            ..CommandContext::default()
        };
        let refuse = StepCommand::Refuse {
            reason: reason.clone(),
        };
        let refused = self
            .commands
            .execute::<StepState>(&step.id, &refuse, &context)
            .await;
        match refused {
            Ok(_) => {
                tracing::info!(
                    reason,
                    process = M::NAME,
                    step = %step.id,
                    "a step of a process manager was refused"
                );
                Ok(())
            }
            Err(CommandError::Refused(_)) => Err(NotExecuted::Over),
            Err(error) => Err(error.into()),
        }
    }
}

impl Failed {
    /// The next failure after an earlier one.
    fn after(before: Option<Self>) -> Self {
        let attempts = before.map_or(0, |before| before.attempts) + 1;
        Self {
            attempts,
            again: Instant::now() + RETRY.after(attempts),
        }
    }

    /// Returns true if the next attempt was due so long ago that the step must be gone.
    fn is_forgotten(&self, now: Instant) -> bool {
        self.again + 2 * RETRY.longest <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failure_is_forgotten_some_time_after_it_was_to_be_tried_again() {
        let failed = Failed::after(None);
        let end = failed.again + 2 * RETRY.longest;
        assert!(!failed.is_forgotten(failed.again));
        assert!(!failed.is_forgotten(end - Duration::from_millis(1)));
        assert!(failed.is_forgotten(end));
    }
}
