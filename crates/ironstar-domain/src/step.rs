//! The step of a process manager: a command that runs once.
//!
//! A process manager derives its steps from events, so it asks for the same steps again when the
//! events are folded again. The outcome of a step is therefore an event in the log, appended
//! together with the step's effect. A step with an outcome never runs again, at any time and on
//! any server.

mod id;

use serde::{Deserialize, Serialize};

use crate::{Aggregate, DomainError, DomainEvent, EventSchema, Fingerprint, Refusal};

pub use id::{StepId, StepIdError};

/// The commands of a step.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StepCommand {
    /// End the step: the requested command is being carried out.
    CarryOut,
    /// End the step: the requested command is refused.
    Refuse {
        /// The refusal, as a sentence.
        reason: String,
    },
}

/// The events of a step. The JSON form is the stored payload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StepEvent {
    /// The requested command was carried out.
    CarriedOut,
    /// The requested command was refused.
    Refused {
        /// The refusal, as a sentence.
        reason: String,
    },
}

/// The state of a step: pending or over.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum StepState {
    /// The step has no outcome yet.
    #[default]
    ToDo,
    /// The step was carried out or refused.
    Over,
}

/// The reasons why a step refuses a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StepError {
    /// The step already has an outcome.
    #[error("this step has already run")]
    Over,
}

impl Aggregate for StepState {
    const TYPE: &'static str = "Step";
    const FINGERPRINT: Fingerprint = Fingerprint::of(&[include_str!("step.rs")]);

    type Id = StepId;
    type Command = StepCommand;
    type Event = StepEvent;
    type Error = StepError;

    fn handle(&self, command: &StepCommand) -> Result<Vec<StepEvent>, StepError> {
        match (self, command) {
            (Self::ToDo, StepCommand::CarryOut) => Ok(vec![StepEvent::CarriedOut]),
            (Self::ToDo, StepCommand::Refuse { reason }) => Ok(vec![StepEvent::Refused {
                reason: reason.clone(),
            }]),
            (Self::Over, StepCommand::CarryOut | StepCommand::Refuse { .. }) => {
                Err(StepError::Over)
            }
        }
    }

    fn apply(self, event: &StepEvent) -> Self {
        match event {
            StepEvent::CarriedOut | StepEvent::Refused { .. } => Self::Over,
        }
    }
}

impl DomainEvent for StepEvent {
    const SCHEMAS: &'static [EventSchema] =
        &[EventSchema::new("carried_out"), EventSchema::new("refused")];

    fn event_type(&self) -> &'static str {
        match self {
            Self::CarriedOut => "carried_out",
            Self::Refused { .. } => "refused",
        }
    }
}

impl DomainError for StepError {
    fn refusal(&self) -> Refusal {
        match self {
            Self::Over => Refusal::conflict("step-over"),
        }
    }
}

#[cfg(test)]
mod tests;
