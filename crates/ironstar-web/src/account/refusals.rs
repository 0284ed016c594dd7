//! The ways in which a sign-in is refused or fails.

use axum::http::StatusCode;
use ironstar_ports::{IdentityError, IdentityProvider};

use crate::edge::problem::Problem;

pub(super) fn unknown_sign_in() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "unknown-sign-in",
        "this sign-in cannot be finished: it took too long, was finished before, or began in \
         another browser. Please try again",
    )
}

pub(super) fn denied(provider: &dyn IdentityProvider, error: &str) -> Problem {
    let provider = provider.name();
    if error == "access_denied" {
        return Problem::new(
            StatusCode::FORBIDDEN,
            "sign-in-denied",
            format!(
                "you did not allow {provider} to share your identity, so you are not signed in"
            ),
        );
    }
    // The browser passes the error on, and could forge it.
    let error: String = error.chars().take(100).collect();
    tracing::warn!(error, provider, "a sign-in was refused");
    let detail = format!("{provider} has refused the sign-in. Please try again");
    Problem::new(StatusCode::BAD_REQUEST, "sign-in-refused", detail)
}

pub(super) fn failed(provider: &dyn IdentityProvider, error: &IdentityError) -> Problem {
    let name = provider.name();
    let again = "Please try again";
    let is_set_up = !matches!(error, IdentityError::Refused { code } if is_the_operators(code));
    if !is_set_up {
        tracing::error!(
            error = error as &dyn std::error::Error,
            provider = name,
            "visitors cannot sign in; check that the id, the secret and the callback address \
             are those of the app at the provider"
        );
        return Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "sign-in-not-set-up",
            format!(
                "{name} rejects the registration of this site, so you cannot sign in. \
                 Please tell the operator of this site"
            ),
        );
    }
    tracing::warn!(
        error = error as &dyn std::error::Error,
        provider = name,
        "a sign-in was not finished"
    );
    match error {
        IdentityError::Refused { .. } => Problem::new(
            StatusCode::BAD_REQUEST,
            "sign-in-refused",
            format!("{name} does not accept this sign-in. {again}"),
        ),
        IdentityError::TimedOut => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "sign-in-timeout",
            format!("{name} did not answer in time. {again}"),
        ),
        IdentityError::Unavailable(_) => Problem::new(
            StatusCode::BAD_GATEWAY,
            "sign-in-unavailable",
            format!("{name} cannot be reached at the moment. {again} later"),
        ),
        IdentityError::Nonsense(_) => makes_no_sense(provider),
    }
}

/// Returns true if only the operator can correct a provider's error (RFC 6749, section 5.2, and
/// <https://docs.github.com/en/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors>).
fn is_the_operators(code: &str) -> bool {
    matches!(
        code,
        "incorrect_client_credentials" | "redirect_uri_mismatch" | "invalid_client"
    )
}

pub(super) fn makes_no_sense(provider: &dyn IdentityProvider) -> Problem {
    let name = provider.name();
    Problem::new(
        StatusCode::BAD_GATEWAY,
        "sign-in-unavailable",
        format!("the answer of {name} is invalid. Please try again"),
    )
}
