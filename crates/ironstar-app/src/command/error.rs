//! Why a command had no effect.

use ironstar_ports::{AppendError, PayloadError, Sequence, StoreError, StreamId};

use crate::codec::DecodeError;

/// Why a command had no effect.
#[derive(Debug, thiserror::Error)]
pub enum CommandError<E> {
    /// The aggregate refuses it.
    #[error(transparent)]
    Refused(E),
    /// The aggregate is not where the caller expects it to be.
    #[error("{}", unexpected_words(*.expected, *.actual))]
    Unexpected {
        /// Where the caller expects it to be.
        expected: Sequence,
        /// The sequence of its last event, if it has any.
        actual: Option<Sequence>,
    },
    /// Others kept changing the aggregate in between.
    #[error("others changed it at the same time, {attempts} times in a row; try again")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// Another stream that the command depends on is not where it was.
    #[error("{stream} has changed at the same time; try again")]
    OtherChanged {
        /// Which one.
        stream: StreamId,
    },
    /// The key of the command belongs to another one.
    #[error(
        "the key of this command was used for another command of the same sender before; choose a new one"
    )]
    KeyReused,
    /// There is more to do than the store can take on.
    #[error("there is more to do than the server can take on; try again in a moment")]
    Overloaded,
    /// The aggregate's history cannot be read.
    #[error(transparent)]
    Unreadable(#[from] DecodeError),
    /// An event has no stored form.
    #[error("an event cannot be stored")]
    Unwritable(#[from] PayloadError),
    /// The store does not work.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a command had no effect, if not because of its own aggregate.
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
            format!("expected to find it at sequence {expected}, but it is at sequence {actual}")
        }
        None => format!("expected to find it at sequence {expected}, but nothing has happened yet"),
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
            "expected to find it at sequence 2, but it is at sequence 3"
        );
        assert_eq!(
            told(None),
            "expected to find it at sequence 2, but nothing has happened yet"
        );
    }
}
