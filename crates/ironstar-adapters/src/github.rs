//! Sign-in with GitHub, or with a GitHub Enterprise Server.
//!
//! This is the authorization code flow of OAuth 2.0 with PKCE
//! (<https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps>).
//! It requests no scope, so the token gives access to public data only. The token is dropped
//! as soon as the profile is read. The HTTP client follows no redirects, and limits both the
//! time and the size of an answer.

mod http;

use std::fmt::{self, Debug};
use std::time::Duration;

use async_trait::async_trait;
use ironstar_ports::{
    IdentityError, IdentityProfile, IdentityProvider, PkceVerifier, SignInRequest,
};
use oauth2::basic::{BasicErrorResponseType, BasicTokenType};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EmptyExtraTokenFields,
    EndpointNotSet, EndpointSet, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, StandardErrorResponse, StandardTokenResponse, TokenResponse, TokenUrl,
};
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use self::http::{Http, HttpError};

/// The page on which visitors allow GitHub to identify them.
pub const AUTHORIZE_URL: &str = "https://github.com/login/oauth/authorize";
/// The address that exchanges a code for a token.
pub const TOKEN_URL: &str = "https://github.com/login/oauth/access_token";
/// The address of GitHub's API, for profiles.
pub const API_URL: &str = "https://api.github.com";

/// The time limit for all requests of one sign-in together.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The OAuth app of this site, and the addresses of GitHub.
#[derive(Clone)]
pub struct GitHubConfig {
    /// The client id of the OAuth app.
    pub client_id: String,
    /// The client secret of the OAuth app.
    pub client_secret: String,
    /// The address to which browsers are sent.
    pub authorize_url: String,
    /// The address that exchanges a code for a token.
    pub token_url: String,
    /// The address of the API, without `/user`, for profiles.
    pub api_url: String,
    /// The address to which GitHub sends browsers back.
    pub redirect_url: String,
    /// The time limit for all requests of one sign-in together.
    pub patience: Duration,
}

/// Errors in the configuration of GitHub.
#[derive(Debug, thiserror::Error)]
pub enum GitHubConfigError {
    /// The text is not an absolute address.
    #[error("'{url}' is not an address of GitHub or a server like it, such as {API_URL}")]
    NotAnAddress {
        /// The text.
        url: String,
    },
    /// Secrets would cross a network unencrypted.
    #[error("'{url}' must begin with https://, unless it is on this machine")]
    NotSecure {
        /// The address.
        url: String,
    },
    /// The trusted certificates cannot be read.
    #[error("the certificates that this machine trusts cannot be read; install ca-certificates")]
    NoCertificates(#[source] std::io::Error),
}

/// The identity provider GitHub.
pub struct GitHub {
    client: OAuthClient,
    http: Http,
    user_url: String,
    issuer: String,
    origin: String,
    patience: Duration,
}

/// The OAuth client, with the error codes of GitHub, which are more than the standard has.
type OAuthClient = oauth2::Client<
    ErrorResponse,
    Token,
    oauth2::basic::BasicTokenIntrospectionResponse,
    oauth2::StandardRevocableToken,
    oauth2::basic::BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;
type ErrorResponse = StandardErrorResponse<BasicErrorResponseType>;
type Token = StandardTokenResponse<EmptyExtraTokenFields, BasicTokenType>;

/// A user's profile, as GitHub returns it.
#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    name: Option<String>,
}

impl GitHub {
    /// Creates a client of GitHub, or of a server with the same interface.
    ///
    /// # Errors
    ///
    /// See [`GitHubConfigError`].
    pub fn new(config: GitHubConfig) -> Result<Self, GitHubConfigError> {
        let authorize = address(&config.authorize_url)?;
        address(&config.token_url)?;
        let api = address(&config.api_url)?;
        address(&config.redirect_url)?;
        let no_address = |url: &str| GitHubConfigError::NotAnAddress {
            url: url.to_owned(),
        };
        let auth_url = AuthUrl::new(config.authorize_url.clone())
            .map_err(|_| no_address(&config.authorize_url))?;
        let token_url =
            TokenUrl::new(config.token_url.clone()).map_err(|_| no_address(&config.token_url))?;
        let redirect_url = RedirectUrl::new(config.redirect_url.clone())
            .map_err(|_| no_address(&config.redirect_url))?;
        let client = oauth2::Client::new(ClientId::new(config.client_id))
            .set_client_secret(ClientSecret::new(config.client_secret))
            .set_auth_type(oauth2::AuthType::RequestBody)
            .set_auth_uri(auth_url)
            .set_token_uri(token_url)
            .set_redirect_uri(redirect_url);
        let host = authorize.host_str().unwrap_or_default();
        let issuer = match authorize.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Ok(Self {
            client,
            http: Http::new().map_err(GitHubConfigError::NoCertificates)?,
            user_url: format!("{}/user", api.as_str().trim_end_matches('/')),
            origin: authorize.origin().ascii_serialization(),
            issuer,
            patience: config.patience,
        })
    }

    async fn identify(
        &self,
        code: &str,
        verifier: &PkceVerifier,
    ) -> Result<IdentityProfile, IdentityError> {
        let token = self
            .client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.secret().to_owned()))
            .request_async(&self.http)
            .await
            .map_err(no_token)?;
        if !matches!(token.token_type(), BasicTokenType::Bearer) {
            return Err(IdentityError::Nonsense(
                "the token is not a bearer token".into(),
            ));
        }
        let user: User = self
            .http
            .get(&self.user_url, token.access_token().secret())
            .await
            .map_err(HttpError::into_identity_error)?;
        Ok(IdentityProfile {
            issuer: self.issuer.clone(),
            subject: user.id.to_string(),
            login: user.login,
            name: user.name,
        })
    }
}

#[async_trait]
impl IdentityProvider for GitHub {
    fn name(&self) -> &str {
        "GitHub"
    }

    fn origin(&self) -> &str {
        &self.origin
    }

    fn begin(&self) -> SignInRequest {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (address, state) = self
            .client
            .authorize_url(CsrfToken::new_random)
            .set_pkce_challenge(challenge)
            .url();
        SignInRequest {
            address: address.into(),
            state: state.into_secret(),
            verifier: PkceVerifier::new(verifier.into_secret()),
        }
    }

    async fn finish(
        &self,
        code: &str,
        verifier: &PkceVerifier,
    ) -> Result<IdentityProfile, IdentityError> {
        let identified = timeout(self.patience, self.identify(code, verifier)).await;
        identified.unwrap_or(Err(IdentityError::TimedOut))
    }
}

/// Converts an error of the token request.
fn no_token(error: RequestTokenError<HttpError, ErrorResponse>) -> IdentityError {
    match error {
        RequestTokenError::ServerResponse(answer) => IdentityError::Refused {
            code: readable(answer.error().to_string()),
        },
        RequestTokenError::Request(error) => error.into_identity_error(),
        // The unreadable answer may contain the token, and the parser's message may quote it.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            IdentityError::Nonsense("the answer has no readable token".into())
        }
    }
}

/// Returns an error code if it has the form of one (RFC 6749, section 5.2). Other text is
/// replaced, so that the provider cannot write arbitrary lines into the log.
fn readable(code: String) -> String {
    let is_code = code.len() <= 64
        && code
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if is_code {
        code
    } else {
        "unreadable".to_owned()
    }
}

/// Parses an address, and makes sure that secrets may be sent to it.
fn address(url: &str) -> Result<Url, GitHubConfigError> {
    let url = url.to_owned();
    let Ok(parsed) = Url::parse(&url) else {
        return Err(GitHubConfigError::NotAnAddress { url });
    };
    let is_here = match parsed.host_str() {
        None => return Err(GitHubConfigError::NotAnAddress { url }),
        Some(host) => matches!(host, "localhost" | "127.0.0.1" | "[::1]"),
    };
    let has_more =
        !parsed.username().is_empty() || parsed.password().is_some() || parsed.fragment().is_some();
    match parsed.scheme() {
        _ if has_more => Err(GitHubConfigError::NotAnAddress { url }),
        "https" => Ok(parsed),
        "http" if is_here => Ok(parsed),
        "http" => Err(GitHubConfigError::NotSecure { url }),
        _ => Err(GitHubConfigError::NotAnAddress { url }),
    }
}

impl Debug for GitHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitHub")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl Debug for GitHubConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitHubConfig")
            .field("client_id", &self.client_id)
            .field("authorize_url", &self.authorize_url)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{GitHubConfigError, address, readable};

    #[test]
    fn error_code_is_a_single_word() {
        for code in ["bad_verification_code", "x2"] {
            assert_eq!(readable(code.to_owned()), code);
        }
        for code in ["a b", "a\nERROR forged", "\u{1b}[31m", "Ä", &"x".repeat(65)] {
            assert_eq!(readable(code.to_owned()), "unreadable");
        }
    }

    #[test]
    fn secrets_require_tls_unless_they_stay_on_this_machine() {
        for url in [
            "https://github.com/login",
            "http://127.0.0.1:3000/login",
            "http://localhost/login",
            "http://[::1]:3000",
        ] {
            address(url).expect(url);
        }
        for url in ["http://github.com/login", "http://127.0.0.1.evil.test/"] {
            let refused = address(url).expect_err(url);
            assert!(matches!(refused, GitHubConfigError::NotSecure { .. }));
        }
        for url in [
            "",
            "github.com",
            "ftp://github.com",
            "file:///etc/passwd",
            "https://user@github.com",
            "https://:password@github.com",
            "https://github.com/#fragment",
        ] {
            let refused = address(url).expect_err(url);
            assert!(matches!(refused, GitHubConfigError::NotAnAddress { .. }));
        }
    }
}
