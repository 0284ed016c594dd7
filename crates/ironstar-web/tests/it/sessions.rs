//! Sessions: visitors who are recognized again, and visitors who are not.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, Request, StatusCode, header};
use ironstar_adapters::system::SteadyClock;
use ironstar_ports::contract::doubles::ManualClock;
use ironstar_ports::{Clock, SessionStore};
use ironstar_web::{Limits, Site};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::app::{Setup, TestApp, json as body, text};
use crate::held::{HeldStore, Hold};
use crate::lists::{list, post};

/// The time at which the clocks of these tests start.
pub(crate) const START: OffsetDateTime = datetime!(2026-11-29 12:00 UTC);

/// A day, as a clock counts it.
pub(crate) const DAY: Duration = Duration::from_hours(24);

/// The identity of a visitor, by their cookie.
pub(crate) async fn principal(app: &TestApp) -> Option<String> {
    let answer = body(app.get("/api/session").await).await;
    answer["principal"].as_str().map(str::to_owned)
}

async fn begin(app: &TestApp) -> String {
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
    for path in [
        "/",
        "/active",
        "/lists",
        "/lists/shared",
        "/api/todos",
        "/api/lists",
        "/api/session",
        "/api/events",
        "/api/sse/todos",
        "/nowhere",
    ] {
        let response = app.get(path).await;
        assert!(
            !response.headers().contains_key(header::SET_COOKIE),
            "{path}"
        );
    }
    // A program's command on the shared list begins no session, either.
    app.create("Milk").await;
    assert_eq!(app.sessions.count(), 0);
    assert_eq!(principal(&app).await, None);
}

#[tokio::test]
async fn visitor_who_submits_a_form_is_recognized_again() {
    let app = TestApp::init().await;
    let response = app.form(Request::post("/todos"), "text=Milk").await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(app.sessions.count(), 1);
    let first = principal(&app).await.expect("a guest");
    assert!(first.starts_with("guest/"), "{first}");
    app.form(Request::post("/todos"), "text=Bread").await;
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
        address: Some("https://example.org".parse().expect("an address")),
        ..Site::default()
    };
    let setup = Setup {
        site,
        ..Setup::default()
    };
    let app = TestApp::with(setup).await;
    let cookie = begin(&app).await;
    let (pair, flags) = cookie.split_once("; ").expect("flags");
    assert!(pair.starts_with("__Host-ironstar_session="), "{pair}");
    assert_eq!(
        flags,
        "HttpOnly; SameSite=Lax; Path=/; Max-Age=2592000; Secure"
    );
    let page = app.get("/").await;
    let strict = &page.headers()[header::STRICT_TRANSPORT_SECURITY];
    assert_eq!(strict, "max-age=31536000");
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
        let added = app.form(Request::post("/todos"), "text=Milk").await;
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
    let limits = Limits {
        command_rate: 1_000_000,
        ..Limits::default()
    };
    let app = TestApp::with_limits(limits).await;
    let begin = async || {
        let request = Request::post("/api/session").body("".into());
        let response = app.stranger().send(request.expect("a request")).await;
        response.status()
    };
    for _ in 0..120 {
        assert_eq!(begin().await, StatusCode::OK);
    }
    assert_eq!(begin().await, StatusCode::TOO_MANY_REQUESTS);
    // The shared list needs no session, and a list of the visitor's own does.
    let stranger = app.stranger();
    let added = stranger.form(Request::post("/todos"), "text=Milk").await;
    assert_eq!(added.status(), StatusCode::SEE_OTHER);
    let list = stranger.form(Request::post("/lists"), "name=Mine").await;
    assert_eq!(list.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(app.sessions.count(), 120);
}

#[tokio::test]
async fn theme_applies_to_all_pages_of_its_visitor_only() {
    let app = TestApp::init().await;
    let page = text(app.get("/").await).await;
    assert!(page.contains("data-theme=\"auto\""));
    app.form(Request::post("/theme"), "theme=light").await;
    let mut stream = app.stream("/api/sse/todos", None).await;
    let mut other = app.stranger().stream("/api/sse/todos", None).await;
    let dark = Request::post("/theme").header(header::REFERER, "http://localhost/lists?x=1");
    let response = app.form(dark, "theme=dark").await;
    assert_eq!(response.headers()[header::LOCATION], "/lists?x=1");
    stream.next_with("data-theme=\"dark\"").await;
    assert!(
        text(app.get("/lists").await)
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
    app.form(Request::post("/todos"), "text=Milk").await;
    let mut stream = app.stream("/api/sse/todos", None).await;
    let mut other = app.stranger().stream("/api/sse/todos", None).await;
    let datastar = || Request::post("/todos").header("datastar-request", "true");
    app.form(datastar(), "text=%07").await;
    let told = stream.next_with("id=\"notice\"").await;
    assert!(
        told.data.contains("without control characters"),
        "{}",
        told.data
    );
    app.form(datastar(), "text=Bread").await;
    let told = stream.next_with("id=\"notice\"").await;
    assert!(!told.data.contains("control"), "the notice is gone");
    loop {
        let event = other.next_with("id").await;
        assert!(!event.data.contains("notice"), "{}", event.data);
        if event.data.contains("Bread") {
            break;
        }
    }
}

#[tokio::test]
async fn presence_counts_visitors_and_not_their_pages() {
    let app = TestApp::init().await;
    begin(&app).await;
    let mut one = app.stream("/api/sse/todos", None).await;
    let _same = app.stream("/api/sse/todos", None).await;
    assert!(one.next_presence().await.data.contains("Only you are here"));
    let _other = app.stranger().stream("/api/sse/todos", None).await;
    let told = one.next_presence().await.data;
    assert!(told.contains("2 people are here"), "{told}");
}

#[tokio::test]
async fn own_start_page_begins_with_the_first_todo() {
    let site = Site {
        home: ironstar_web::Home::Own,
        ..Site::default()
    };
    let setup = Setup {
        site,
        ..Setup::default()
    };
    let app = TestApp::with(setup).await;
    let page = text(app.get("/").await).await;
    assert!(
        page.contains("Your own list") && page.contains("action=\"/first\""),
        "{page}"
    );
    assert_eq!(app.sessions.count(), 0);
    let blank = app.form(Request::post("/first"), "text=%07").await;
    assert_eq!(blank.status(), StatusCode::BAD_REQUEST);
    let added = app.form(Request::post("/first"), "text=Milk").await;
    assert_eq!(added.headers()[header::LOCATION], "/");
    let page = text(app.get("/").await).await;
    assert!(
        page.contains("Milk") && page.contains("/api/sse/todos?list="),
        "{page}"
    );
    let again = app.form(Request::post("/first"), "text=Bread").await;
    assert_eq!(again.status(), StatusCode::SEE_OTHER);
    let lists: Value = body(app.get("/api/lists").await).await;
    assert_eq!(lists["open"].as_array().map(Vec::len), Some(1), "{lists}");
    let stranger = text(app.stranger().get("/").await).await;
    assert!(!stranger.contains("Milk"));
    // The shared list still exists, and links to its own parts.
    let shared = text(app.get("/lists/shared").await).await;
    assert!(shared.contains("href=\"/lists/shared/active\""), "{shared}");
    assert_eq!(lists["open"][0]["owner"], json!(principal(&app).await));
}

#[tokio::test]
async fn start_page_without_a_list_reloads_when_its_visitor_has_one() {
    let app = TestApp::init().await;
    begin(&app).await;
    let (stranger, unknown) = (app.stranger(), app.stranger());
    begin(&stranger).await;
    let mut mine = app.stream("/api/sse/first", None).await;
    let mut others = stranger.stream("/api/sse/first", None).await;
    let mut unknowns = unknown.stream("/api/sse/first", None).await;
    list(&stranger, "Theirs").await;
    assert_eq!(others.next().await.event, "datastar-reload");
    assert!(others.ends().await);
    app.form(Request::post("/theme"), "theme=dark").await;
    mine.next_with("data-theme=\"dark\"").await;
    let id = list(&app, "Mine").await;
    assert_eq!(mine.next().await.event, "datastar-reload");
    // A visitor who has a list is told at once, and again when an archived one is restored.
    let mut late = app.stream("/api/sse/first", None).await;
    assert_eq!(late.next().await.event, "datastar-reload");
    let archive = json!({"type": "archive", "id": id});
    assert_eq!(post(&app, "list", archive).await.0, StatusCode::OK);
    let mut mine = app.stream("/api/sse/first", None).await;
    let restore = json!({"type": "restore", "id": id});
    assert_eq!(post(&app, "list", restore).await.0, StatusCode::OK);
    assert_eq!(mine.next().await.event, "datastar-reload");
    app.shutdown.cancel();
    assert_eq!(unknowns.rest().await.map(|rest| rest.len()), Some(0));
}

#[tokio::test]
async fn first_list_is_created_once_by_concurrent_requests() {
    let site = Site {
        home: ironstar_web::Home::Own,
        ..Site::default()
    };
    let held = Arc::new(HeldStore::default());
    let app = TestApp::with(Setup {
        site,
        projections: held.clone(),
        ..Setup::default()
    })
    .await;
    begin(&app).await;
    let page = text(app.get("/").await).await;
    let (_, key) = page.split_once("name=\"key\" value=\"").expect("a key");
    let key = key.split('"').next().expect("its end");
    assert!(!key.is_empty());
    let first = || app.form(Request::post("/first"), format!("text=Milk&key={key}"));
    // The first request finds no list, and creates one after the second request has.
    let (mut is_read, holder) = held.hold(Hold::After);
    let other = async {
        is_read.recv().await.expect("the lists are read");
        let other = first().await;
        drop(holder);
        other
    };
    let (late, early) = tokio::join!(first(), other);
    for answer in [late, early] {
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    }
    let lists: Value = body(app.get("/api/lists").await).await;
    assert_eq!(lists["open"].as_array().map(Vec::len), Some(1), "{lists}");
    let page = text(app.get("/").await).await;
    assert_eq!(page.matches(">Milk</label>").count(), 1, "{page}");

    // An archived list is kept, and the next first list is another one.
    let id = lists["open"][0]["id"].as_str().expect("an id");
    app.form(Request::post(format!("/lists/{id}/archive")), "")
        .await;
    let page = text(app.get("/").await).await;
    assert!(page.contains("Your list was archived"), "{page}");
    app.form(Request::post("/first"), "text=Bread").await;
    let page = text(app.get("/").await).await;
    assert!(page.contains(">Bread</label>") && !page.contains(">Milk</label>"));
    let lists: Value = body(app.get("/api/lists").await).await;
    assert_ne!(lists["open"][0]["id"], json!(id));
}
