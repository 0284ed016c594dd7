//! Has the steps of a process manager carried out, each once, and timers when
//! they are due.

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
use crate::projection::{Projections, ReadError, ReadModel};
use crate::{Caller, CommandContext, CommandError, CommandHandler};

/// How many steps are read at a time, and taken before the next look.
const PAGE: usize = 64;

/// How long a step may take.
const STEP: Duration = Duration::from_secs(60);

/// How long to wait for the read model to be where the log is.
const CATCH_UP: Duration = Duration::from_secs(2);

/// How long to wait before what has failed is tried again: at first, and at the
/// most. Also the longest time between two looks at the clock, which may jump.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Has the steps of one process manager carried out.
struct Runner<M: ProcessManager, E> {
    model: ReadModel<Process<M>>,
    log: Arc<dyn EventStore>,
    clock: Arc<dyn Clock>,
    commands: CommandHandler,
    executor: E,
    patience: Duration,
    /// Steps that could not be taken.
    failed: HashMap<StepId, Failed>,
    /// Steps that were carried out in the last look, as their executor says.
    carried_out: HashSet<StepId>,
}

/// What could not be done.
#[derive(Clone, Copy)]
struct Failed {
    attempts: u32,
    /// When to try again.
    again: Instant,
}

/// Steps that are due, and how long it is until more may be.
struct Due<C> {
    steps: Vec<Step<C>>,
    pause: Duration,
}

/// An executor has not stored the step's own event with what the step leads to.
#[derive(Debug, thiserror::Error)]
#[error(
    "the executor has carried it out and the log does not say so; the executor must pass the \
     context that it gets on to its command"
)]
struct NotOver;

/// Why a look at the steps was in vain.
#[derive(Debug, thiserror::Error)]
enum Vain {
    #[error("the steps cannot be read")]
    Read(#[from] ReadError),
    #[error("no step can be carried out")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

impl Projections {
    /// Runs a process manager until the feed is stopped, in a task. Its steps are
    /// carried out by an executor, one at a time; its timers wait for as long as
    /// the `patience` is. One that has to wait for different times is several
    /// process managers.
    ///
    /// What it has asked for before is carried out, too, if that has not been
    /// done: also when the process manager is new, and what it asks for follows
    /// from what happened long ago.
    pub fn manage<M: ProcessManager, E: Executor<M::Command>>(
        &self,
        commands: CommandHandler,
        executor: E,
        patience: Duration,
    ) -> JoinHandle<()> {
        let runner = Runner::<M, E> {
            model: self.model(),
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
        // First listen, then look: what happens in between is heard.
        while let Some(mut news) = self.model.news() {
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
                        "a process manager does not get on; trying again later"
                    );
                    vain = Some(failed);
                    sleep_until(failed.again).await;
                }
            }
        }
    }

    /// Takes steps that are due: some of those that are to be taken at once, or
    /// else one that has waited. Returns how long it is until more may be.
    async fn look(&mut self) -> Result<Duration, Vain> {
        let head = self.log.head().await.map_err(ReadError::from)?;
        let is_caught_up = self.model.reach(head, CATCH_UP).await.is_ok();
        if !self.model.is_followed() {
            // What there is, if anything, was made by other code.
            return Ok(FIRST_PAUSE);
        }
        let mut due = self.due(STEPS, PAGE).await?;
        let mut pause = due.pause;
        if due.steps.is_empty() && is_caught_up {
            // What happens to one may be in the way of the next: nothing has
            // happened by now that is not known.
            due = self.due(TIMERS, 1).await?;
            pause = pause.min(due.pause);
        }
        if due.steps.is_empty() {
            return Ok(if is_caught_up { pause } else { FIRST_PAUSE });
        }
        let carried_out = std::mem::take(&mut self.carried_out);
        for step in due.steps {
            if self.model.news().is_none() {
                break;
            }
            // Or it would be carried out again and again, without a pause.
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

    /// The first steps of a collection that are due and have not just failed, in
    /// order; at the most so many.
    async fn due(&self, collection: &str, most: usize) -> Result<Due<M::Command>, ReadError> {
        let mut due = Due {
            steps: Vec::new(),
            pause: LONGEST_PAUSE,
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
                    // Those that come after it are not due before it.
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

    /// How long it is until a step is due. A timer waits by the steady time, so a clock
    /// that jumps makes none due.
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

    /// Takes a step, whatever its executor does.
    async fn take(&self, step: &Step<M::Command>) -> Result<(), NotExecuted> {
        let taking = AssertUnwindSafe(self.try_to_take(step)).catch_unwind();
        match timeout(STEP, taking).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(NotExecuted::Failed("the executor panicked".into())),
            Err(late) => Err(NotExecuted::Failed(late.into())),
        }
    }

    /// Takes note of a step that was not taken.
    fn fail(&mut self, id: StepId, error: &NotExecuted) {
        let failed = Failed::after(self.failed.get(&id).copied());
        // That it is over, the read model will know in a moment.
        if !matches!(error, NotExecuted::Over) {
            tracing::error!(
                error = error as &dyn Error,
                process = M::NAME,
                step = %id,
                attempts = failed.attempts,
                "a step of a process manager cannot be carried out; trying again later"
            );
        }
        // Those that are not there any more are not tried again.
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

    /// A step is over, since what it asks for is refused.
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
                    "a step of a process manager is refused"
                );
                Ok(())
            }
            Err(CommandError::Refused(_)) => Err(NotExecuted::Over),
            Err(error) => Err(error.into()),
        }
    }
}

impl Failed {
    /// Once more.
    fn after(before: Option<Self>) -> Self {
        let attempts = before.map_or(0, |before| before.attempts) + 1;
        let doublings = attempts.saturating_sub(1).min(16);
        let pause = FIRST_PAUSE.saturating_mul(1 << doublings);
        Self {
            attempts,
            again: Instant::now() + pause.min(LONGEST_PAUSE),
        }
    }

    /// Whether it was to be tried again so long ago that it is not there any more.
    fn is_forgotten(&self, now: Instant) -> bool {
        self.again + 2 * LONGEST_PAUSE <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failure_is_forgotten_some_time_after_it_was_to_be_tried_again() {
        let failed = Failed::after(None);
        let end = failed.again + 2 * LONGEST_PAUSE;
        assert!(!failed.is_forgotten(failed.again));
        assert!(!failed.is_forgotten(end - Duration::from_millis(1)));
        assert!(failed.is_forgotten(end));
    }
}
