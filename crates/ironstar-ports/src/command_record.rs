//! The record that the store keeps of a command, so that the command runs once.

use std::str::FromStr;

/// A command that runs once, even if it is sent several times.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CommandRecord {
    /// The key under which the store keeps the command.
    pub key: CommandKey,
    /// A second key, under which the store keeps the command as well.
    pub second: Option<CommandKey>,
    /// The request as text. The store refuses the key for another request.
    pub request: String,
    /// Keys under which the same command may have been stored before. The store
    /// looks for them, and never writes them.
    pub earlier: Vec<EarlierCommand>,
}

/// A key under which the store may already have the command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EarlierCommand {
    /// The key. The store ignores it if it belongs to another request.
    pub key: CommandKey,
    /// The request, in the text form of that time.
    pub request: String,
}

/// The key of a command: 1 to [`CommandKey::MAX_BYTES`] visible ASCII characters, as the sender
/// chooses them, or such a key together with its sender ([`CommandKey::of`]).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct CommandKey(String);

/// The error for a text that is not a [`CommandKey`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the key of a command has 1 to {max} visible ASCII characters", max = CommandKey::MAX_BYTES)]
pub struct CommandKeyError;

impl CommandRecord {
    /// A command with this key, without further keys.
    #[must_use]
    pub const fn new(key: CommandKey, request: String) -> Self {
        Self {
            key,
            second: None,
            request,
            earlier: Vec::new(),
        }
    }

    /// Returns the keys under which the store keeps the command.
    pub fn keys(&self) -> impl Iterator<Item = &CommandKey> {
        std::iter::once(&self.key).chain(&self.second)
    }
}

impl CommandKey {
    /// The most bytes of a sender's key. Each byte is one ASCII character.
    pub const MAX_BYTES: usize = 255;

    /// Makes the key of one sender. A sender's own key contains no space, so the result never
    /// equals the key of another sender, nor a key without a sender.
    #[must_use]
    pub fn of(&self, sender: &str) -> Self {
        Self(format!("{sender} {}", self.0))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CommandKey {
    type Err = CommandKeyError;

    fn from_str(key: &str) -> Result<Self, CommandKeyError> {
        let is_visible = key.bytes().all(|byte| byte.is_ascii_graphic());
        if key.is_empty() || key.len() > Self::MAX_BYTES || !is_visible {
            return Err(CommandKeyError);
        }
        Ok(Self(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_key_has_at_most_max_bytes() {
        let longest = "k".repeat(CommandKey::MAX_BYTES);
        assert_eq!(
            longest.parse::<CommandKey>().expect("a key").as_str(),
            longest
        );
        assert!(format!("{longest}k").parse::<CommandKey>().is_err());
    }
}
