//! Who people are, by GitHub, or by a GitHub Enterprise Server.
//!
//! OAuth 2.0's authorization code with PKCE
//! (<https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps>).
//! No scope is asked for, so the token is good for what is public anyway, and it is
//! forgotten once the profile is read. The client follows no redirects, waits for
//! so long and no longer, and reads no more than a profile can be.

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

/// Where people let GitHub tell who they are.
pub const AUTHORIZE_URL: &str = "https://github.com/login/oauth/authorize";
/// Where a code is worth a token.
pub const TOKEN_URL: &str = "https://github.com/login/oauth/access_token";
/// Where a profile is read.
pub const API_URL: &str = "https://api.github.com";

/// How long GitHub may take for all that it is asked.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What GitHub knows the application by, and where it is.
#[derive(Clone)]
pub struct GitHubConfig {
    /// The id of the application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Where browsers are sent.
    pub authorize_url: String,
    /// Where a code is worth a token.
    pub token_url: String,
    /// Where profiles are read: the address in front of `/user`.
    pub api_url: String,
    /// Where browsers are sent back to.
    pub redirect_url: String,
    /// How long GitHub may take for all that it is asked.
    pub patience: Duration,
}

/// Why GitHub cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum GitHubConfigError {
    /// An address is none.
    #[error("'{url}' is not an address of GitHub or a server like it, such as {API_URL}")]
    NotAnAddress {
        /// What is said to be one.
        url: String,
    },
    /// Secrets would go over a network for everyone to read.
    #[error("'{url}' must begin with https://, unless it is on this machine")]
    NotSecure {
        /// The address.
        url: String,
    },
    /// Whom to trust is not known.
    #[error("the certificates that this machine trusts cannot be read; install ca-certificates")]
    NoCertificates(#[source] std::io::Error),
}

/// Who people are, by GitHub.
pub struct GitHub {
    client: OAuthClient,
    http: Http,
    user_url: String,
    issuer: String,
    origin: String,
    patience: Duration,
}

/// OAuth's client, with its errors as GitHub has them: more than the standard's.
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

/// What GitHub says of somebody.
#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    name: Option<String>,
}

impl GitHub {
    /// GitHub, or a server like it.
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
                "the token is of another type".into(),
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

/// Why a code is worth no token.
fn no_token(error: RequestTokenError<HttpError, ErrorResponse>) -> IdentityError {
    match error {
        RequestTokenError::ServerResponse(answer) => IdentityError::Refused {
            code: readable(answer.error().to_string()),
        },
        RequestTokenError::Request(error) => error.into_identity_error(),
        // What could not be read may hold the token, and what is said of it may quote it.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            IdentityError::Nonsense("no token can be read from it".into())
        }
    }
}

/// A code as they are (RFC 6749, section 5.2): what is none must not write into a log
/// what it likes.
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

/// An address that secrets may be sent to.
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
    fn a_code_is_a_word() {
        for code in ["bad_verification_code", "x2"] {
            assert_eq!(readable(code.to_owned()), code);
        }
        for code in ["a b", "a\nERROR forged", "\u{1b}[31m", "Ä", &"x".repeat(65)] {
            assert_eq!(readable(code.to_owned()), "unreadable");
        }
    }

    #[test]
    fn secrets_go_over_tls_unless_they_stay_here() {
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
