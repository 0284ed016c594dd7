//! Secrets among the options.

use std::fmt::{self, Debug};
use std::str::FromStr;

/// A secret, which `Debug` does not show. It is not empty.
#[derive(Clone)]
pub(super) struct Secret(String);

impl Secret {
    /// The secret itself.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = String;

    fn from_str(secret: &str) -> Result<Self, Self::Err> {
        not_empty(secret).map(Self)
    }
}

/// Refuses a text without characters other than white space.
pub(super) fn not_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(text.to_owned())
}

impl Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
