//! The state of a process manager and its open steps, as documents that are folded from the
//! log.

use std::fmt::{self, Debug};

use ironstar_domain::{Aggregate, StepEvent, StepId, StepState};
use ironstar_ports::{Envelope, Place};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Asked, ProcessManager};
use crate::codec::decode;
use crate::projection::{Documents, FoldError};

/// The collection of steps that must run now, in the order in which they were asked for.
pub(crate) const STEPS: &str = "steps";

/// The collection of waiting steps, in the order in which their waiting time began.
pub(crate) const TIMERS: &str = "timers";

/// A document of a process manager.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ProcessDocument<S, C> {
    /// A part of its state.
    State {
        /// The value of that part.
        state: S,
    },
    /// A step.
    Step(Step<C>),
    /// A timer, by its name.
    Timer {
        /// The step that waits.
        step: StepId,
    },
}

/// A command that must run once.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Step<C> {
    /// The id of the step.
    pub id: StepId,
    /// The command.
    pub command: C,
    /// The timer, if the step waits.
    pub timer: Option<Timer>,
    /// The correlation id of the event that caused the step.
    pub correlation_id: Option<String>,
}

/// The timer of a step.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Timer {
    /// The name of the timer.
    pub name: String,
    /// The start of the waiting time.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
}

/// The state of a process manager while it reacts to an event. Parts of it may not be in
/// memory; see [`Documents`].
pub struct State<'a, S, C> {
    documents: &'a mut Documents<ProcessDocument<S, C>>,
}

impl<S: Clone, C: Clone> State<'_, S, C> {
    /// The part with this key, if there is one.
    ///
    /// # Errors
    ///
    /// If the part must be loaded first.
    pub fn get(&mut self, key: &str) -> Result<Option<&S>, FoldError> {
        match self.documents.get(&state_key(key))? {
            Some(ProcessDocument::State { state }) => Ok(Some(state)),
            None | Some(ProcessDocument::Step(_) | ProcessDocument::Timer { .. }) => Ok(None),
        }
    }

    /// Stores a part under a key, and replaces the existing part.
    ///
    /// # Errors
    ///
    /// If the existing part must be loaded first.
    pub fn put(&mut self, key: &str, state: S) -> Result<(), FoldError> {
        self.documents
            .put(state_key(key), ProcessDocument::State { state })
    }

    /// Removes the part with this key.
    ///
    /// # Errors
    ///
    /// If the part must be loaded first.
    pub fn remove(&mut self, key: &str) -> Result<(), FoldError> {
        self.documents.remove(state_key(key))
    }
}

impl<S, C> Debug for State<'_, S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl<S, C> ProcessDocument<S, C> {
    /// The step, if the document is one.
    pub(crate) fn step(self) -> Option<Step<C>> {
        match self {
            Self::Step(step) => Some(step),
            Self::State { .. } | Self::Timer { .. } => None,
        }
    }

    /// The place of the document in a collection.
    pub(super) fn place(&self) -> Option<Place> {
        let Self::Step(step) = self else {
            return None;
        };
        let (collection, first) = match &step.timer {
            None => (STEPS, step.id.position().into()),
            // A time is not later than the year 9999, and times before 1970 do not matter.
            Some(timer) => (TIMERS, timer.since.unix_timestamp_nanos().max(0)),
        };
        Some(Place {
            collection: collection.to_owned(),
            sort: format!("{first:021}.{:010}", step.id.index()),
        })
    }
}

/// The documents of one process manager.
type Plan<M> =
    Documents<ProcessDocument<<M as ProcessManager>::State, <M as ProcessManager>::Command>>;

pub(super) fn fold<M: ProcessManager>(
    event: &Envelope,
    plan: &mut Plan<M>,
) -> Result<(), FoldError> {
    if event.stream.aggregate_type == StepState::TYPE {
        finish::<M>(event, plan)?;
    }
    if !M::AGGREGATES.contains(&&*event.stream.aggregate_type) {
        return Ok(());
    }
    let mut state = State { documents: plan };
    let reaction = M::react(event, &mut state)?;
    let mut index = 0;
    for asked in reaction.asked {
        let is_step = !matches!(asked, Asked::Never { .. });
        ask::<M>(event, index, asked, plan)?;
        index += u32::from(is_step);
    }
    Ok(())
}

/// Removes a step that is over, if it belongs to this process manager. Steps of other process
/// managers are ignored, even if they cannot be read.
fn finish<M: ProcessManager>(event: &Envelope, plan: &mut Plan<M>) -> Result<(), FoldError> {
    let mut parts = event.stream.aggregate_id.split('/');
    if parts.next() != Some(M::NAME) {
        return Ok(());
    }
    let (id, happened) = decode::<StepState>(event)?;
    match happened {
        StepEvent::CarriedOut | StepEvent::Refused { .. } => forget::<M>(&id, plan),
    }
}

/// Removes a step. The step may be missing, because its timer may have been set again at the
/// last moment.
fn forget<M: ProcessManager>(id: &StepId, plan: &mut Plan<M>) -> Result<(), FoldError> {
    let key = step_key(id);
    let Some(step) = plan.get(&key)?.cloned().and_then(ProcessDocument::step) else {
        return Ok(());
    };
    if let Some(timer) = &step.timer {
        plan.remove(timer_key(&timer.name))?;
    }
    plan.remove(key)
}

/// Adds a command of a reaction.
fn ask<M: ProcessManager>(
    event: &Envelope,
    index: u32,
    asked: Asked<M::Command>,
    plan: &mut Plan<M>,
) -> Result<(), FoldError> {
    let (timer, command) = match asked {
        Asked::Now(command) => (None, command),
        Asked::Never { timer } => return cancel::<M>(&timer, plan),
        Asked::Later {
            timer,
            since,
            command,
        } => {
            cancel::<M>(&timer, plan)?;
            (Some(Timer { name: timer, since }), command)
        }
    };
    let id = StepId::new(M::NAME, event.position.get(), index)
        .map_err(|error| FoldError::Senseless(format!("{:?}: {error}", M::NAME)))?;
    if let Some(timer) = &timer {
        let step = id.clone();
        plan.put(timer_key(&timer.name), ProcessDocument::Timer { step })?;
    }
    let step = Step {
        id,
        command,
        timer,
        correlation_id: event.metadata.origin.correlation_id.clone(),
    };
    plan.put(step_key(&step.id), ProcessDocument::Step(step))
}

/// Cancels the timer with this name.
fn cancel<M: ProcessManager>(timer: &str, plan: &mut Plan<M>) -> Result<(), FoldError> {
    match plan.get(&timer_key(timer))?.cloned() {
        Some(ProcessDocument::Timer { step }) => forget::<M>(&step, plan),
        None | Some(ProcessDocument::State { .. } | ProcessDocument::Step(_)) => Ok(()),
    }
}

fn state_key(key: &str) -> String {
    format!("state/{key}")
}

fn timer_key(name: &str) -> String {
    format!("timer/{name}")
}

fn step_key(id: &StepId) -> String {
    format!("step/{}.{}", id.position(), id.index())
}
