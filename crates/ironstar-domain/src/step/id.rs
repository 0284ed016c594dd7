//! The id of a step.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::serde_as_text;

/// The id of a step, which names its cause. It has three parts: the process manager, the position
/// of the event that it reacts to, and the number of the step in that reaction, from 0. The text
/// form is `archive-done-lists/120.0`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct StepId {
    process: String,
    position: u64,
    index: u32,
}

/// The error for a text that is not a [`StepId`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the id of a step is a name, a position and a number, such as archive-done-lists/120.0")]
pub struct StepIdError;

impl StepId {
    /// The step with this number, from 0, in the reaction of a process manager to the event at
    /// this position.
    ///
    /// # Errors
    ///
    /// If the name of the process manager is not in kebab case: words of small letters and
    /// digits, joined by `-`.
    pub fn new(process: &str, position: u64, index: u32) -> Result<Self, StepIdError> {
        let is_word = |word: &str| {
            let mut letters = word.bytes();
            !word.is_empty()
                && letters.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if !process.split('-').all(is_word) {
            return Err(StepIdError);
        }
        Ok(Self {
            process: process.to_owned(),
            position,
            index,
        })
    }

    /// The name of the process manager.
    #[must_use]
    pub fn process(&self) -> &str {
        &self.process
    }

    /// The position of the event that the step reacts to.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The number of the step among the steps for the same event, from 0.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }
}

impl FromStr for StepId {
    type Err = StepIdError;

    fn from_str(text: &str) -> Result<Self, StepIdError> {
        let (process, numbers) = text.split_once('/').ok_or(StepIdError)?;
        let (position, index) = numbers.split_once('.').ok_or(StepIdError)?;
        let id = Self::new(
            process,
            position.parse().map_err(|_| StepIdError)?,
            index.parse().map_err(|_| StepIdError)?,
        )?;
        // A step id has only one text form.
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(StepIdError)
        }
    }
}

serde_as_text!(StepId);

impl Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}", self.process, self.position, self.index)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{StepId, StepIdError};

    #[test]
    fn step_id_is_a_name_a_position_and_a_number() {
        let written = "archive-done-lists/120.2";
        let id: StepId = written.parse().expect("an id");
        assert_eq!(Ok(&id), StepId::new("archive-done-lists", 120, 2).as_ref());
        assert_eq!(
            (id.process(), id.position(), id.index()),
            ("archive-done-lists", 120, 2)
        );
        assert_eq!(String::from(id), written);
    }

    #[test]
    fn malformed_step_id_is_refused() {
        for malformed in [
            "",
            "archive",
            "archive/1",
            "archive/1.",
            "archive/.1",
            "archive/01.0",
            "archive/+1.0",
            "archive/1.0.0",
            "archive/-1.0",
            "/1.0",
            "-/1.0",
            "archive-/1.0",
            "Archive/1.0",
            "a b/1.0",
            "a/b/1.0",
            "archive/1.4294967296",
        ] {
            assert_eq!(malformed.parse::<StepId>(), Err(StepIdError), "{malformed}");
        }
    }

    proptest! {
        #[test]
        fn step_id_round_trips_through_text(
            process in "[a-z0-9]{1,5}(-[a-z0-9]{1,5}){0,2}",
            position: u64,
            index: u32,
        ) {
            let id = StepId::new(&process, position, index).expect("in kebab case");
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }
}
