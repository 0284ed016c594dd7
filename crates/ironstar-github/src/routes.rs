//! The routes of the protocol.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{RawForm, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::{Behaviour, Person, SLOW, Shared, pages};

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/login/oauth/authorize", get(ask).post(decide))
        .route("/login/oauth/access_token", post(exchange))
        .route("/api/user", get(user))
        .route("/stand-in/elsewhere", any(astray))
        .route("/stand-in/behaviour", post(behave))
        .route("/stand-in/person", post(know))
        .with_state(shared)
}

/// The parameters with which a browser is sent here.
#[derive(Clone, Debug)]
pub(crate) struct Asked(Vec<(String, String)>);

impl Asked {
    /// Parses a query. A parameter that occurs twice is an error.
    pub(crate) fn parse(query: &str) -> Result<Self, String> {
        let fields: Vec<(String, String)> = fields_of(query)?;
        for (index, (name, _)) in fields.iter().enumerate() {
            if fields[..index].iter().any(|(other, _)| other == name) {
                return Err(format!("'{name}' occurs twice"));
            }
        }
        Ok(Self(fields))
    }

    fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter();
        fields
            .find(|(other, _)| other == name)
            .map(|(_, value)| &**value)
    }

    fn need(&self, name: &str) -> Result<&str, String> {
        let value = self.get(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| format!("'{name}' is missing"))
    }
}

fn fields_of(text: &str) -> Result<Vec<(String, String)>, String> {
    let uri = format!("/?{text}").parse();
    let uri = uri.map_err(|error| format!("the query is invalid: {error}"))?;
    let query = axum::extract::Query::try_from_uri(&uri);
    query
        .map(|axum::extract::Query(fields)| fields)
        .map_err(|error| format!("the query is invalid: {error}"))
}

impl Shared {
    /// Makes sure that a request to authorize is valid, and returns its challenge.
    fn check<'a>(&self, asked: &'a Asked) -> Result<&'a str, String> {
        let known = &self.registration;
        if asked.need("client_id")? != known.client_id {
            return Err(format!(
                "'client_id' is not '{}', as --client-id says",
                known.client_id
            ));
        }
        let redirect_uri = asked.need("redirect_uri")?;
        if redirect_uri != known.redirect_url {
            return Err(format!(
                "'redirect_uri' is '{redirect_uri}', and not '{}', as --redirect-url says",
                known.redirect_url
            ));
        }
        if asked.need("response_type")? != "code" {
            return Err("'response_type' must be 'code'".to_owned());
        }
        asked.need("state")?;
        if asked.need("code_challenge_method")? != "S256" {
            return Err("'code_challenge_method' must be 'S256'".to_owned());
        }
        if asked.get("scope").is_some_and(|scope| !scope.is_empty()) {
            return Err("'scope' must be empty".to_owned());
        }
        let challenge = asked.need("code_challenge")?;
        let is_hash = challenge.len() == 43
            && challenge
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if is_hash {
            Ok(challenge)
        } else {
            Err("'code_challenge' is not a SHA-256 hash".to_owned())
        }
    }

    /// Returns the address to which a browser is sent back after the person agrees.
    pub(crate) fn authorize(&self, asked: &Asked, login: &str) -> Result<String, String> {
        let challenge = self.check(asked)?.to_owned();
        let code = {
            let mut state = self.state.lock();
            let mut people = state.people.iter();
            let person = people.find(|person| person.login == login);
            let person = person.ok_or("no account has this login")?.id;
            state.codes.grant(person, challenge)
        };
        Ok(self.back(asked, &format!("code={code}")))
    }

    /// Returns the address to which a browser is sent back, with an answer.
    fn back(&self, asked: &Asked, answer: &str) -> String {
        let to = &self.registration.redirect_url;
        let state = asked.get("state").unwrap_or_default();
        let behaviour = self.state.lock().behaviour;
        if behaviour == Behaviour::OtherState {
            return format!("{to}?{answer}&state=another");
        }
        if behaviour == Behaviour::NoState {
            return format!("{to}?{answer}");
        }
        format!("{to}?{answer}&state={state}")
    }
}

/// `GET /login/oauth/authorize`
async fn ask(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let asked = match Asked::parse(&query.unwrap_or_default()) {
        Ok(asked) => asked,
        Err(why) => return refuse(&why),
    };
    match shared.check(&asked) {
        Ok(_) => pages::consent(&shared.state.lock().people, &asked.0).into_response(),
        Err(why) => refuse(&why),
    }
}

/// `POST /login/oauth/authorize`: the answer of a person.
async fn decide(State(shared): State<Arc<Shared>>, RawForm(form): RawForm) -> Response {
    let decided = || {
        let form = std::str::from_utf8(&form).map_err(|error| error.to_string())?;
        let asked = Asked::parse(form)?;
        shared.check(&asked)?;
        match asked.get("login") {
            Some(login) => shared.authorize(&asked, login),
            None => Ok(shared.back(&asked, "error=access_denied&error_description=No")),
        }
    };
    match decided() {
        Ok(address) => Redirect::to(&address).into_response(),
        Err(why) => refuse(&why),
    }
}

/// `POST /login/oauth/access_token`
async fn exchange(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    RawForm(form): RawForm,
) -> Response {
    let behaviour = {
        let mut state = shared.state.lock();
        state.exchanges += 1;
        state.behaviour
    };
    if let Some(answer) = misbehave(&shared, behaviour).await {
        return answer;
    }
    let is_json = headers
        .get(header::ACCEPT)
        .is_some_and(|accept| accept.as_bytes() == b"application/json");
    if !is_json {
        // Without this header, GitHub answers in the format of a form.
        return "error=not_json".into_response();
    }
    Json(shared.token(&form, behaviour)).into_response()
}

impl Shared {
    /// Returns a token, or an error: both with a 200, as GitHub does.
    fn token(&self, form: &Bytes, behaviour: Behaviour) -> Value {
        let refused = |error: &str| json!({"error": error, "error_description": "No."});
        let form = std::str::from_utf8(form).unwrap_or_default();
        let Ok(asked) = Asked::parse(form) else {
            return refused("malformed");
        };
        let known = &self.registration;
        let is = |name: &str, value: &str| asked.get(name) == Some(value);
        if !is("client_id", &known.client_id) || !is("client_secret", &known.client_secret) {
            return refused("incorrect_client_credentials");
        }
        if !is("grant_type", "authorization_code") {
            return refused("unsupported_grant_type");
        }
        if !is("redirect_uri", &known.redirect_url) {
            return refused("redirect_uri_mismatch");
        }
        let code = asked.get("code").unwrap_or_default();
        let verifier = asked.get("code_verifier").unwrap_or_default();
        let token = self.state.lock().codes.exchange(code, verifier);
        let kind = if behaviour == Behaviour::OtherToken {
            "mac"
        } else {
            "bearer"
        };
        match token {
            Some(token) => json!({"access_token": token, "token_type": kind, "scope": ""}),
            None => refused("bad_verification_code"),
        }
    }
}

/// `GET /api/user`
async fn user(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let mut state = shared.state.lock();
    state.profiles += 1;
    if text(header::USER_AGENT).is_none_or(str::is_empty) {
        return (StatusCode::FORBIDDEN, "A user agent is required.").into_response();
    }
    let token = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let person = token.and_then(|token| state.codes.person(token));
    let person = person.and_then(|id| state.people.iter().find(|person| person.id == id));
    match (person, state.behaviour) {
        // The body looks like a profile, to catch a client that ignores the status.
        (None, _) | (_, Behaviour::NoProfile) => {
            let body = json!({"message": "Bad credentials", "id": 1, "login": "decoy"});
            (StatusCode::UNAUTHORIZED, Json(body)).into_response()
        }
        (_, Behaviour::NoMoreProfiles) => {
            let body = json!({"message": "API rate limit exceeded", "id": 1, "login": "decoy"});
            (StatusCode::FORBIDDEN, Json(body)).into_response()
        }
        (Some(person), Behaviour::Nameless) => Json(json!({"login": person.login})).into_response(),
        (Some(person), _) => Json(json!({
            "id": person.id,
            "login": person.login,
            "name": person.name,
            "public_repos": 8,
        }))
        .into_response(),
    }
}

/// Returns the answer of a misbehaviour instead of a token, or `None` for a token.
async fn misbehave(shared: &Shared, behaviour: Behaviour) -> Option<Response> {
    match behaviour {
        Behaviour::Normal
        | Behaviour::OtherToken
        | Behaviour::NoProfile
        | Behaviour::NoMoreProfiles
        | Behaviour::Nameless
        | Behaviour::OtherState
        | Behaviour::NoState => None,
        Behaviour::Slow => {
            tokio::time::sleep(SLOW).await;
            None
        }
        Behaviour::UnknownClient => {
            Some(Json(json!({"error": "incorrect_client_credentials"})).into_response())
        }
        Behaviour::Fail => Some(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
        Behaviour::Busy => Some(StatusCode::TOO_MANY_REQUESTS.into_response()),
        Behaviour::ErrorBody => {
            Some(Json(json!({"error": "bad_verification_code"})).into_response())
        }
        Behaviour::Redirect => Some(Redirect::temporary("/stand-in/elsewhere").into_response()),
        Behaviour::Garbage => Some("<html>not JSON</html>".into_response()),
        Behaviour::Huge => {
            let token = shared.free_token().to_string();
            Some((JSON, token + &" ".repeat(1 << 20)).into_response())
        }
        Behaviour::Array => Some(Json(json!(["bad_verification_code"])).into_response()),
        Behaviour::OtherKind => {
            let kind = [(header::CONTENT_TYPE, "text/a-secret-content-type")];
            Some((kind, shared.free_token().to_string()).into_response())
        }
        Behaviour::HangUp => {
            let broken: Result<Bytes, _> = Err(std::io::Error::other("hung up"));
            let body = Body::from_stream(futures::stream::iter([broken]));
            Some(body.into_response())
        }
    }
}

const JSON: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];

/// The target of redirects, which no client should follow.
async fn astray(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.state.lock().led_astray += 1;
    Json(shared.free_token())
}

impl Shared {
    /// Returns a token for a client that has followed a redirect, or that reads a wrong
    /// answer.
    fn free_token(&self) -> Value {
        let token = self.state.lock().codes.token_of(1);
        json!({"access_token": token, "token_type": "bearer", "scope": ""})
    }
}

/// `POST /stand-in/behaviour`
async fn behave(State(shared): State<Arc<Shared>>, Json(behaviour): Json<Behaviour>) {
    shared.state.lock().behaviour = behaviour;
}

/// `POST /stand-in/person`
async fn know(State(shared): State<Arc<Shared>>, Json(person): Json<Person>) {
    shared.state.lock().know(person);
}

fn refuse(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, pages::refusal(why)).into_response()
}
