//! Tests that the stand-in refuses every invalid request.

use ironstar_github::{Registration, StandIn};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};

const BACK: &str = "http://localhost:3000/back";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// The parameters of a valid request, with one of them replaced or removed.
fn with(name: &str, value: Option<&str>, fields: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = fields
        .iter()
        .filter(|(other, _)| *other != name)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    all.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    all
}

const ASKED: [(&str, &str); 6] = [
    ("client_id", "ironstar"),
    ("redirect_uri", BACK),
    ("response_type", "code"),
    ("state", "a-state"),
    ("code_challenge", CHALLENGE),
    ("code_challenge_method", "S256"),
];

async fn start() -> (StandIn, Client) {
    let registration = Registration {
        client_id: "ironstar".to_owned(),
        client_secret: "secret".to_owned(),
        redirect_url: BACK.to_owned(),
    };
    let stand_in = StandIn::start(registration)
        .await
        .expect("the stand-in starts");
    let client = Client::builder().redirect(Policy::none()).build();
    (stand_in, client.expect("a client"))
}

#[tokio::test]
async fn invalid_request_to_authorize_is_refused() {
    let (stand_in, client) = start().await;
    for (name, value, status) in [
        ("none", None, StatusCode::OK),
        ("scope", Some(""), StatusCode::OK),
        ("scope", Some("user"), StatusCode::BAD_REQUEST),
        ("client_id", Some("another"), StatusCode::BAD_REQUEST),
        (
            "redirect_uri",
            Some("http://localhost:3000/back/x"),
            StatusCode::BAD_REQUEST,
        ),
        ("redirect_uri", None, StatusCode::BAD_REQUEST),
        ("response_type", Some("token"), StatusCode::BAD_REQUEST),
        ("state", None, StatusCode::BAD_REQUEST),
        ("state", Some(""), StatusCode::BAD_REQUEST),
        ("code_challenge", None, StatusCode::BAD_REQUEST),
        ("code_challenge", Some("short"), StatusCode::BAD_REQUEST),
        (
            "code_challenge_method",
            Some("plain"),
            StatusCode::BAD_REQUEST,
        ),
    ] {
        for method in [reqwest::Method::GET, reqwest::Method::POST] {
            let is_post = method == reqwest::Method::POST;
            let fields = with(name, value, &ASKED);
            let request = client.request(method, stand_in.authorize_url());
            let request = if is_post {
                let mut fields = fields;
                fields.push(("login".to_owned(), "octocat".to_owned()));
                request.form(&fields)
            } else {
                let query: Vec<String> = fields
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                client.get(format!("{}?{}", stand_in.authorize_url(), query.join("&")))
            };
            let answer = request.send().await.expect("an answer").status();
            let expected = match status {
                StatusCode::OK if is_post => StatusCode::SEE_OTHER,
                status => status,
            };
            assert_eq!(answer, expected, "{name} {value:?}");
        }
    }
}

/// Returns a code for which a person has agreed.
async fn code(stand_in: &StandIn) -> String {
    let query: Vec<String> = ASKED
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let address = format!("{}?{}", stand_in.authorize_url(), query.join("&"));
    let back = stand_in
        .authorize(&address, "hubot")
        .expect("a valid request");
    let rest = back.strip_prefix(&format!("{BACK}?code=")).expect("a code");
    rest.strip_suffix("&state=a-state")
        .expect("the state")
        .to_owned()
}

#[tokio::test]
async fn invalid_exchange_of_a_code_is_refused() {
    const NOT_THIS_CLIENT: Option<&str> = Some("incorrect_client_credentials");
    let (stand_in, client) = start().await;
    for (name, value, error) in [
        ("none", None, None),
        ("client_id", Some("another"), NOT_THIS_CLIENT),
        ("client_secret", Some("wrong"), NOT_THIS_CLIENT),
        ("client_secret", None, NOT_THIS_CLIENT),
        (
            "grant_type",
            Some("password"),
            Some("unsupported_grant_type"),
        ),
        (
            "redirect_uri",
            Some("http://evil.test/"),
            Some("redirect_uri_mismatch"),
        ),
        ("code", Some("made-up"), Some("bad_verification_code")),
        (
            "code_verifier",
            Some(CHALLENGE),
            Some("bad_verification_code"),
        ),
        ("code_verifier", None, Some("bad_verification_code")),
    ] {
        let code = code(&stand_in).await;
        let fields = [
            ("client_id", "ironstar"),
            ("client_secret", "secret"),
            ("grant_type", "authorization_code"),
            ("redirect_uri", BACK),
            ("code", &code),
            ("code_verifier", VERIFIER),
        ];
        let exchange = async || {
            let request = client
                .post(stand_in.token_url())
                .header("accept", "application/json");
            let request = request.form(&with(name, value, &fields));
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::OK);
            answer.json::<serde_json::Value>().await.expect("JSON")
        };
        let answer = exchange().await;
        assert_eq!(answer["error"].as_str(), error, "{name} {value:?}");
        if let Some(token) = answer["access_token"].as_str() {
            let again = exchange().await;
            assert_eq!(
                again["error"], "bad_verification_code",
                "a code is valid once"
            );
            for (agent, token, status) in [
                (Some("a test"), token, StatusCode::OK),
                (None, token, StatusCode::FORBIDDEN),
                (Some("a test"), "made-up", StatusCode::UNAUTHORIZED),
            ] {
                let mut request = client.get(format!("{}/user", stand_in.api_url()));
                request = request.bearer_auth(token);
                if let Some(agent) = agent {
                    request = request.header("user-agent", agent);
                }
                let answer = request.send().await.expect("an answer");
                assert_eq!(answer.status(), status);
            }
        }
    }
}
