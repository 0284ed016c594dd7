//! Which identity.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Identifies somebody by who knows them, and as what: a host, with a port if it
/// has one of its own, and what that host calls them for ever, which is not their
/// name. Written as `github.com/583231`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdentityId {
    issuer: String,
    subject: String,
}

/// Why a text is not an [`IdentityId`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "an identity is a host and what it calls somebody, such as github.com/583231, \
     each of at most 255 letters, digits, and '.', '-', '_', ':', '[' or ']'"
)]
pub struct IdentityIdError;

/// The most characters that either part may have: as many as a host.
const MAX_CHARS: usize = 255;

impl IdentityId {
    /// Whom an issuer calls `subject`.
    ///
    /// # Errors
    ///
    /// If either is empty, too long, or has characters that it cannot have.
    pub fn new(issuer: &str, subject: &str) -> Result<Self, IdentityIdError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        let is_part =
            |part: &str| (1..=MAX_CHARS).contains(&part.len()) && part.bytes().all(is_allowed);
        if !is_part(issuer) || !is_part(subject) {
            return Err(IdentityIdError);
        }
        Ok(Self {
            issuer: issuer.to_ascii_lowercase(),
            subject: subject.to_owned(),
        })
    }
}

impl FromStr for IdentityId {
    type Err = IdentityIdError;

    fn from_str(text: &str) -> Result<Self, IdentityIdError> {
        let (issuer, subject) = text.split_once('/').ok_or(IdentityIdError)?;
        let id = Self::new(issuer, subject)?;
        // One identity, one name.
        if id.issuer == issuer {
            Ok(id)
        } else {
            Err(IdentityIdError)
        }
    }
}

impl TryFrom<String> for IdentityId {
    type Error = IdentityIdError;

    fn try_from(text: String) -> Result<Self, IdentityIdError> {
        text.parse()
    }
}

impl From<IdentityId> for String {
    fn from(id: IdentityId) -> Self {
        id.to_string()
    }
}

impl Display for IdentityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.issuer, self.subject)
    }
}
