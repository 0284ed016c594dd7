//! Sessions: visitors who are recognized again, and visitors who are not.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, Request, StatusCode, header};
use ironstar_adapters::system::SteadyClock;
use ironstar_ports::contract::doubles::ManualClock;
use ironstar_ports::{Clock, SessionStore};
use ironstar_web::{Limits, Site, SiteName};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::app::{STREAM, Setup, TestApp, json as body, text};

/// The time at which the clocks of these tests start.
pub(crate) const START: OffsetDateTime = datetime!(2026-11-29 12:00 UTC);

/// A day, as a clock counts it.
pub(crate) const DAY: Duration = Duration::from_hours(24);

/// The identity of a visitor, by their cookie.
pub(crate) async fn principal(app: &TestApp) -> Option<String> {
    let answer = body(app.get("/api/session").await).await;
    answer["principal"].as_str().map(str::to_owned)
}

pub(crate) async fn begin(app: &TestApp) -> String {
    let request = Request::post("/api/session").body("".into());
    let response = app.send(request.expect("a request")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let set = response.headers()[header::SET_COOKIE]
        .to_str()
        .expect("text");
    set.to_owned()
}

#[tokio::test]
async fn reading_begins_no_session() {
    let app = TestApp::init().await;
    let paths = [
        "/",
        "/notes",
        "/notes/00000000-0000-0000-0000-000000000000",
        "/api/remarks",
        "/api/notes",
        "/api/session",
        "/api/events",
        "/api/sse/notes",
        STREAM,
    ];
    expect_no_session(&app, &paths).await;
    let unknown = app.get("/nowhere").await;
    assert!(!unknown.headers().contains_key(header::SET_COOKIE));
    assert_eq!(app.sessions.count(), 0);
}

/// Checks that reading begins no session, and that a program's command on an aggregate that
/// everyone shares begins none, either.
pub(crate) async fn expect_no_session(app: &TestApp, paths: &[&str]) {
    for path in paths {
        let response = app.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let is_set = response.headers().contains_key(header::SET_COOKIE);
        assert!(!is_set, "{path}");
    }
    app.create("Milk").await;
    assert_eq!(app.sessions.count(), 0);
    assert_eq!(principal(app).await, None);
}

#[tokio::test]
async fn visitor_who_submits_a_form_is_recognized_again() {
    let app = TestApp::init().await;
    let response = app.form(Request::post("/"), "text=Milk").await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(app.sessions.count(), 1);
    let first = principal(&app).await.expect("a guest");
    assert!(first.starts_with("guest/"), "{first}");
    app.form(Request::post("/"), "text=Bread").await;
    assert_eq!(principal(&app).await, Some(first.clone()));
    assert_eq!(app.sessions.count(), 1);
    let stranger = app.stranger();
    begin(&stranger).await;
    assert_ne!(principal(&stranger).await, Some(first.clone()));
    let log = app.store_log().await;
    let actors: Vec<_> = log
        .iter()
        .map(|event| event.metadata.origin.actor.clone())
        .collect();
    assert_eq!(actors, [Some(first.clone()), Some(first)]);
}

#[tokio::test]
async fn a_cookie_is_for_the_server_only_and_sent_over_tls_if_there_is_any() {
    let app = TestApp::init().await;
    let cookie = begin(&app).await;
    let (pair, flags) = cookie.split_once("; ").expect("flags");
    let (name, value) = pair.split_once('=').expect("a value");
    assert_eq!((name, value.len()), ("ironstar_session", 32));
    assert_eq!(flags, "HttpOnly; SameSite=Lax; Path=/; Max-Age=2592000");

    let site = Site {
        name: SiteName::new("library"),
        address: Some("https://example.org".parse().expect("an address")),
    };
    let setup = Setup {
        site,
        ..Setup::default()
    };
    let app = TestApp::with(setup).await;
    let cookie = begin(&app).await;
    let (pair, flags) = cookie.split_once("; ").expect("flags");
    assert!(pair.starts_with("__Host-library_session="), "{pair}");
    assert_eq!(
        flags,
        "HttpOnly; SameSite=Lax; Path=/; Max-Age=2592000; Secure"
    );
    let page = app.get("/").await;
    let strict = &page.headers()[header::STRICT_TRANSPORT_SECURITY];
    assert_eq!(strict, "max-age=31536000");
    let page = text(page).await;
    assert!(page.contains("<title>library · "), "{page}");
}

#[tokio::test]
async fn invalid_cookie_counts_as_no_cookie() {
    let app = TestApp::init().await;
    let mine = begin(&app).await;
    let (pair, _) = mine.split_once(';').expect("a pair");
    let last = if pair.ends_with('A') { "B" } else { "A" };
    let tampered = format!("{}{last}", &pair[..pair.len() - 1]);
    for cookie in [
        "ironstar_session=",
        "ironstar_session=x",
        "ironstar_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        &tampered,
        &format!("{pair}A"),
    ] {
        let cookie = HeaderValue::from_str(cookie).expect("a header");
        let visitor = app.with_cookie(Some(cookie.clone()));
        assert_eq!(visitor.get("/").await.status(), StatusCode::OK);
        assert_eq!(principal(&visitor).await, None, "{cookie:?}");
        // A new session does not take over the bits of the invalid cookie.
        begin(&visitor).await;
        assert_ne!(visitor.cookie(), Some(cookie));
    }
}

#[tokio::test]
async fn store_does_not_contain_the_cookie_of_a_browser() {
    let app = TestApp::init().await;
    let cookie = begin(&app).await;
    let (_, rest) = cookie.split_once('=').expect("a value");
    let value = &rest[..32];
    let kept = format!("{:?}", app.sessions);
    assert!(!kept.contains(value), "{kept}");
    let answer = text(app.get("/api/session").await).await;
    let page = text(app.get("/").await).await;
    assert!(!answer.contains(value) && !page.contains(value));
}

#[tokio::test]
async fn session_lasts_for_thirty_days_after_its_last_use() {
    let clock = ManualClock::at(START);
    let app = TestApp::with(Setup {
        clock: clock.clone(),
        ..Setup::default()
    })
    .await;
    begin(&app).await;
    let who = principal(&app).await;
    for _ in 0..3 {
        clock.pass(29 * DAY);
        let response = app.get("/api/session").await;
        let is_renewed = response.headers().contains_key(header::SET_COOKIE);
        assert!(is_renewed, "the browser gets the renewed cookie");
        assert_eq!(principal(&app).await, who);
    }
    // A session that was just renewed is not written again.
    clock.pass(Duration::from_hours(1));
    let response = app.get("/api/session").await;
    assert!(!response.headers().contains_key(header::SET_COOKIE));
    clock.pass(30 * DAY);
    assert_eq!(principal(&app).await, None);
}

#[tokio::test]
async fn session_outlives_a_clock_that_shows_a_wrong_time() {
    let machine = ManualClock::at(START);
    let app = TestApp::with(Setup {
        clock: Arc::new(SteadyClock::new(machine.clone())),
        ..Setup::default()
    })
    .await;
    begin(&app).await;
    let (who, cookie) = (principal(&app).await, app.cookie());
    for days in [400, -400, -20_000, 20_100] {
        machine.set(machine.now() + time::Duration::days(days));
        assert_eq!(principal(&app).await, who, "after {days} days");
        let added = app.form(Request::post("/"), "text=Milk").await;
        assert_eq!(added.status(), StatusCode::SEE_OTHER);
        assert_eq!(app.cookie(), cookie, "no new session has begun");
    }
}

#[tokio::test]
async fn session_whose_cookie_never_comes_back_expires_soon() {
    let clock = ManualClock::at(START);
    let app = TestApp::with(Setup {
        clock: clock.clone(),
        ..Setup::default()
    })
    .await;
    begin(&app).await;
    // The same holds for a session that was begun and changed in one request.
    let other = app.stranger();
    other.form(Request::post("/theme"), "theme=dark").await;
    clock.pass(Duration::from_mins(61));
    for visitor in [&app, &other] {
        assert_eq!(principal(visitor).await, None);
    }
    assert_eq!(app.sessions.sweep(clock.now()).await.expect("swept"), 2);
}

#[tokio::test]
async fn client_begins_a_limited_number_of_sessions() {
    // The open note needs no session, and a note of the visitor's own does.
    let (open, own) = (("/", "text=Milk"), ("/notes", "text=Mine"));
    expect_session_limit(Setup::default(), open, own).await;
}

/// Checks that a client begins a limited number of sessions. After them, the form of an
/// aggregate that everyone shares is carried out, and that of the visitor's own is refused. A
/// form is an address and its fields.
pub(crate) async fn expect_session_limit(
    site: Setup,
    open: (&str, &'static str),
    own: (&str, &'static str),
) {
    let limits = Limits {
        command_rate: 1_000_000,
        ..Limits::default()
    };
    let app = TestApp::with(Setup { limits, ..site }).await;
    let begin = async || {
        let request = Request::post("/api/session").body("".into());
        let response = app.stranger().send(request.expect("a request")).await;
        response.status()
    };
    for _ in 0..120 {
        assert_eq!(begin().await, StatusCode::OK);
    }
    assert_eq!(begin().await, StatusCode::TOO_MANY_REQUESTS);
    let stranger = app.stranger();
    for ((path, fields), expected) in [
        (open, StatusCode::SEE_OTHER),
        (own, StatusCode::TOO_MANY_REQUESTS),
    ] {
        let answer = stranger.form(Request::post(path), fields).await;
        assert_eq!(answer.status(), expected, "{path}");
    }
    assert_eq!(app.sessions.count(), 120);
}

#[tokio::test]
async fn theme_applies_to_all_pages_of_its_visitor_only() {
    let app = TestApp::init().await;
    let page = text(app.get("/").await).await;
    assert!(page.contains("data-theme=\"auto\""));
    app.form(Request::post("/theme"), "theme=light").await;
    let mut stream = app.stream(STREAM, None).await;
    let mut other = app.stranger().stream(STREAM, None).await;
    let dark = Request::post("/theme").header(header::REFERER, "http://localhost/notes?x=1");
    let response = app.form(dark, "theme=dark").await;
    assert_eq!(response.headers()[header::LOCATION], "/notes?x=1");
    stream.next_with("data-theme=\"dark\"").await;
    assert!(
        text(app.get("/notes").await)
            .await
            .contains("data-theme=\"dark\"")
    );
    let stranger = text(app.stranger().get("/").await).await;
    assert!(stranger.contains("data-theme=\"auto\""));
    // The other visitor's stream gets a later change, and nothing of the theme before it.
    app.create("Milk").await;
    loop {
        let event = other.next_with("id").await;
        assert!(!event.data.contains("themes"), "{}", event.data);
        if event.data.contains("Milk") {
            break;
        }
    }
    let refused = app.form(Request::post("/theme"), "theme=pink").await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn refusal_on_one_page_is_shown_on_the_visitors_other_pages() {
    let app = TestApp::init().await;
    app.form(Request::post("/"), "text=Milk").await;
    let mut stream = app.stream(STREAM, None).await;
    let mut other = app.stranger().stream(STREAM, None).await;
    let unknown = Request::post("/notes/0190a5a1-0000-7000-8000-000000000001");
    app.form(unknown, "text=Tea").await;
    let told = stream.next_with("id=\"notice\"").await;
    assert!(told.data.contains("There is no such note"), "{}", told.data);
    app.form(Request::post("/"), "text=Bread").await;
    let told = stream.next_with("id=\"notice\"").await;
    assert!(!told.data.contains("no such note"), "the notice is gone");
    loop {
        let event = other.next_with("id").await;
        assert!(!event.data.contains("notice"), "{}", event.data);
        if event.data.contains("Bread") {
            break;
        }
    }
}
