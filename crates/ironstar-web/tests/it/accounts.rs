//! Sign-in and sign-out, with a GitHub that follows the protocol, or does not.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use futures::FutureExt;
use futures::future::join_all;
use ironstar_adapters::github::{GitHub, GitHubConfig};
use ironstar_github::{Behaviour, Registration, StandIn};
use ironstar_ports::contract::doubles::ManualClock;
use ironstar_web::{Limits, Site};
use serde_json::{Value, json};

use crate::app::{Setup, TestApp, json as body, text};
use crate::held::HeldStore;
use crate::lists::post;
use crate::sessions::{START, principal};

pub(crate) const SITE: &str = "http://localhost:3000";

fn redirect_url() -> String {
    format!("{SITE}/sign-in/callback")
}

/// An application whose visitors sign in with this GitHub.
pub(crate) fn setup(github: &StandIn) -> Setup {
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
        ..Setup::default()
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
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
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
            limits,
            clock: clock.clone(),
            projections: held.clone(),
            ..setup(&github)
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
        let response = app.form(Request::post("/sign-in"), "then=/lists").await;
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
        assert_eq!(location(&response), "/lists");
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

pub(crate) async fn create_list(app: &TestApp, name: &str) -> String {
    let response = app
        .form(Request::post("/lists"), format!("name={name}"))
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
    let list = create_list(laptop, "Groceries").await;
    world.sign_in(laptop, "octocat").await;
    let user = principal(laptop).await.expect("a user");
    assert!(user.starts_with("user/"), "{user}");
    assert_eq!(name(laptop).await.as_deref(), Some("The Octocat"));
    // A list from before the sign-in is the user's, also on the other device.
    assert_eq!(phone.get(&list).await.status(), StatusCode::NOT_FOUND);
    world.sign_in(phone, "octocat").await;
    assert_eq!(principal(phone).await, Some(user));
    let (status, shown) = page(phone, &list).await;
    assert_eq!(status, StatusCode::OK);
    assert!(shown.contains("Groceries") && shown.contains("The Octocat"));
    let other = world.app.stranger();
    world.sign_in(&other, "hubot").await;
    assert_eq!(other.get(&list).await.status(), StatusCode::NOT_FOUND);
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
    let list = create_list(app, "Mine").await;
    let response = app.form(Request::post("/sign-out"), "").await;
    assert_eq!(location(&response), "/");
    assert_eq!(principal(&signed_in).await, None);
    let after = principal(app).await;
    assert!(after.as_ref().is_some_and(|who| who.starts_with("guest/")));
    // The next visitor in this browser is another guest.
    assert_ne!(after, guest);
    assert_eq!(app.get(&list).await.status(), StatusCode::NOT_FOUND);
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
    let mut before = app.stream("/api/sse/todos", None).await;
    let mut events = app.stream("/api/events", None).await;
    let mut stranger = app.stranger().stream("/api/sse/todos", None).await;
    app.get(&callback).await;
    assert_eq!(before.next_with("soon").await.event, "datastar-reload");
    assert!(before.ends().await && events.ends().await);
    let list = create_list(app, "Mine").await;
    let path = format!("/api/sse/todos?list={}", &list["/lists/".len()..]);
    let mut after = app.stream(&path, None).await;
    app.form(Request::post("/sign-out"), "").await;
    assert_eq!(after.next_with("soon").await.event, "datastar-reload");
    assert!(after.ends().await);
    app.create("Milk").await;
    stranger.next_with("Milk").await;
}

#[tokio::test]
async fn request_that_arrives_completely_after_a_sign_out_has_no_identity() {
    let world = World::new().await;
    let app = &world.app;
    world.sign_in(app, "octocat").await;
    let list = create_list(app, "Mine").await;
    let id = &list["/lists/".len()..];
    let rename = json!({"type": "rename", "id": id, "name": "Late"}).to_string();
    for (path, kind, all) in [
        ("/api/commands/list", "application/json", rename),
        (
            &format!("{list}/rename"),
            "application/x-www-form-urlencoded",
            "name=Late".to_owned(),
        ),
    ] {
        world.sign_in(app, "octocat").await;
        let (rest, body) = futures::channel::oneshot::channel::<Bytes>();
        let body = Body::from_stream(body.into_stream());
        let request = Request::post(path).header(header::CONTENT_TYPE, kind);
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
    assert!(page(app, &list).await.1.contains(">Mine</h1>"));
}

#[tokio::test]
async fn stream_from_before_a_sign_out_shows_nothing_that_happens_after_it() {
    let world = World::new().await;
    let (thief, owner) = (&world.app, world.app.stranger());
    world.sign_in(thief, "octocat").await;
    let list = create_list(thief, "Mine").await;
    let id = &list["/lists/".len()..];
    let path = format!("/api/sse/todos?list={id}");
    let mut stream = thief.stream(&path, None).await;
    stream.next_with("id=\"panel\"").await;
    // The stream is open, and the test does not read it. The list stays the user's.
    let kept = thief.with_cookie(thief.cookie());
    kept.form(Request::post("/sign-out"), "").await;
    world.sign_in(&owner, "octocat").await;
    let rename = json!({"type": "rename", "id": id, "name": "Secret"});
    assert_eq!(post(&owner, "list", rename).await.0, StatusCode::OK);
    let link = json!({"type": "create_link", "id": id, "access": "edit"});
    assert_eq!(post(&owner, "list", link).await.0, StatusCode::OK);
    // The heading and the panel have been drawn by then.
    let mut own = owner.stream(&path, None).await;
    own.next_with("link=").await;
    let rest = stream.rest().await.expect("the stream ends");
    for event in &rest {
        let is_told = event.data.contains("Secret") || event.data.contains("link=");
        assert!(!is_told, "{}", event.data);
    }
    assert!(rest.iter().any(|event| event.event == "datastar-reload"));
}

#[tokio::test]
async fn ids_of_a_command_are_sent_to_its_sender_only() {
    let world = World::new().await;
    let (app, stranger) = (&world.app, world.app.stranger());
    app.form(Request::post("/theme"), "theme=dark").await;
    let create = Request::post("/api/commands/todo")
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", "page.1")
        .header("x-request-id", "request-1")
        .body(
            json!({"type": "create", "text": "The end"})
                .to_string()
                .into(),
        );
    let created = app.send(create.expect("a request")).await;
    assert_eq!(created.status(), StatusCode::OK);
    for (app, is_known) in [(app, true), (&stranger, false)] {
        let told = told(app, "The end").await;
        let metadata = &told.last().expect("an event")["metadata"];
        for (id, value) in [("causation_id", "page.1"), ("correlation_id", "request-1")] {
            let expected = if is_known { json!(value) } else { Value::Null };
            assert_eq!(metadata[id], expected, "{metadata}");
        }
        assert!(metadata["actor"].is_string(), "{metadata}");
    }
}

/// The events that a stream of the whole log sends, up to a todo of this text.
async fn told(app: &TestApp, until: &str) -> Vec<Value> {
    let mut events = app.stream("/api/events?after=0", None).await;
    let mut told = Vec::new();
    loop {
        let event = events.next().await;
        let event: Value = serde_json::from_str(&event.data).expect("JSON");
        let is_last = event["payload"]["text"] == json!(until);
        told.push(event);
        if is_last {
            return told;
        }
    }
}

#[tokio::test]
async fn events_of_a_user_are_sent_to_that_user_only_and_identities_to_no_caller() {
    let world = World::new().await;
    let other = world.app.stranger();
    world.sign_in(&world.app, "octocat").await;
    world.sign_in(&other, "hubot").await;
    other.create("The end").await;
    let log = world.app.store_log().await;
    let of = |types: &[&str]| {
        let events = log.iter().map(|event| &*event.stream.aggregate_type);
        events.filter(|known| types.contains(known)).count()
    };
    assert_eq!((of(&["User"]), of(&["Identity"])), (8, 2));
    let user = principal(&world.app).await.expect("a user");
    for (app, count) in [(&world.app, 4), (&world.app.stranger(), 0)] {
        let told = told(app, "The end").await;
        assert_eq!(told.len(), count + 1, "{told:?}");
        for event in &told[..count] {
            let id = event["aggregate_id"].as_str().expect("an id");
            assert_eq!(format!("user/{id}"), user, "{event}");
        }
    }
}

#[tokio::test]
async fn user_gets_the_events_of_a_list_from_its_hand_over_on() {
    let world = World::new().await;
    let (laptop, phone) = (&world.app, world.app.stranger());
    world.sign_in(laptop, "octocat").await;
    let mut events = laptop.stream("/api/events", None).await;
    let list = create_list(&phone, "Groceries").await;
    let list = &list["/lists/".len()..];
    // The laptop's first event is a later one, so it has got no event of this list.
    phone.create("Milk").await;
    assert!(events.next().await.data.contains("Milk"));
    world.sign_in(&phone, "octocat").await;
    let told = events.next_with("handed_over").await;
    assert!(told.data.contains(list), "{}", told.data);
    let log = phone.store_log().await;
    let handed_over = log.iter().find(|event| event.event_type == "handed_over");
    let actor = &handed_over.expect("in the log").metadata.origin.actor;
    assert!(
        actor
            .as_deref()
            .is_some_and(|actor| actor.starts_with("user/")),
        "{actor:?}"
    );
    let rename = Request::post(format!("/lists/{list}/rename"));
    phone.form(rename, "name=Food").await;
    assert!(events.next().await.data.contains("Food"));
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
async fn visitor_who_signs_out_during_a_sign_in_stays_signed_out() {
    let world = World::new().await;
    let app = &world.app;
    world.sign_in(app, "octocat").await;
    let callback = world.callback(app, "hubot").await;
    let before = app.with_cookie(app.cookie());
    world.github.behave(Behaviour::Late);
    let (late, _) = tokio::join!(before.get(&callback), async {
        while world.github.asked().0 < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        app.form(Request::post("/sign-out"), "").await
    });
    assert_eq!(late.status(), StatusCode::BAD_REQUEST);
    assert!(!late.headers().contains_key(header::SET_COOKIE));
    assert_eq!(name(app).await, None);
    // Of many concurrent sign-outs, one gets a new session.
    world.github.behave(Behaviour::Normal);
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
