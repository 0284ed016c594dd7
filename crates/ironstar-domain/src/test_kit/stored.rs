//! Expectations about stored events of any version.

use std::fmt::Display;

use super::report::{Report, chain};
use crate::{DomainEvent, EventError, schema};

/// Reads a stored event. The payload is a `serde_json::Value` or its text.
#[must_use]
pub fn stored<E: DomainEvent>(
    event_type: &str,
    schema_version: u32,
    payload: impl Display,
) -> Stored<E> {
    let payload = payload.to_string();
    Stored {
        outcome: schema::read(event_type, schema_version, &payload),
        what: format!("`{event_type}` version {schema_version}"),
        payload,
    }
}

/// The result of reading a stored event, which waits for an expectation.
#[derive(Debug)]
pub struct Stored<E> {
    what: String,
    payload: String,
    outcome: Result<E, EventError>,
}

impl<E: DomainEvent> Stored<E> {
    /// Expects exactly this event.
    ///
    /// # Panics
    ///
    /// If the stored event is read as another event, or refused.
    #[track_caller]
    pub fn reads_as(self, event: E) {
        if self.outcome.as_ref().ok() != Some(&event) {
            self.fail(&format!("{event:#?}"));
        }
    }

    /// Expects that the stored event is refused, and returns the error.
    ///
    /// # Panics
    ///
    /// If the stored event is read.
    #[track_caller]
    pub fn is_refused(self) -> EventError {
        match self.outcome {
            Err(error) => error,
            Ok(_) => self.fail("refused"),
        }
    }

    /// Expects that the stored event is refused for exactly this reason: the messages of the
    /// error and of its causes, joined by `: `.
    ///
    /// # Panics
    ///
    /// If the stored event is read, or refused for another reason.
    #[track_caller]
    pub fn is_refused_as(self, reason: &str) {
        if self.outcome.as_ref().map_err(|error| chain(error)) != Err(reason.to_owned()) {
            self.fail(&format!("refused: {reason}"));
        }
    }

    #[track_caller]
    fn fail(self, expected: &str) -> ! {
        let found = match self.outcome {
            Ok(event) => format!("{event:#?}"),
            Err(error) => format!("refused: {}", chain(&error)),
        };
        Report::new(format_args!("{} is read as something else", self.what))
            .finding("stored", self.payload)
            .difference("read as", expected, &found)
            .fail()
    }
}

#[cfg(test)]
mod tests;
