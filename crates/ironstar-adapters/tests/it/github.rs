//! Sign-in with GitHub, against a stand-in that keeps to the protocol or breaks it.

use std::error::Error;
use std::time::{Duration, Instant};

use ironstar_adapters::github::{GitHub, GitHubConfig, GitHubConfigError, PATIENCE};
use ironstar_github::{Behaviour, Person, Registration, StandIn};
use ironstar_ports::{IdentityError, IdentityProvider, PkceVerifier, SignInRequest};

const SECRET: &str = "a-client-secret";

async fn stand_in() -> StandIn {
    let registration = Registration {
        client_id: "ironstar".to_owned(),
        client_secret: SECRET.to_owned(),
        redirect_url: "http://localhost:3000/sign-in/callback".to_owned(),
    };
    StandIn::start(registration)
        .await
        .expect("the stand-in starts")
}

fn config(stand_in: &StandIn) -> GitHubConfig {
    GitHubConfig {
        client_id: "ironstar".to_owned(),
        client_secret: SECRET.to_owned(),
        authorize_url: stand_in.authorize_url(),
        token_url: stand_in.token_url(),
        api_url: stand_in.api_url(),
        redirect_url: "http://localhost:3000/sign-in/callback".to_owned(),
        patience: PATIENCE,
    }
}

fn github(config: GitHubConfig) -> GitHub {
    GitHub::new(config).expect("a configuration")
}

/// Allows the sign-in, and returns the code that the browser brings back.
fn authorized(stand_in: &StandIn, request: &SignInRequest, login: &str) -> String {
    let back = stand_in.authorize(&request.address, login);
    let back = back.expect("a valid request");
    let (_, query) = back.split_once('?').expect("a query");
    let fields: Vec<_> = query
        .split('&')
        .filter_map(|field| field.split_once('='))
        .collect();
    assert!(fields.contains(&("state", &request.state)), "{fields:?}");
    let code = fields.iter().find(|(name, _)| *name == "code");
    code.expect("a code").1.to_owned()
}

/// Runs a whole sign-in, and returns its error.
async fn failure(stand_in: &StandIn, github: &GitHub) -> IdentityError {
    let request = github.begin();
    let code = authorized(stand_in, &request, "octocat");
    let failed = github.finish(&code, &request.verifier).await;
    let error = failed.expect_err("a failure");
    let said = chain(&error);
    for secret in [SECRET, &code, request.verifier.secret()] {
        assert!(!said.contains(secret), "{said}");
    }
    error
}

/// The complete text of an error, as a log would show it.
fn chain(error: &dyn Error) -> String {
    let mut said = format!("{error:?}");
    let mut next = Some(error);
    while let Some(error) = next {
        said.push_str(&format!(": {error}"));
        next = error.source();
    }
    said
}

#[tokio::test]
async fn sign_in_returns_the_profile_of_the_user() {
    let stand_in = stand_in().await;
    let github = github(config(&stand_in));
    let request = github.begin();
    let code = authorized(&stand_in, &request, "octocat");
    let told = github
        .finish(&code, &request.verifier)
        .await
        .expect("a profile");
    assert_eq!(stand_in.url(), format!("http://{}", told.issuer));
    assert_eq!((&*told.subject, &*told.login), ("1", "octocat"));
    assert_eq!(told.name.as_deref(), Some("The Octocat"));
    assert_eq!(github.origin(), stand_in.url());
    assert_eq!(github.name(), "GitHub");
    stand_in.know(Person {
        id: 1,
        login: "monalisa".to_owned(),
        name: None,
    });
    let request = github.begin();
    let code = authorized(&stand_in, &request, "monalisa");
    let told = github
        .finish(&code, &request.verifier)
        .await
        .expect("a profile");
    assert_eq!((&*told.subject, told.name), ("1", None));
}

#[tokio::test]
async fn each_sign_in_has_its_own_secrets() {
    let stand_in = stand_in().await;
    let github = github(config(&stand_in));
    let (one, other) = (github.begin(), github.begin());
    assert_ne!(one.state, other.state);
    assert_ne!(one.verifier, other.verifier);
    assert!(!one.address.contains(one.verifier.secret()));
    assert!(!one.address.contains("scope=") && !one.address.contains(SECRET));
    let shown = format!("{one:?} {github:?} {:?}", config(&stand_in));
    for secret in [&*one.state, one.verifier.secret(), SECRET] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn code_is_valid_once_and_only_with_its_verifier() {
    let stand_in = stand_in().await;
    let github = github(config(&stand_in));
    let request = github.begin();
    let code = authorized(&stand_in, &request, "octocat");
    github
        .finish(&code, &request.verifier)
        .await
        .expect("a profile");
    let stolen = authorized(&stand_in, &request, "octocat");
    let another = PkceVerifier::new("x".repeat(43));
    for (code, verifier) in [
        (&*code, &request.verifier),
        (&stolen, &another),
        (&stolen, &request.verifier),
        ("made-up", &request.verifier),
    ] {
        let refused = github.finish(code, verifier).await.expect_err("refused");
        let IdentityError::Refused { code } = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(code, "bad_verification_code");
    }
}

#[tokio::test]
async fn wrong_client_secret_is_refused() {
    let stand_in = stand_in().await;
    let wrong = GitHubConfig {
        client_secret: "wrong".to_owned(),
        ..config(&stand_in)
    };
    let refused = failure(&stand_in, &github(wrong)).await;
    let IdentityError::Refused { code } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(code, "incorrect_client_credentials");
}

#[tokio::test]
async fn each_kind_of_failure_has_its_own_error() {
    let stand_in = stand_in().await;
    let github = github(config(&stand_in));
    let kind = |error: &IdentityError| match error {
        IdentityError::Refused { .. } => "refused",
        IdentityError::TimedOut => "timed out",
        IdentityError::Unavailable(_) => "unavailable",
        IdentityError::Nonsense(_) => "nonsense",
    };
    for (behaviour, expected) in [
        (Behaviour::Fail, "unavailable"),
        (Behaviour::Busy, "unavailable"),
        (Behaviour::HangUp, "unavailable"),
        (Behaviour::ErrorBody, "refused"),
        (Behaviour::Redirect, "nonsense"),
        (Behaviour::Garbage, "nonsense"),
        (Behaviour::Huge, "nonsense"),
        (Behaviour::Array, "nonsense"),
        (Behaviour::OtherKind, "nonsense"),
        (Behaviour::OtherToken, "nonsense"),
        (Behaviour::NoProfile, "nonsense"),
        (Behaviour::NoMoreProfiles, "unavailable"),
        (Behaviour::Nameless, "nonsense"),
    ] {
        stand_in.behave(behaviour);
        let error = failure(&stand_in, &github).await;
        assert_eq!(kind(&error), expected, "{behaviour:?}: {}", chain(&error));
        assert!(!chain(&error).contains("a-secret"), "{}", chain(&error));
    }
    assert_eq!(stand_in.led_astray(), 0);
    let (_, profiles) = stand_in.asked();
    assert_eq!(profiles, 3, "a sign-in without a token requests no profile");
}

#[tokio::test]
async fn sign_in_ends_after_its_time_limit() {
    let stand_in = stand_in().await;
    stand_in.behave(Behaviour::Slow);
    let impatient = GitHubConfig {
        patience: Duration::from_millis(50),
        ..config(&stand_in)
    };
    let start = Instant::now();
    let error = failure(&stand_in, &github(impatient)).await;
    assert!(matches!(error, IdentityError::TimedOut), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn sign_in_fails_when_github_is_unreachable() {
    let stand_in = stand_in().await;
    let config = config(&stand_in);
    let github = github(config);
    drop(stand_in);
    let error = github
        .finish("code", &PkceVerifier::new("x".repeat(43)))
        .await
        .expect_err("the stand-in has stopped");
    assert!(matches!(error, IdentityError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn secrets_are_sent_over_tls_or_not_at_all() {
    let stand_in = stand_in().await;
    let insecure = GitHubConfig {
        token_url: "http://github.test/login/oauth/access_token".to_owned(),
        ..config(&stand_in)
    };
    let refused = GitHub::new(insecure).expect_err("refused");
    assert!(matches!(refused, GitHubConfigError::NotSecure { .. }));
}
