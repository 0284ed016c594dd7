//! The step of a process: something that a process manager has asked for, once.
//!
//! What a process manager asks for follows from events, so whoever folds them
//! again asks for the same again. What happens to a step is therefore kept in
//! the log, together with what it has led to: a step that is over is never
//! taken again, whoever asks, and however much later.

mod id;

use serde::{Deserialize, Serialize};

use crate::{Aggregate, DomainError, DomainEvent, ErrorKind, EventSchema, Fingerprint};

pub use id::{StepId, StepIdError};

/// What can be asked of a step.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StepCommand {
    /// Have it over, since what was asked for is being done.
    CarryOut,
    /// Have it over, since what was asked for is refused.
    Refuse {
        /// Why.
        reason: String,
    },
}

/// What has happened to a step. The JSON form is the stored payload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StepEvent {
    /// What was asked for was done.
    CarriedOut,
    /// What was asked for was refused.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Whether a step is over.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum StepState {
    /// Nothing has happened yet.
    #[default]
    ToDo,
    /// It is over.
    Over,
}

/// Why a step refuses a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StepError {
    /// It was taken before.
    #[error("this step is over already")]
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
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Over => ErrorKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Over => "step-over",
        }
    }
}

#[cfg(test)]
mod tests;
