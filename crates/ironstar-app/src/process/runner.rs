//! Has the steps of a process manager carried out, each once, and timers when
//! they are due.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use ironstar_domain::{StepCommand, StepEvent, StepId, StepState};
use ironstar_ports::{Clock, DocumentPage, EventStore, Origin};
use time::OffsetDateTime;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::sleep;

use super::{Executor, NotExecuted, Process, ProcessManager, STEPS, Step, TIMERS};
use crate::projection::{Projections, ReadError, ReadModel, chain};
use crate::{CommandContext, CommandError, CommandHandler};

/// How many steps are read at a time.
const PAGE: usize = 256;

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
}

/// A step that could not be taken.
#[derive(Clone, Copy)]
struct Failed {
    attempts: u32,
    /// When to try again.
    again: OffsetDateTime,
}

/// Steps that are due, and when the next one will be.
struct Due<C> {
    steps: Vec<Step<C>>,
    next: Option<OffsetDateTime>,
}

impl Projections {
    /// Runs a process manager until the feed is stopped. Its steps are carried
    /// out by an executor, one after the other; its timers wait for as long as
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
    ) {
        let runner = Runner::<M, E> {
            model: self.model(),
            log: Arc::clone(&self.events),
            clock: Arc::clone(&self.clock),
            commands,
            executor,
            patience,
            failed: HashMap::new(),
        };
        tokio::spawn(runner.run());
    }
}

impl<M: ProcessManager, E: Executor<M::Command>> Runner<M, E> {
    async fn run(mut self) {
        // First listen, then look: what happens in between is heard.
        while let Some(mut news) = self.model.news() {
            let pause = self.look().await.unwrap_or_else(|error| {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    process = M::NAME,
                    "the steps of a process manager cannot be read; trying again"
                );
                FIRST_PAUSE
            });
            tokio::select! {
                news = news.recv() => if matches!(news, Err(RecvError::Closed)) {
                    return;
                },
                () = sleep(pause.min(LONGEST_PAUSE)) => {}
            }
        }
    }

    /// Takes every step that is due. Returns how long it is until the next one
    /// will be.
    async fn look(&mut self) -> Result<Duration, ReadError> {
        let head = self.log.head().await?;
        let is_caught_up = self.model.reach(head, CATCH_UP).await.is_ok();
        if !self.model.is_followed() {
            // What there is, if anything, was made by other code.
            return Ok(FIRST_PAUSE);
        }
        let now = self.clock.now();
        let mut due = self.due(STEPS, now).await?;
        if is_caught_up {
            let timers = self.due(TIMERS, now).await?;
            due.steps.extend(timers.steps);
            due.next = timers.next;
        } else {
            // What a timer waits for may have happened.
            due.next = Some(now + FIRST_PAUSE);
        }
        let mut next = due.next;
        let mut failed = HashMap::new();
        for step in due.steps {
            let before = self.failed.get(&step.id).copied();
            let after = match before {
                Some(failed) if failed.again > now => Some(failed),
                _ => self.take(&step, before).await,
            };
            if let Some(after) = after {
                next = Some(next.map_or(after.again, |next| next.min(after.again)));
                failed.insert(step.id, after);
            }
        }
        self.failed = failed;
        let left = next.map(|next| (next - self.clock.now()).try_into().unwrap_or_default());
        Ok(left.unwrap_or(LONGEST_PAUSE))
    }

    /// The steps of a collection that are due, in order.
    async fn due(
        &self,
        collection: &str,
        now: OffsetDateTime,
    ) -> Result<Due<M::Command>, ReadError> {
        let mut due = Due {
            steps: Vec::new(),
            next: None,
        };
        let mut after = None;
        loop {
            let page = DocumentPage {
                collections: vec![collection.to_owned()],
                after,
                limit: PAGE,
            };
            let found = self.model.find(Vec::new(), Some(page)).await?.page;
            let is_last = found.len() < PAGE;
            after = found
                .last()
                .and_then(|(key, document)| Some((document.place()?.sort, key.clone())));
            for step in found
                .into_iter()
                .filter_map(|(_, document)| document.step())
            {
                match self.is_due_at(&step) {
                    Some(at) if at <= now => due.steps.push(step),
                    // Those that come after it are not due before it.
                    at => {
                        due.next = at;
                        return Ok(due);
                    }
                }
            }
            if is_last {
                return Ok(due);
            }
        }
    }

    /// When a step is due; `None` if that is never.
    fn is_due_at(&self, step: &Step<M::Command>) -> Option<OffsetDateTime> {
        let Some(timer) = &step.timer else {
            return Some(OffsetDateTime::UNIX_EPOCH);
        };
        timer.since.checked_add(self.patience.try_into().ok()?)
    }

    /// Takes a step. Tells when to try it again, if it is not over then.
    async fn take(&self, step: &Step<M::Command>, before: Option<Failed>) -> Option<Failed> {
        // Whoever carries it out may panic, which is no reason to stop.
        let taking = AssertUnwindSafe(self.try_to_take(step)).catch_unwind();
        let outcome = taking
            .await
            .unwrap_or_else(|_| Err(NotExecuted::Failed("the executor panicked".into())));
        let error = match outcome {
            Ok(()) => return None,
            // The read model does not know yet.
            Err(NotExecuted::Over) => None,
            Err(NotExecuted::Refused(reason)) => Some(reason),
            Err(NotExecuted::Failed(error)) => Some(chain(&*error)),
        };
        let attempts = before.map_or(0, |before| before.attempts) + 1;
        let doublings = attempts.saturating_sub(1).min(16);
        let pause = FIRST_PAUSE
            .saturating_mul(1 << doublings)
            .min(LONGEST_PAUSE);
        if let Some(error) = error {
            tracing::error!(
                error,
                process = M::NAME,
                step = %step.id,
                attempts,
                "a step of a process manager cannot be carried out; trying again later"
            );
        }
        Some(Failed {
            attempts,
            again: self.clock.now() + pause,
        })
    }

    async fn try_to_take(&self, step: &Step<M::Command>) -> Result<(), NotExecuted> {
        let origin = Origin {
            correlation_id: step.correlation_id.clone(),
            causation_id: Some(step.id.to_string()),
            ..Origin::default()
        };
        let over =
            self.commands
                .first_event::<StepState>(&step.id, &StepEvent::CarriedOut, &origin);
        let context = CommandContext {
            also: vec![over.map_err(|error| NotExecuted::Failed(error.into()))?],
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
        tracing::info!(
            reason,
            process = M::NAME,
            step = %step.id,
            "a step of a process manager is refused"
        );
        let context = CommandContext {
            origin,
            ..CommandContext::default()
        };
        let refuse = StepCommand::Refuse { reason };
        let refused = self
            .commands
            .execute::<StepState>(&step.id, &refuse, &context)
            .await;
        match refused {
            Ok(_) => Ok(()),
            Err(CommandError::Refused(_)) => Err(NotExecuted::Over),
            Err(error) => Err(NotExecuted::Failed(error.into())),
        }
    }
}
