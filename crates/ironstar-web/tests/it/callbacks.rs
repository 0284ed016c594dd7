//! The way to a provider and back, by visitors who follow the protocol and by attackers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::{Request, StatusCode, header};
use futures::future::join_all;
use ironstar_github::Behaviour;
use ironstar_ports::{
    IdentityError, IdentityProfile, IdentityProvider, PkceVerifier, SignInRequest,
};

use crate::accounts::{SITE, World, location, name, page, setup};
use crate::app::{Setup, TestApp, json as body, text};
use crate::held::Held;
use crate::sessions::principal;

/// The deadline for what must happen soon.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn callback_is_valid_once_soon_and_in_the_browser_that_began() {
    let world = World::new().await;
    let app = &world.app;
    let refused = async |app: &TestApp, callback: &str| {
        let before = app.cookie();
        let (status, shown) = page(app, callback).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{callback}");
        assert!(shown.contains("cannot be finished"), "{shown}");
        assert_eq!(app.cookie(), before);
        assert_eq!(name(app).await, None);
    };
    // Two other browsers, one with a session of its own and one without.
    let (known, unknown) = (app.stranger(), app.stranger());
    known.form(Request::post("/theme"), "theme=dark").await;
    let callback = world.callback(app, "octocat").await;
    refused(&unknown, &callback).await;
    refused(&known, &callback).await;
    // The visitor that it was stolen from must begin again.
    refused(app, &callback).await;
    let callback = world.callback(app, "octocat").await;
    world.clock.pass(Duration::from_mins(11));
    refused(app, &callback).await;
    for forged in [
        "/sign-in/callback",
        "/sign-in/callback?code=x",
        "/sign-in/callback?code=x&state=",
        "/sign-in/callback?code=x&state=made-up",
        "/sign-in/callback?state=a&state=b",
    ] {
        refused(app, forged).await;
    }
    let callback = world.callback(app, "octocat").await;
    assert_eq!(app.get(&callback).await.status(), StatusCode::SEE_OTHER);
    let (status, _) = page(app, &callback).await;
    assert_eq!(
        status,
        StatusCode::BAD_REQUEST,
        "the callback is valid once"
    );
    assert!(name(app).await.is_some(), "the visitor stays signed in");
}

#[tokio::test]
async fn second_try_leads_to_the_page_of_the_first() {
    let world = World::new().await;
    let app = &world.app;
    let then = |shown: &str| {
        let (_, rest) = shown.split_once("name=\"then\" value=\"").expect("a form");
        rest.split('"').next().expect("its value").to_owned()
    };
    world.github.behave(Behaviour::Fail);
    let callback = world.callback(app, "octocat").await;
    let (_, shown) = page(app, &callback).await;
    assert_eq!(then(&shown), "/notes");
    // A callback that was used once names no page to return to.
    let (_, shown) = page(app, &callback).await;
    assert_eq!(then(&shown), "/");
}

#[tokio::test]
async fn visitors_sign_in_at_the_public_address_only() {
    let world = World::new().await;
    let begin = async |origin: &str| {
        let host = origin.strip_prefix("http://").expect("a host");
        let request = Request::post("/sign-in")
            .header(header::ORIGIN, origin)
            .header(header::HOST, host);
        world.app.form(request, "").await
    };
    assert_eq!(begin(SITE).await.status(), StatusCode::SEE_OTHER);
    let elsewhere = begin("http://127.0.0.1:3000").await;
    assert_eq!(elsewhere.status(), StatusCode::BAD_REQUEST);
    let problem = body(elsewhere).await;
    assert_eq!(problem["type"], "/problems/sign-in-elsewhere");
    let detail = problem["detail"].as_str().expect("text");
    assert!(detail.contains(SITE), "{detail}");
    let person = Request::post("/sign-in")
        .header(header::ORIGIN, "http://127.0.0.1:3000")
        .header(header::HOST, "127.0.0.1:3000")
        .header(header::ACCEPT, "text/html");
    let shown = text(world.app.form(person, "").await).await;
    assert!(shown.contains(&format!("href=\"{SITE}\"")), "{shown}");
}

#[tokio::test]
async fn page_of_an_unknown_note_says_what_may_help() {
    let world = World::new().await;
    let unknown = "/notes/019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e";
    let (_, shown) = page(&world.app, unknown).await;
    assert!(shown.contains("If it is yours, sign in."), "{shown}");
    world.sign_in(&world.app, "octocat").await;
    let (_, shown) = page(&world.app, unknown).await;
    assert!(!shown.contains("sign in.") && shown.contains("ask for a new link"));
}

#[tokio::test]
async fn client_without_a_session_writes_nothing() {
    let world = World::new().await;
    let callback = world.callback(&world.app, "octocat").await;
    let stranger = world.app.stranger();
    let response = stranger.get(&callback).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let head = Request::head(&callback).body("".into()).expect("a request");
    let response = world.app.send(head).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    // The callback is still valid.
    let response = world.app.get(&callback).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn page_refers_to_the_operator_if_github_does_not_know_the_site() {
    let world = World::new().await;
    world.github.behave(Behaviour::UnknownClient);
    let callback = world.callback(&world.app, "octocat").await;
    let (status, shown) = page(&world.app, &callback).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        shown.contains("Please tell the operator of this site"),
        "{shown}"
    );
}

#[tokio::test]
async fn one_of_two_concurrent_uses_of_a_callback_signs_in() {
    let world = World::new().await;
    let callback = world.callback(&world.app, "octocat").await;
    let both = [1, 2].map(|_| world.app.with_cookie(world.app.cookie()));
    let answers = join_all(both.iter().map(|app| app.get(&callback))).await;
    let mut statuses: Vec<_> = answers
        .iter()
        .map(|answer| answer.status().as_u16())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 400]);
    assert_eq!(world.github.asked().0, 1, "GitHub is asked once");
}

#[tokio::test]
async fn every_failure_of_the_provider_leads_to_a_page_and_changes_nothing() {
    let world = World::new().await;
    let app = &world.app;
    for (behaviour, status, said) in [
        (Behaviour::ErrorBody, 400, "does not accept this sign-in"),
        (Behaviour::Fail, 502, "cannot be reached"),
        (Behaviour::Busy, 502, "cannot be reached"),
        (Behaviour::HangUp, 502, "cannot be reached"),
        (Behaviour::Slow, 504, "did not answer in time"),
        (Behaviour::Garbage, 502, "is invalid"),
        (Behaviour::Huge, 502, "is invalid"),
        (Behaviour::Redirect, 502, "is invalid"),
        (Behaviour::NoProfile, 502, "is invalid"),
        (Behaviour::NoMoreProfiles, 502, "cannot be reached"),
        (Behaviour::OtherState, 400, "cannot be finished"),
        (Behaviour::NoState, 400, "cannot be finished"),
    ] {
        world.github.behave(behaviour);
        let callback = world.callback(app, "octocat").await;
        let (before, who) = (app.cookie(), principal(app).await);
        let (actual, shown) = page(app, &callback).await;
        assert_eq!(actual.as_u16(), status, "{behaviour:?}: {shown}");
        assert!(shown.contains(said), "{behaviour:?}: {shown}");
        assert_eq!(app.cookie(), before, "{behaviour:?}");
        assert_eq!(principal(app).await, who, "{behaviour:?}");
    }
    assert!(app.store_log().await.is_empty());
    world.github.behave(Behaviour::Normal);
    world.sign_in(app, "octocat").await;
}

#[tokio::test]
async fn visitor_who_declines_is_not_signed_in() {
    let world = World::new().await;
    let app = &world.app;
    let state = async || {
        let address = world.begin(app).await;
        let (_, rest) = address.split_once("state=").expect("a state");
        rest.split('&').next().expect("its value").to_owned()
    };
    let denied = format!(
        "/sign-in/callback?error=access_denied&state={}",
        state().await
    );
    let (status, shown) = page(app, &denied).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(shown.contains("you are not signed in"), "{shown}");
    let other = format!(
        "/sign-in/callback?error=%3Cscript%3E&state={}",
        state().await
    );
    let (status, shown) = page(app, &other).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(shown.contains("has refused") && !shown.contains("<script>alert"));
    assert_eq!(name(app).await, None);
    assert_eq!(world.github.asked(), (0, 0));
}

#[tokio::test]
async fn other_sites_neither_sign_in_nor_out_nor_lead_elsewhere() {
    let world = World::new().await;
    let app = &world.app;
    for path in ["/sign-in", "/sign-out", "/theme"] {
        let request = Request::post(path).header("sec-fetch-site", "cross-site");
        let response = app.form(request, "theme=dark").await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
        let by_get = app.get(path).await.status();
        assert_eq!(by_get, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    assert_eq!(app.sessions.count(), 0);
    let begin = app
        .form(Request::post("/sign-in"), "then=//evil.test/")
        .await;
    let back = world.github.authorize(&location(&begin), "octocat");
    let callback = back.expect("the request is valid");
    let response = app
        .get(callback.strip_prefix(SITE).expect("a path of this site"))
        .await;
    assert_eq!(location(&response), "/");
}

/// A provider whose next answer waits for the test, if the test says so.
#[derive(Debug)]
struct HeldProvider {
    inner: Arc<dyn IdentityProvider>,
    held: Mutex<Option<Held>>,
}

#[async_trait]
impl IdentityProvider for HeldProvider {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn origin(&self) -> &str {
        self.inner.origin()
    }

    fn begin(&self) -> SignInRequest {
        self.inner.begin()
    }

    async fn finish(
        &self,
        code: &str,
        verifier: &PkceVerifier,
    ) -> Result<IdentityProfile, IdentityError> {
        let answer = self.inner.finish(code, verifier).await;
        let held = self.held.lock().expect("the lock is not poisoned").take();
        if let Some(held) = held {
            held.wait().await;
        }
        answer
    }
}

#[tokio::test]
async fn visitor_who_signs_out_during_a_sign_in_stays_signed_out() {
    let world = World::new().await;
    let setup = setup(&world.github, Setup::default());
    let provider = Arc::new(HeldProvider {
        inner: setup.identities.clone().expect("a provider"),
        held: Mutex::default(),
    });
    let app = &TestApp::with(Setup {
        identities: Some(provider.clone()),
        ..setup
    })
    .await;
    world.sign_in(app, "octocat").await;
    let callback = world.callback(app, "hubot").await;
    let (held, has_answered, holder) = Held::new();
    *provider.held.lock().expect("the lock is not poisoned") = Some(held);
    let tab = app.with_cookie(app.cookie());
    let (late, ()) = tokio::join!(tab.get(&callback), async {
        let has_answered = tokio::time::timeout(SOON, has_answered).await;
        let has_answered = has_answered.expect("the provider is asked in time");
        has_answered.expect("the provider is asked");
        app.form(Request::post("/sign-out"), "").await;
        drop(holder);
    });
    assert_eq!(late.status(), StatusCode::BAD_REQUEST);
    assert!(!late.headers().contains_key(header::SET_COOKIE));
    assert_eq!(name(app).await, None);
    // A process manager may add events of its own.
    let log = app.store_log().await;
    let mut of_user = log.iter().filter(|it| it.stream.aggregate_type == "User");
    let last = of_user.next_back().expect("an event");
    assert_eq!(last.event_type, "signed_out", "no sign-in is recorded");
}
