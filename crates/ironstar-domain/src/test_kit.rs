//! Given/when/then: a decision, tested without mocks.
//!
//! ```
//! use ironstar_domain::test_kit::given;
//! use ironstar_domain::{TodoCommand, TodoError, TodoEvent, TodoState};
//!
//! let text = "Buy milk".parse().expect("a valid text");
//! given::<TodoState>([TodoEvent::Created { text }])
//!     .when(TodoCommand::Complete)
//!     .then([TodoEvent::Completed])
//!     .and_when(TodoCommand::Complete)
//!     .then_refused(TodoError::AlreadyCompleted);
//! ```
//!
//! A failed expectation is reported at the line that states it.

use crate::Aggregate;

/// Starts from what has already happened.
#[must_use]
pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    Given {
        history: events.into_iter().collect(),
    }
}

/// A history, waiting for a command.
#[derive(Debug)]
pub struct Given<A: Aggregate> {
    history: Vec<A::Event>,
}

impl<A: Aggregate> Given<A> {
    /// Puts a command to the aggregate.
    #[must_use]
    pub fn when(self, command: A::Command) -> Decision<A> {
        let outcome = A::fold(&self.history).handle(&command);
        Decision {
            history: self.history,
            command,
            outcome,
        }
    }
}

/// What the aggregate decided, waiting for an expectation.
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
        assert!(
            self.outcome == expected,
            "given {:#?}\nwhen {:?}\nexpected {expected:#?}\n but got {:#?}",
            self.history,
            self.command,
            self.outcome,
        );
        let mut history = self.history;
        history.extend(self.outcome.into_iter().flatten());
        Decided { history }
    }
}

/// A decision that met its expectation; its events are now history.
#[derive(Debug)]
pub struct Decided<A: Aggregate> {
    history: Vec<A::Event>,
}

impl<A: Aggregate> Decided<A> {
    /// Puts a further command to the aggregate.
    #[must_use]
    pub fn and_when(self, command: A::Command) -> Decision<A> {
        given(self.history).when(command)
    }
}

#[cfg(test)]
mod tests;
