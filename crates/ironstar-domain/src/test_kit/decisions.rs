//! Given/when/then: tests of decisions, without mocks.

use std::fmt::Debug;

use super::report::{Report, told};
use crate::Aggregate;

/// Starts from these events.
#[must_use]
pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    Given {
        history: events.into_iter().collect(),
    }
}

/// A history that waits for a command.
#[derive(Debug)]
pub struct Given<A: Aggregate> {
    history: Vec<A::Event>,
}

impl<A: Aggregate> Given<A> {
    /// Adds further events.
    #[must_use]
    pub fn and(mut self, events: impl IntoIterator<Item = A::Event>) -> Self {
        self.history.extend(events);
        self
    }

    /// Sends a command to the aggregate.
    #[must_use]
    pub fn when(self, command: A::Command) -> Decision<A> {
        let outcome = A::fold(&self.history).handle(&command);
        Decision {
            history: self.history,
            command,
            outcome,
        }
    }

    /// Expects exactly this state.
    ///
    /// # Panics
    ///
    /// If the aggregate is in any other state.
    #[track_caller]
    pub fn then_state(self, state: A) -> Self {
        let reached = A::fold(&self.history);
        if reached != state {
            Report::new("the aggregate is in another state")
                .given(&self.history)
                .difference("then the state", &pretty(&state), &pretty(&reached))
                .fail();
        }
        self
    }
}

/// The decision of the aggregate, which waits for an expectation.
#[derive(Debug)]
pub struct Decision<A: Aggregate> {
    history: Vec<A::Event>,
    command: A::Command,
    outcome: Result<Vec<A::Event>, A::Error>,
}

impl<A: Aggregate> Decision<A> {
    /// Expects exactly these events.
    ///
    /// # Panics
    ///
    /// If the aggregate decided anything else.
    #[track_caller]
    pub fn then(self, events: impl IntoIterator<Item = A::Event>) -> Decided<A> {
        self.expect(Ok(events.into_iter().collect()))
    }

    /// Expects that the command changes nothing.
    ///
    /// # Panics
    ///
    /// If the aggregate decided anything else.
    #[track_caller]
    pub fn then_nothing(self) -> Decided<A> {
        self.expect(Ok(Vec::new()))
    }

    /// Expects a refusal, for exactly this reason.
    ///
    /// # Panics
    ///
    /// If the aggregate decided anything else.
    #[track_caller]
    pub fn then_refused(self, error: A::Error) -> Decided<A> {
        self.expect(Err(error))
    }

    #[track_caller]
    fn expect(self, expected: Result<Vec<A::Event>, A::Error>) -> Decided<A> {
        if self.outcome != expected {
            Report::new("the aggregate decided something else")
                .given(&self.history)
                .when(&self.command)
                .difference("then", &told(&expected), &told(&self.outcome))
                .fail();
        }
        let mut history = self.history;
        history.extend(self.outcome.into_iter().flatten());
        Decided {
            past: Given { history },
        }
    }
}

/// A decision that met its expectation. Its events are now history.
#[derive(Debug)]
pub struct Decided<A: Aggregate> {
    past: Given<A>,
}

impl<A: Aggregate> Decided<A> {
    /// Adds further events.
    #[must_use]
    pub fn and(self, events: impl IntoIterator<Item = A::Event>) -> Given<A> {
        self.past.and(events)
    }

    /// Sends a further command to the aggregate.
    #[must_use]
    pub fn and_when(self, command: A::Command) -> Decision<A> {
        self.past.when(command)
    }

    /// Expects that the aggregate is now in exactly this state.
    ///
    /// # Panics
    ///
    /// If the aggregate is in any other state.
    #[track_caller]
    pub fn and_state(self, state: A) -> Self {
        Self {
            past: self.past.then_state(state),
        }
    }
}

fn pretty(value: &impl Debug) -> String {
    format!("{value:#?}")
}

#[cfg(test)]
mod tests;
