//! Sign-in and sign-out, with a GitHub that follows the protocol, or does not.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use futures::FutureExt;
use futures::future::join_all;
use ironstar_adapters::github::{GitHub, GitHubConfig};
use ironstar_github::{Registration, StandIn};
use ironstar_ports::contract::doubles::ManualClock;
use ironstar_web::Site;
use serde_json::json;

use crate::app::{STREAM, Setup, TestApp, json as body, text};
use crate::held::HeldStore;
use crate::kinds::{Kind, NOTE, at};
use crate::sessions::{START, principal};

pub(crate) const SITE: &str = "http://localhost:3000";

fn redirect_url() -> String {
    format!("{SITE}/sign-in/callback")
}

/// An application whose visitors sign in with this GitHub. `base` has its other settings.
pub(crate) fn setup(github: &StandIn, base: Setup) -> Setup {
    let provider = GitHub::new(GitHubConfig {
        client_id: "ironstar".to_owned(),
        client_secret: "secret".to_owned(),
        authorize_url: github.authorize_url(),
        token_url: github.token_url(),
        api_url: github.api_url(),
        redirect_url: redirect_url(),
        patience: Duration::from_millis(1_000),
    });
    Setup {
        site: Site {
            address: Some(SITE.parse().expect("an address")),
            ..Site::default()
        },
        identities: Some(Arc::new(provider.expect("a configuration"))),
        ..base
    }
}

/// An application, and a GitHub to sign in with.
pub(crate) struct World {
    pub(crate) app: TestApp,
    pub(crate) github: StandIn,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) held: Arc<HeldStore>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::on(Setup::default()).await
    }

    /// An application with these settings.
    pub(crate) async fn on(base: Setup) -> Self {
        let registration = Registration {
            client_id: "ironstar".to_owned(),
            client_secret: "secret".to_owned(),
            redirect_url: redirect_url(),
        };
        let github = StandIn::start(registration)
            .await
            .expect("the stand-in starts");
        let clock = ManualClock::at(START);
        let held = Arc::new(HeldStore::default());
        let app = TestApp::with(Setup {
            clock: clock.clone(),
            projections: held.clone(),
            ..setup(&github, base)
        })
        .await;
        Self {
            app,
            github,
            clock,
            held,
        }
    }

    /// Begins a sign-in, and returns the address that the browser is sent to.
    pub(crate) async fn begin(&self, app: &TestApp) -> String {
        let response = app.form(Request::post("/sign-in"), "then=/notes").await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        location(&response)
    }

    /// The address that GitHub sends the browser back to after the visitor has agreed.
    pub(crate) async fn callback(&self, app: &TestApp, login: &str) -> String {
        let address = self.begin(app).await;
        let back = self.github.authorize(&address, login);
        let back = back.expect("the request is valid");
        back.strip_prefix(SITE)
            .expect("the address is of this site")
            .to_owned()
    }

    pub(crate) async fn sign_in(&self, app: &TestApp, login: &str) {
        let callback = self.callback(app, login).await;
        let response = app.get(&callback).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(location(&response), "/notes");
    }
}

pub(crate) fn location(response: &Response) -> String {
    let location = response.headers()[header::LOCATION].to_str();
    location.expect("text").to_owned()
}

pub(crate) async fn name(app: &TestApp) -> Option<String> {
    let answer = body(app.get("/api/session").await).await;
    answer["name"].as_str().map(str::to_owned)
}

/// Creates a note of the visitor's by a form, and returns the address of its page.
pub(crate) async fn create_note(app: &TestApp, text: &str) -> String {
    let response = app
        .form(Request::post("/notes"), format!("text={text}"))
        .await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    location(&response)
}

/// The status and the text of a page, as a browser asks for it.
pub(crate) async fn page(app: &TestApp, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).header(header::ACCEPT, "text/html");
    let response = app.send(request.body("".into()).expect("a request")).await;
    (response.status(), text(response).await)
}

#[tokio::test]
async fn user_is_the_same_on_every_device() {
    let world = World::new().await;
    let (laptop, phone) = (&world.app, &world.app.stranger());
    let note = create_note(laptop, "Groceries").await;
    world.sign_in(laptop, "octocat").await;
    let user = principal(laptop).await.expect("a user");
    assert!(user.starts_with("user/"), "{user}");
    assert_eq!(name(laptop).await.as_deref(), Some("The Octocat"));
    // A note from before the sign-in is the user's, also on the other device.
    assert_eq!(phone.get(&note).await.status(), StatusCode::NOT_FOUND);
    world.sign_in(phone, "octocat").await;
    assert_eq!(principal(phone).await, Some(user));
    let (status, shown) = page(phone, &note).await;
    assert_eq!(status, StatusCode::OK);
    assert!(shown.contains("Groceries") && shown.contains("The Octocat"));
    let other = world.app.stranger();
    world.sign_in(&other, "hubot").await;
    assert_eq!(other.get(&note).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn concurrent_first_sign_ins_make_one_user() {
    let world = World::new().await;
    let devices: Vec<TestApp> = (0..8).map(|_| world.app.stranger()).collect();
    join_all(
        devices
            .iter()
            .map(|device| world.sign_in(device, "octocat")),
    )
    .await;
    let mut users = join_all(devices.iter().map(principal)).await;
    users.dedup();
    assert_eq!(users.len(), 1, "{users:?}");
    let log = world.app.store_log().await;
    let registered = log.iter().filter(|event| event.event_type == "registered");
    assert_eq!(registered.count(), 1);
}

#[tokio::test]
async fn a_session_has_new_bits_after_signing_in_and_out() {
    let world = World::new().await;
    let app = &world.app;
    let callback = world.callback(app, "octocat").await;
    // An attacker who knows the old cookie does not know the new one.
    let fixed = app.with_cookie(app.cookie());
    let guest = principal(&fixed).await;
    assert!(guest.is_some());
    app.get(&callback).await;
    assert!(
        principal(app)
            .await
            .is_some_and(|who| who.starts_with("user/"))
    );
    assert_ne!(app.cookie(), fixed.cookie());
    assert_eq!(principal(&fixed).await, None);

    let signed_in = app.with_cookie(app.cookie());
    let note = create_note(app, "Mine").await;
    let response = app.form(Request::post("/sign-out"), "").await;
    assert_eq!(location(&response), "/");
    assert_eq!(principal(&signed_in).await, None);
    let after = principal(app).await;
    assert!(after.as_ref().is_some_and(|who| who.starts_with("guest/")));
    // The next visitor in this browser is another guest.
    assert_ne!(after, guest);
    assert_eq!(app.get(&note).await.status(), StatusCode::NOT_FOUND);
    let log = app.store_log().await;
    let last = log.last().expect("an event");
    assert_eq!(last.event_type, "signed_out");
}

#[tokio::test]
async fn stream_of_events_ends_when_its_visitors_identity_changes() {
    let world = World::new().await;
    let app = &world.app;
    let callback = world.callback(app, "octocat").await;
    // The visitor has no other stream open.
    let mut before = app.stream("/api/events", None).await;
    app.create("Milk").await;
    before.next_with("Milk").await;
    app.get(&callback).await;
    assert!(before.ends().await);
    let mut after = app.stream("/api/events", None).await;
    app.create("Bread").await;
    after.next_with("Bread").await;
    app.form(Request::post("/sign-out"), "").await;
    assert!(after.ends().await);
}

#[tokio::test]
async fn streams_of_pages_end_when_their_visitors_identity_changes() {
    let world = World::new().await;
    let app = &world.app;
    let callback = world.callback(app, "octocat").await;
    let mut before = app.stream(STREAM, None).await;
    let mut events = app.stream("/api/events", None).await;
    let mut stranger = app.stranger().stream(STREAM, None).await;
    app.get(&callback).await;
    assert_eq!(before.next_with("soon").await.event, "datastar-reload");
    assert!(before.ends().await && events.ends().await);
    let note = create_note(app, "Mine").await;
    let path = format!("/api/sse{note}");
    let mut after = app.stream(&path, None).await;
    app.form(Request::post("/sign-out"), "").await;
    assert_eq!(after.next_with("soon").await.event, "datastar-reload");
    assert!(after.ends().await);
    app.create("Milk").await;
    stranger.next_with("Milk").await;
}

#[tokio::test]
async fn request_that_arrives_completely_after_a_sign_out_has_no_identity() {
    refuse_late_requests(&NOTE, NOTE.form).await;
}

/// Checks that a command or a form for an aggregate is refused if it arrives completely after
/// its sender has signed out.
pub(crate) async fn refuse_late_requests(kind: &Kind, form: &str) {
    let world = World::on((kind.setup)()).await;
    let app = &world.app;
    world.sign_in(app, "octocat").await;
    let id = kind.create(app, "Mine").await;
    let late = json!({"type": kind.rewrite, "id": id, kind.text: "Late"}).to_string();
    for (path, content, all) in [
        (
            format!("/api/commands/{}", kind.name),
            "application/json",
            late,
        ),
        (
            at(form, &id, None),
            "application/x-www-form-urlencoded",
            format!("{}=Late", kind.text),
        ),
    ] {
        world.sign_in(app, "octocat").await;
        let (rest, body) = futures::channel::oneshot::channel::<Bytes>();
        let body = Body::from_stream(body.into_stream());
        let request = Request::post(&path).header(header::CONTENT_TYPE, content);
        let request = request.header(header::COOKIE, app.cookie().expect("a cookie"));
        let sending = app.stranger();
        let sending = sending.send(request.body(body).expect("a request"));
        let signing_out = async {
            // The server has the head of the request by now.
            tokio::time::sleep(Duration::from_millis(50)).await;
            app.form(Request::post("/sign-out"), "").await;
            rest.send(all.into())
                .expect("the server waits for the body");
        };
        let (answer, ()) = futures::join!(sending, signing_out);
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
    world.sign_in(app, "octocat").await;
    let (_, shown) = page(app, &at(kind.page, &id, None)).await;
    assert!(
        shown.contains(">Mine<") && !shown.contains("Late"),
        "{shown}"
    );
}

#[tokio::test]
async fn stream_from_before_a_sign_out_shows_nothing_that_happens_after_it() {
    let world = World::new().await;
    let (thief, owner) = (&world.app, world.app.stranger());
    world.sign_in(thief, "octocat").await;
    let note = create_note(thief, "Mine").await;
    let id = &note["/notes/".len()..];
    let path = format!("/api/sse{note}");
    let mut stream = thief.stream(&path, None).await;
    stream.next_with("Mine").await;
    // The stream is open, and the test does not read it. The note stays the user's.
    let kept = thief.with_cookie(thief.cookie());
    kept.form(Request::post("/sign-out"), "").await;
    world.sign_in(&owner, "octocat").await;
    let rewrite = json!({"type": "rewrite", "id": id, "text": "Secret"});
    assert_eq!(owner.post("note", rewrite).await.0, StatusCode::OK);
    // The change has been drawn by then.
    let mut own = owner.stream(&path, None).await;
    own.next_with("Secret").await;
    let rest = stream.rest().await.expect("the stream ends");
    for event in &rest {
        assert!(!event.data.contains("Secret"), "{}", event.data);
    }
    assert!(rest.iter().any(|event| event.event == "datastar-reload"));
}

#[tokio::test]
async fn theme_stays_the_same_when_a_visitor_signs_in_and_out() {
    let world = World::new().await;
    let app = &world.app;
    app.form(Request::post("/theme"), "theme=dark").await;
    let is_dark = async || page(app, "/").await.1.contains("data-theme=\"dark\"");
    assert!(is_dark().await);
    world.sign_in(app, "octocat").await;
    assert!(is_dark().await);
    app.form(Request::post("/sign-out"), "").await;
    assert!(is_dark().await);
}

#[tokio::test]
async fn one_of_many_concurrent_sign_outs_begins_a_session() {
    let world = World::new().await;
    let app = &world.app;
    world.sign_in(app, "octocat").await;
    let count = app.sessions.count();
    let all = [0; 8].map(|_| app.with_cookie(app.cookie()));
    let outs = all
        .iter()
        .map(|app| app.form(Request::post("/sign-out"), ""));
    let answers = join_all(outs).await;
    let new = answers
        .iter()
        .filter(|answer| answer.headers().contains_key(header::SET_COOKIE));
    assert_eq!(new.count(), 1);
    assert_eq!(app.sessions.count(), count);
}
