//! What comes with a command.

use ironstar_ports::{CommandRecord, Origin, Sequence, StreamAppend, StreamId};

use super::KeyedRequest;
use crate::access::Caller;

/// What comes with a command.
#[derive(Clone, Debug, Default)]
pub struct CommandContext {
    /// The sequence that the sender expects the aggregate to be at.
    pub expected: Option<Sequence>,
    /// Who sends it.
    pub caller: Caller,
    /// Where the command comes from. Who acts is said by the caller, unless it is
    /// said here.
    pub origin: Origin,
    /// Makes a retry by the same sender answer what was answered before.
    pub keyed: Option<KeyedRequest>,
    /// What goes to other streams together with what follows from the command;
    /// or nothing, and they must only be where they were.
    pub also: Vec<StreamAppend>,
}

impl CommandContext {
    /// Where the command comes from, and who acts.
    pub(crate) fn origin(&self) -> Origin {
        let actor = self.origin.actor.clone();
        Origin {
            actor: actor.or_else(|| Some(self.caller.actor())),
            ..self.origin.clone()
        }
    }

    /// What the store keeps of a command that has a key.
    pub(super) fn record(&self) -> Option<CommandRecord> {
        let keyed = self.keyed.as_ref()?;
        Some(keyed.record(&self.caller))
    }

    /// Whether there is nothing to store if the command changes nothing.
    pub(super) fn is_done_without_events(&self) -> bool {
        self.keyed.is_none() && self.also.iter().all(|also| also.events.is_empty())
    }

    /// Whether a stream is one of those that go with the command.
    pub(super) fn depends_on(&self, stream: &StreamId) -> bool {
        self.also.iter().any(|also| also.stream == *stream)
    }
}
