//! A guard: a condition on another stream, which must hold when a command is decided. Commands on
//! the parts of an aggregate need a guard: it checks the right to the aggregate.
//!
//! The handler asks the guard before it decides. The stream that the guard has looked at becomes
//! part of the append, without events, so the append fails if the stream has changed since. Then
//! the handler takes a turn at that stream, and asks again.

use futures::future::BoxFuture;
use ironstar_ports::{StreamAppend, StreamHead, StreamId};

use super::{CommandError, Contest};
use crate::turns::Turns;

/// Looks at another stream, and is asked again after each lost race. An error means that the
/// caller may not send the command at all, so the caller does not get the answer to an earlier
/// run either.
pub type Guard<'a, E> =
    &'a (dyn Fn() -> BoxFuture<'a, Result<Pass<E>, CommandError<E>>> + Send + Sync);

/// The finding of a guard, for a caller that may send the command.
#[derive(Clone, Debug)]
pub struct Pass<E> {
    /// The stream that must not change until the append.
    unchanged: Option<StreamAppend>,
    /// The refusal of a command that has not run before.
    refusal: Option<E>,
}

/// A guard that was asked, and the races that were lost at its stream.
pub(super) struct Guarded<'a, E> {
    guard: Option<Guard<'a, E>>,
    pass: Pass<E>,
    /// True if the caller may not send the command at all any more.
    is_barred: bool,
    contest: Contest<'a>,
}

impl<E> Pass<E> {
    /// The command depends on no other stream, and every caller may send it.
    #[must_use]
    pub const fn free() -> Self {
        Self {
            unchanged: None,
            refusal: None,
        }
    }

    /// The command may run while the stream with this head does not change. The append checks
    /// that. It must be another stream than the command's own.
    #[must_use]
    pub fn while_unchanged(head: &StreamHead) -> Self {
        Self {
            unchanged: Some(StreamAppend::guard(head)),
            refusal: None,
        }
    }

    /// The command is refused, unless it has run before. Then the caller gets the first answer.
    #[must_use]
    pub const fn refused(refusal: E) -> Self {
        Self {
            unchanged: None,
            refusal: Some(refusal),
        }
    }
}

impl<'a, E: Clone> Guarded<'a, E> {
    /// A command without a guard.
    pub(super) fn free(turns: &'a Turns) -> Self {
        Self {
            guard: None,
            pass: Pass::free(),
            is_barred: false,
            contest: Contest::watching(turns),
        }
    }

    /// A command with a guard, which is asked.
    pub(super) async fn ask(
        turns: &'a Turns,
        guard: Guard<'a, E>,
    ) -> Result<Self, CommandError<E>> {
        Ok(Self {
            guard: Some(guard),
            pass: guard().await?,
            is_barred: false,
            contest: Contest::watching(turns),
        })
    }

    /// Refuses the command, if the guard does.
    pub(super) fn admit(&self) -> Result<(), CommandError<E>> {
        let refusal = self.pass.refusal.clone();
        refusal.map_or(Ok(()), |refusal| Err(CommandError::Refused(refusal)))
    }

    /// The stream that must not change until the append, as a part of the append.
    pub(super) fn unchanged(&self) -> Option<&StreamAppend> {
        self.pass.unchanged.as_ref()
    }

    /// Returns true if the guard depends on this stream.
    pub(super) fn depends_on(&self, stream: &StreamId) -> bool {
        self.unchanged()
            .is_some_and(|append| append.stream == *stream)
    }

    /// Returns true if the caller may not send the command at all any more.
    pub(super) fn is_barred(&self) -> bool {
        self.is_barred
    }

    /// Counts a lost race at the guard's stream, waits for a turn there, and asks again. The
    /// caller must hold no other turn.
    pub(super) async fn lost(&mut self) -> Result<(), CommandError<E>> {
        let stream = self.unchanged().map(|append| append.stream.clone());
        self.contest.lost(stream.as_slice()).await?;
        if let Some(guard) = self.guard {
            let asked = guard().await;
            self.is_barred = asked.is_err();
            self.pass = asked?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
