//! The rules for steps of process managers, and for the remarks that a process manager closes
//! as soon as no command changes them.

pub(crate) mod counts;

use std::collections::{BTreeMap, BTreeSet};

use ironstar_app::{ProcessManager, decode};
use ironstar_domain::{Aggregate, StepId, StepState};
use ironstar_fixtures::closing::Closing;
use ironstar_fixtures::remark::{RemarkEvent, RemarkState};
use ironstar_ports::{Envelope, Position};

/// The state of processes according to the log so far.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    /// The events of each remark: their positions, each with the stage that begins there.
    remarks: BTreeMap<String, Vec<(Position, Stage)>>,
    over: BTreeSet<StepId>,
    /// A step whose effects are in the log, but that is not recorded yet, with the position
    /// of its last effect.
    done: Option<(StepId, Position)>,
}

/// The stage of a remark.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Open,
    ClosedByStep,
    /// A client has closed or deleted it.
    Over,
}

/// Returns the step that caused an event, if there is one.
pub(crate) fn step_of(event: &Envelope) -> Option<StepId> {
    event.metadata.origin.step.as_ref()?.parse().ok()
}

impl Processes {
    /// Processes an event. Returns all violations of the rules.
    pub(crate) fn see(&mut self, event: &Envelope) -> anyhow::Result<Vec<String>> {
        if event.stream.aggregate_type == StepState::TYPE {
            return self.end_of_step(event);
        }
        let mut violations: Vec<String> = self.end().into_iter().collect();
        let step = step_of(event);
        if event.stream.aggregate_type == RemarkState::TYPE {
            let (remark, happened) = decode::<RemarkState>(event)?;
            let history = self.remarks.entry(remark.to_string()).or_default();
            let before = history.last().copied();
            if let Some(step) = &step
                && (happened != RemarkEvent::Closed || !may_close(step, before))
            {
                violations.push(format!(
                    "the step {step} causes {happened:?} of {remark} at {}, after {before:?}",
                    event.position
                ));
            }
            let before = before.map(|(_, stage)| stage);
            let stage = stage_after(before, &happened, step.is_some());
            history.push((event.position, stage));
        } else if let Some(step) = &step {
            violations.push(format!("the step {step} changes {}", event.stream));
        }
        self.done = step.map(|step| (step, event.position));
        Ok(violations)
    }

    fn end_of_step(&mut self, event: &Envelope) -> anyhow::Result<Vec<String>> {
        let mut violations = Vec::new();
        let (id, _) = decode::<StepState>(event)?;
        let is_refused = event.event_type == "refused";
        match self.done.take() {
            Some((done, _)) if done == id && !is_refused => {}
            None if is_refused => {}
            other => violations.push(format!(
                "the step {id} is {} at {}, after {other:?}",
                event.event_type, event.position
            )),
        }
        if !self.over.insert(id.clone()) {
            violations.push(format!(
                "the step {id} is recorded again at {}",
                event.position
            ));
        }
        Ok(violations)
    }

    /// Returns the violation if the log ends here.
    pub(crate) fn end(&self) -> Option<String> {
        let (step, at) = self.done.as_ref()?;
        Some(format!(
            "the event at {at} is not followed by the record of its step {step}"
        ))
    }

    /// Returns the remaining work: remarks that are still open.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let is_open = |history: &[(Position, Stage)]| {
            let last = history.last();
            last.is_some_and(|(_, stage)| *stage == Stage::Open)
        };
        let open = self.remarks.iter().filter(|(_, history)| is_open(history));
        open.map(|(id, _)| format!("the remark {id} is not closed"))
            .collect()
    }

    /// Returns true if a step had closed a remark when its client, whose last event was at this
    /// position, tried to close it: before that event, or as the next event. The client itself
    /// changes nothing in between.
    pub(crate) fn has_closed(&self, remark: &str, last: Position) -> bool {
        let history = self.remarks.get(remark).map_or(&[][..], Vec::as_slice);
        let until = history.partition_point(|(at, _)| *at <= last);
        let mut around = history.iter().take(until + 1).skip(until.saturating_sub(1));
        around.any(|(_, stage)| *stage == Stage::ClosedByStep)
    }

    /// The number of recorded steps.
    pub(crate) fn over(&self) -> u64 {
        self.over.len() as u64
    }
}

/// Returns true if a step may close a remark whose last event this is: the step reacts to exactly
/// this event, and the remark is open.
fn may_close(step: &StepId, last: Option<(Position, Stage)>) -> bool {
    let cause = (Position::new(step.position()), Stage::Open);
    step.process() == Closing::NAME && last == Some(cause)
}

fn stage_after(before: Option<Stage>, happened: &RemarkEvent, is_step: bool) -> Stage {
    match happened {
        RemarkEvent::Created { .. } | RemarkEvent::Reopened => Stage::Open,
        RemarkEvent::Rewritten { .. } => before.unwrap_or(Stage::Over),
        RemarkEvent::Closed if is_step => Stage::ClosedByStep,
        RemarkEvent::Closed | RemarkEvent::Deleted => Stage::Over,
    }
}

#[cfg(test)]
mod tests;
