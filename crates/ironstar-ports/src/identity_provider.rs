//! The identity provider: a service, such as GitHub, that identifies users.

use std::error::Error;
use std::fmt::{self, Debug};

use async_trait::async_trait;

/// Identifies users who agree to it, by OAuth 2.0's authorization code flow with PKCE (RFC 6749,
/// section 4.1; RFC 7636).
#[async_trait]
pub trait IdentityProvider: Debug + Send + Sync {
    /// The provider's name for people, such as `GitHub`.
    fn name(&self) -> &str;

    /// The origin of the page to which browsers are sent, such as `https://github.com`.
    fn origin(&self) -> &str;

    /// Starts a sign-in.
    fn begin(&self) -> SignInRequest;

    /// Finishes a sign-in: exchanges the code that the browser brought back for a token, asks for
    /// the user's profile with it, and forgets the token.
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

/// The start of a sign-in.
#[derive(Clone)]
pub struct SignInRequest {
    /// The address to which the browser is sent.
    pub address: String,
    /// The secret random text that the browser brings back. It shows that the answer belongs to
    /// this sign-in.
    pub state: String,
    /// The proof that a sign-in is finished by the server that began it.
    pub verifier: PkceVerifier,
}

/// The proof that a sign-in is finished by the server that began it (RFC 7636). It is a secret.
#[derive(Clone, Eq, PartialEq)]
pub struct PkceVerifier(String);

/// The profile of a user, as the provider reports it. The texts are not trusted: they may be
/// long, or have several lines.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdentityProfile {
    /// The provider's host, with a port unless it is the default one.
    pub issuer: String,
    /// The provider's permanent id of the account.
    pub subject: String,
    /// The name of the account.
    pub login: String,
    /// The display name, if the account has one.
    pub name: Option<String>,
}

/// The reasons why a user cannot be identified.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The provider does not accept the code, because it is wrong, expired or already used.
    #[error("the provider refuses the sign-in: {code}")]
    Refused {
        /// The provider's error code.
        code: String,
    },
    /// The provider did not answer in time.
    #[error("the provider did not answer in time")]
    TimedOut,
    /// The provider cannot be reached, or reports that it is out of order.
    #[error("the provider is not available")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The provider's answer does not have the expected form.
    #[error("the provider's answer is malformed")]
    Nonsense(#[source] Box<dyn Error + Send + Sync>),
}

impl PkceVerifier {
    /// The verifier with this secret text.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// Returns the secret text. It must not get into a log.
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
