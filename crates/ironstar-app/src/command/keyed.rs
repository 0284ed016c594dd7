//! Whose the key of a command is.
//!
//! A key belongs to the sender who has chosen it. This module is the only place that
//! makes a stored key of a sender's key, so a sender never finds another sender's command.
//!
//! - A user's or a guest's key is theirs, on whichever address. A user's key also finds
//!   what the guest has sent that they were before, so a retry that overlaps a sign-in
//!   acts once.
//! - A visitor without a session is known by the address that the request comes from.
//!   A request that begins a session counts as both: a retry that does not bring the
//!   new cookie is still found.
//! - Keys used to be stored without a sender. Such a key is found if it was used for the
//!   same request; it never refuses a command.

use ironstar_ports::{CommandKey, CommandRecord, EarlierCommand};

use crate::access::Caller;

/// The key that a sender has given a command, and what is asked under it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyedRequest {
    /// The sender's key.
    key: CommandKey,
    /// What is asked: with the same key, anything else is refused.
    request: String,
    /// How the same request was written down while keys had no senders.
    written_before: Option<String>,
}

impl KeyedRequest {
    /// A request under a sender's key.
    #[must_use]
    pub const fn new(key: CommandKey, request: String) -> Self {
        Self {
            key,
            request,
            written_before: None,
        }
    }

    /// The same, which was written down otherwise while keys had no senders.
    #[must_use]
    pub fn written_before(self, request: String) -> Self {
        Self {
            written_before: Some(request),
            ..self
        }
    }

    /// What the store keeps of the command, if this caller sends it.
    pub(super) fn record(&self, caller: &Caller) -> CommandRecord {
        let key = |sender: String| self.key.of(&sender);
        let by_guest = caller.earlier_senders().map(|sender| EarlierCommand {
            key: key(sender),
            request: self.request.clone(),
        });
        let without_sender = EarlierCommand {
            key: self.key.clone(),
            request: self
                .written_before
                .as_ref()
                .unwrap_or(&self.request)
                .clone(),
        };
        CommandRecord {
            key: key(caller.sender()),
            second: caller.second_sender().map(key),
            request: self.request.clone(),
            earlier: by_guest.chain([without_sender]).collect(),
        }
    }
}
