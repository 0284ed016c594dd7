//! The reasons why a command had no effect.

use ironstar_ports::{AppendError, PayloadError, Sequence, StoreError, StreamId};

use crate::codec::DecodeError;

/// The reason why a command had no effect.
#[derive(Debug, thiserror::Error)]
pub enum CommandError<E> {
    /// The aggregate refuses the command.
    #[error(transparent)]
    Refused(E),
    /// The aggregate is not at the sequence that the caller expects.
    #[error("{}", unexpected_words(*.expected, *.actual))]
    Unexpected {
        /// The sequence that the caller expects.
        expected: Sequence,
        /// The sequence of its last event, if it has any.
        actual: Option<Sequence>,
    },
    /// Other callers changed the aggregate again and again before the command was stored.
    #[error("other requests changed the same data first, {attempts} times in a row; try again")]
    Contended {
        /// The number of attempts.
        attempts: u32,
    },
    /// Another stream that the command depends on has changed.
    #[error("{stream} was changed at the same time; try again")]
    OtherChanged {
        /// The stream that has changed.
        stream: StreamId,
    },
    /// The sender has used the key for another command.
    #[error(
        "the key of this command was already used for another command of the same sender; choose a new key"
    )]
    KeyReused,
    /// The server has more work than it can accept.
    #[error("the server is overloaded; try again in a moment")]
    Overloaded,
    /// The aggregate's history cannot be read.
    #[error(transparent)]
    Unreadable(#[from] DecodeError),
    /// An event has no stored form.
    #[error("an event cannot be stored")]
    Unwritable(#[from] PayloadError),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Converts the error of an append, unless it is a conflict on the command's own aggregate.
pub(super) fn not_appended<E>(error: AppendError) -> CommandError<E> {
    match error {
        AppendError::Conflict { stream, .. } => CommandError::OtherChanged { stream },
        AppendError::KeyReused => CommandError::KeyReused,
        AppendError::Overloaded => CommandError::Overloaded,
        AppendError::Store(error) => error.into(),
        error @ AppendError::Empty => StoreError::unavailable(error).into(),
    }
}

fn unexpected_words(expected: Sequence, actual: Option<Sequence>) -> String {
    match actual {
        Some(actual) => {
            format!("expected sequence {expected}, but the current sequence is {actual}")
        }
        None => format!("expected sequence {expected}, but there are no events yet"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unexpected_sequence_is_told_beside_the_expected_one() {
        let told = |actual| {
            let expected = Sequence::new(2);
            CommandError::<AppendError>::Unexpected { expected, actual }.to_string()
        };
        assert_eq!(
            told(Some(Sequence::new(3))),
            "expected sequence 2, but the current sequence is 3"
        );
        assert_eq!(
            told(None),
            "expected sequence 2, but there are no events yet"
        );
    }
}
