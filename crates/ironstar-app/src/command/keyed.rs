//! Commands with a key, which run once.
//!
//! A key belongs to the sender that has chosen it. Only this module derives a stored key from a
//! sender's key, so a sender never finds another sender's command.
//!
//! - The key of a user or a guest belongs to that caller, at any client address. A user's key
//!   also finds the commands that the user sent as a guest before, so a retry that overlaps a
//!   sign-in acts once.
//! - A visitor without a session is identified by the client address of the request. A request
//!   that begins a session is stored under both, the session and the address. So a retry
//!   without the new cookie is still found.
//! - Older versions stored keys without a sender. Such a key is found if it was used for the
//!   same request. It never refuses a command.

use ironstar_ports::{Appended, CommandKey, CommandRecord, EarlierCommand};

use super::{CommandContext, CommandError, CommandHandler};
use crate::caller::Caller;

/// The key that a sender has given a command, and the request that was sent with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyedRequest {
    /// The sender's key.
    key: CommandKey,
    /// The request. Any other request with the same key is refused.
    request: String,
    /// The stored text of the same request from the time when keys had no senders.
    written_before: Option<String>,
}

impl KeyedRequest {
    /// A request with a sender's key.
    #[must_use]
    pub const fn new(key: CommandKey, request: String) -> Self {
        Self {
            key,
            request,
            written_before: None,
        }
    }

    /// Adds the stored text of the same request from the time when keys had no senders.
    #[must_use]
    pub fn written_before(self, request: String) -> Self {
        Self {
            written_before: Some(request),
            ..self
        }
    }

    /// The record that the store keeps of the command, if this caller sends it.
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

impl CommandHandler {
    /// The append of an earlier run of the same command.
    pub(super) async fn known<E>(
        &self,
        context: &CommandContext,
    ) -> Result<Option<Appended>, CommandError<E>> {
        let Some(record) = context.record() else {
            return Ok(None);
        };
        for key in record.keys() {
            match self.store.outcome(key).await? {
                None => {}
                Some(known) if known.request == record.request => return Ok(Some(known.appended)),
                Some(_) => return Err(CommandError::KeyReused),
            }
        }
        for earlier in &record.earlier {
            let known = self.store.outcome(&earlier.key).await?;
            if let Some(known) = known.filter(|known| known.request == earlier.request) {
                return Ok(Some(known.appended));
            }
        }
        Ok(None)
    }
}
