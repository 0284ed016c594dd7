//! Somebody else who knows who people are.

use std::error::Error;
use std::fmt::{self, Debug};

use async_trait::async_trait;

/// Knows who people are, and tells if they let it: by OAuth 2.0's authorization code
/// with PKCE (RFC 6749, section 4.1; RFC 7636).
#[async_trait]
pub trait IdentityProvider: Debug + Send + Sync {
    /// What people call it, such as `GitHub`.
    fn name(&self) -> &str;

    /// The origin that browsers are sent to, such as `https://github.com`.
    fn origin(&self) -> &str;

    /// Begins a sign-in.
    fn begin(&self) -> SignInRequest;

    /// Who has come back with a code. The token that the code is worth is used to
    /// ask who that is, and then forgotten.
    ///
    /// # Errors
    ///
    /// See [`IdentityError`].
    async fn finish(
        &self,
        code: &str,
        verifier: &PkceVerifier,
    ) -> Result<IdentityProfile, IdentityError>;
}

/// A sign-in that begins.
#[derive(Clone)]
pub struct SignInRequest {
    /// Where to send the browser.
    pub address: String,
    /// What the browser comes back with, and nobody else knows.
    pub state: String,
    /// What proves that whoever finishes the sign-in has begun it.
    pub verifier: PkceVerifier,
}

/// What proves that whoever finishes a sign-in has begun it. A secret.
#[derive(Clone, Eq, PartialEq)]
pub struct PkceVerifier(String);

/// What a provider tells of somebody. None of it is to be trusted to be short, or
/// one line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdentityProfile {
    /// Who tells: a host, with a port if it has one of its own.
    pub issuer: String,
    /// What it calls them for ever.
    pub subject: String,
    /// What they sign in as.
    pub login: String,
    /// What they are called, if they say.
    pub name: Option<String>,
}

/// Why it is not known who somebody is.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The provider does not accept the code: it is wrong, has expired, or was used
    /// before.
    #[error("the provider refuses the sign-in: {code}")]
    Refused {
        /// The provider's own word for it.
        code: String,
    },
    /// The provider did not answer in time.
    #[error("the provider did not answer in time")]
    TimedOut,
    /// The provider cannot be reached, or says that it does not work.
    #[error("the provider is not available")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The provider's answer makes no sense.
    #[error("the provider's answer makes no sense")]
    Nonsense(#[source] Box<dyn Error + Send + Sync>),
}

impl PkceVerifier {
    /// The verifier with this text.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The text. It must not get into a log.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl Debug for PkceVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PkceVerifier(…)")
    }
}

impl Debug for SignInRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignInRequest").finish_non_exhaustive()
    }
}
