//! The id of an identity.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::serde_as_text;

/// The id of an identity: its issuer and its subject. The issuer is a host, with a port unless it
/// is the default one. The subject is the issuer's permanent id of the account, not the account's
/// name. The text form is `github.com/583231`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdentityId {
    issuer: String,
    subject: String,
}

/// The error for a text that is not an [`IdentityId`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "an identity is a host and the id of an account there, such as github.com/583231, \
     each of at most 255 letters, digits, and '.', '-', '_', ':', '[' or ']'"
)]
pub struct IdentityIdError;

/// The most characters of the issuer and of the subject, each: the limit of a host name.
const MAX_CHARS: usize = 255;

impl IdentityId {
    /// The identity of the account that `issuer` knows as `subject`. The issuer is stored in
    /// small letters.
    ///
    /// # Errors
    ///
    /// If the issuer or the subject is empty, is longer than 255 bytes, or has a character that
    /// is not allowed.
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
        // An identity has only one text form.
        if id.issuer == issuer {
            Ok(id)
        } else {
            Err(IdentityIdError)
        }
    }
}

serde_as_text!(IdentityId);

impl Display for IdentityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.issuer, self.subject)
    }
}
