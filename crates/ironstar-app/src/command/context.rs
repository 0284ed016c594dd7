//! The data that accompanies a command.

use ironstar_ports::{CommandRecord, Origin, Sequence, StreamAppend, StreamId};

use super::KeyedRequest;
use crate::caller::Caller;

/// The data that accompanies a command.
#[derive(Clone, Debug, Default)]
pub struct CommandContext {
    /// The sequence at which the sender expects the aggregate.
    pub expected: Option<Sequence>,
    /// The sender.
    pub caller: Caller,
    /// The origin of the command. If it names no actor, the caller is the actor.
    pub origin: Origin,
    /// Makes a retry by the same sender return the first answer.
    pub keyed: Option<KeyedRequest>,
    /// Events for other streams, stored together with the command's own events. An entry
    /// without events only requires that its stream has not changed.
    pub also: Vec<StreamAppend>,
}

impl CommandContext {
    /// The origin of the command, with the actor.
    pub(crate) fn origin(&self) -> Origin {
        let actor = self.origin.actor.clone();
        Origin {
            actor: actor.or_else(|| Some(self.caller.actor())),
            ..self.origin.clone()
        }
    }

    /// The record that the store keeps of a command with a key.
    pub(super) fn record(&self) -> Option<CommandRecord> {
        let keyed = self.keyed.as_ref()?;
        Some(keyed.record(&self.caller))
    }

    /// Returns true if nothing has to be stored for a command without events.
    pub(super) fn is_done_without_events(&self) -> bool {
        self.keyed.is_none() && self.also.iter().all(|also| also.events.is_empty())
    }

    /// Returns true if a stream is one of those in [`also`](Self::also).
    pub(super) fn depends_on(&self, stream: &StreamId) -> bool {
        self.also.iter().any(|also| also.stream == *stream)
    }
}
