//! The commands that a process manager asks for after events.

use std::fmt::Debug;

use ironstar_domain::{StepEvent, StepId, StepState};
use time::OffsetDateTime;

use super::{Given, Happened, View, happened};
use crate::process::ProcessManager;
use crate::process::{Process, ProcessDocument, STEPS, Step, TIMERS};

/// The commands that a process manager asks for after the given events.
#[derive(Debug)]
pub struct Plan<M: ProcessManager> {
    view: View<Process<M>>,
}

impl<M: ProcessManager> Plan<M> {
    #[track_caller]
    pub(super) fn of(past: Given) -> Self {
        Self {
            view: View::of(past),
        }
    }

    /// A part of the process manager's state.
    #[must_use]
    pub fn state(&self, key: &str) -> Option<&M::State> {
        match self.view.document(&format!("state/{key}"))? {
            ProcessDocument::State { state } => Some(state),
            ProcessDocument::Step(_) | ProcessDocument::Timer { .. } => None,
        }
    }

    /// The steps that must run now, in order.
    #[must_use]
    pub fn steps(&self) -> Vec<(StepId, M::Command)> {
        let steps = self.listed(STEPS).into_iter();
        steps.map(|step| (step.id, step.command)).collect()
    }

    /// The waiting steps, in the order in which their waiting time began.
    #[must_use]
    pub fn timers(&self) -> Vec<(StepId, OffsetDateTime, M::Command)> {
        let steps = self.listed(TIMERS).into_iter();
        steps
            .filter_map(|step| Some((step.id, step.timer?.since, step.command)))
            .collect()
    }

    /// Expects exactly these commands, to run now, in this order.
    ///
    /// # Panics
    ///
    /// If there are other commands, or the reaction to an event fails.
    #[track_caller]
    pub fn then_asks(self, commands: impl IntoIterator<Item = M::Command>) -> Self {
        self.fail_if_stuck();
        let expected: Vec<M::Command> = commands.into_iter().collect();
        let asked = self.steps().into_iter().map(|(_, command)| command);
        self.expect(
            "the process manager asks for something else",
            expected,
            asked.collect(),
        );
        self
    }

    /// Expects exactly these waiting commands, each with the start of its waiting time, in the
    /// order of those times.
    ///
    /// # Panics
    ///
    /// If there are other commands, or the reaction to an event fails.
    #[track_caller]
    pub fn then_waits(
        self,
        timers: impl IntoIterator<Item = (OffsetDateTime, M::Command)>,
    ) -> Self {
        self.fail_if_stuck();
        let expected: Vec<_> = timers.into_iter().collect();
        let waiting = self.timers().into_iter();
        let waiting = waiting.map(|(_, since, command)| (since, command));
        self.expect(
            "the process manager waits for something else",
            expected,
            waiting.collect(),
        );
        self
    }

    /// Expects no command, neither now nor later.
    ///
    /// # Panics
    ///
    /// If there is a command, or the reaction to an event fails.
    #[track_caller]
    pub fn then_nothing(self) -> Self {
        self.then_asks([]).then_waits([])
    }

    /// Expects that the reaction to the event at this position fails, and that the reactions to
    /// all events before it succeed. Returns the reason.
    ///
    /// # Panics
    ///
    /// If the reaction to another event fails, or none does.
    #[track_caller]
    pub fn then_stuck(&self, position: u64) -> String {
        self.view.then_stuck(position)
    }

    /// Adds further events.
    #[must_use]
    #[track_caller]
    pub fn and(self, events: impl IntoIterator<Item = Happened>) -> Self {
        Self {
            view: self.view.and(events),
        }
    }

    /// Ends every step that must run now, without the events of its command.
    #[must_use]
    #[track_caller]
    pub fn and_carried_out(self) -> Self {
        let steps = self.steps().into_iter().map(|(id, _)| id).collect();
        self.and_over(steps)
    }

    /// Ends every waiting step as if its timer were due, without the events of its command.
    #[must_use]
    #[track_caller]
    pub fn and_due(self) -> Self {
        let steps = self.timers().into_iter().map(|(id, ..)| id).collect();
        self.and_over(steps)
    }

    #[track_caller]
    fn and_over(self, steps: Vec<StepId>) -> Self {
        let over = |id| happened::<StepState>(id, StepEvent::CarriedOut);
        self.and(steps.into_iter().map(over))
    }

    fn listed(&self, collection: &str) -> Vec<Step<M::Command>> {
        let listed = self.view.listed(collection).into_iter();
        listed
            .filter_map(|document| document.clone().step())
            .collect()
    }

    #[track_caller]
    fn fail_if_stuck(&self) {
        self.view.fail_if_stuck("something to do");
    }

    #[track_caller]
    fn expect<T: Debug + PartialEq>(&self, headline: &str, expected: Vec<T>, found: Vec<T>) {
        if expected != found {
            self.view
                .fail(headline, &format!("{expected:#?}"), &format!("{found:#?}"));
        }
    }
}

#[cfg(test)]
mod tests;
