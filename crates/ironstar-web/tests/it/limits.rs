//! Limits for clients: commands, streams, and bodies that arrive slowly.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, Request, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures::{StreamExt, stream};
use ironstar_ports::Position;
use ironstar_web::Limits;

use crate::app::{COMMAND, STREAM, TestApp, json, text};

const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

/// More commands than a burst and its refill during the test, on any machine.
const MANY: usize = 100_000;

pub(crate) fn limits() -> Limits {
    Limits {
        command_rate: 20,
        streams_per_client: 2,
        ..Limits::default()
    }
}

/// The same request, from this address.
pub(crate) fn from(peer: &str, request: Request<Body>) -> Request<Body> {
    let mut request = request;
    let peer = SocketAddr::new(peer.parse().expect("an address"), 4711);
    request.extensions_mut().insert(ConnectInfo(peer));
    let headers = request.headers_mut();
    headers
        .entry(header::HOST)
        .or_insert("localhost".parse().expect("a host"));
    request
}

/// A command without a content type. It is refused with 415, unless the limit refuses it.
fn nonsense() -> Request<Body> {
    Request::post(COMMAND)
        .body(Body::empty())
        .expect("a request")
}

fn form() -> axum::http::request::Builder {
    Request::post("/").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
}

/// Sends commands from an address until the limit refuses one, and returns the number of
/// those before it.
async fn exhaust(app: &TestApp, peer: &str) -> usize {
    for count in 0..MANY {
        let response = app.send(from(peer, nonsense())).await;
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            return count;
        }
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    panic!("no command is refused");
}

/// Exhausts an address, and returns the refusal of one more command from it. On a slow
/// machine the limit may let that one through again, and then this repeats.
async fn refuse(app: &TestApp, peer: &str, command: impl Fn() -> Request<Body>) -> Response {
    for _ in 0..MANY {
        exhaust(app, peer).await;
        let response = app.send(from(peer, command())).await;
        if is_refused(&response) {
            return response;
        }
    }
    panic!("no command is refused");
}

/// Returns true if the limit refused a command. Datastar gets status 200 then, too.
fn is_refused(response: &Response) -> bool {
    response.headers().contains_key(header::RETRY_AFTER)
}

fn seconds(response: &Response) -> u64 {
    let value = response.headers()[header::RETRY_AFTER].to_str();
    value.expect("text").parse().expect("whole seconds")
}

#[tokio::test]
async fn client_that_sends_too_many_commands_is_told_when_to_try_again() {
    let app = TestApp::with_limits(limits()).await;
    let count = exhaust(&app, "192.0.2.1").await;
    assert!(count >= 100, "{count} is less than a burst");
    assert_eq!(
        exhaust(&app, "::ffff:192.0.2.1").await / 100,
        0,
        "the address is the same"
    );

    // A command that the limit lets through creates nothing, because it has no text.
    let empty = || form().body("text=".into()).expect("a request");
    exhaust(&app, "2001:db8:1:2::1").await;
    let refused = refuse(&app, "2001:db8:1:2:3::4", empty).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(seconds(&refused), 1);
    let problem = json(refused).await;
    assert_eq!(problem["type"], "/problems/rate-limited");
    let detail = problem["detail"].as_str().expect("text");
    assert!(detail.ends_with("try again in 1 second."), "{detail}");
    assert_eq!(app.head().await, Position::START);

    let milk = form().body("text=Milk".into()).expect("a request");
    let created = app.send(from("192.0.2.2", milk)).await;
    assert_eq!(created.status(), StatusCode::SEE_OTHER);
    let page = Request::get("/").body(Body::empty()).expect("a request");
    let page = app.send(from("2001:db8:1:2::1", page)).await;
    assert_eq!(page.status(), StatusCode::OK, "reading is not limited");
}

/// Sends requests from an address until the limit refuses one, and returns the number of
/// those before it.
async fn sent_until_refused(app: &TestApp, peer: &str, path: &str) -> usize {
    for count in 0..MANY {
        let request = Request::post(path).body(Body::empty()).expect("a request");
        let response = app.send(from(peer, request)).await;
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            let problem = json(response).await;
            assert_eq!(problem["type"], "/problems/rate-limited", "{path}");
            return count;
        }
    }
    panic!("{path} is never refused");
}

#[tokio::test]
async fn each_command_costs_what_its_route_states() {
    let app = TestApp::with_limits(limits()).await;
    let id = "0190a5a1-0000-7000-8000-000000000001";
    let light = [
        COMMAND.to_owned(),
        "/api/commands/note".to_owned(),
        "/api/session".to_owned(),
        "/".to_owned(),
        "/notes".to_owned(),
        format!("/notes/{id}"),
        "/theme".to_owned(),
        "/sign-out".to_owned(),
    ];
    // Each of these counts as ten, in a burst of a hundred.
    let heavy = ["/api/commands/remarks".to_owned(), "/sign-in".to_owned()];
    expect_costs(&app, &light, &heavy).await;
}

/// Checks that the light commands cost one each, and the heavy ones ten.
pub(crate) async fn expect_costs(app: &TestApp, light: &[String], heavy: &[String]) {
    let mut peers = (1..).map(|number| format!("192.0.2.{number}"));
    for path in light {
        let peer = peers.next().expect("an address");
        let count = sent_until_refused(app, &peer, path).await;
        assert!(count >= 100, "{path}: {count}");
    }
    for path in heavy {
        let peer = peers.next().expect("an address");
        let count = sent_until_refused(app, &peer, path).await;
        assert!((10..100).contains(&count), "{path}: {count}");
    }
}

#[tokio::test]
async fn costly_reads_are_counted_as_commands() {
    let app = TestApp::with_limits(limits()).await;
    let get = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        app.send(from("192.0.2.1", request)).await.status()
    };
    for path in ["/sign-in/callback?code=x&state=y", "/api/events?after=9"] {
        let refused = async {
            for _ in 0..MANY {
                if get(path).await == StatusCode::TOO_MANY_REQUESTS {
                    return true;
                }
            }
            false
        };
        assert!(refused.await, "{path}");
        assert_eq!(get("/api/remarks").await, StatusCode::OK);
    }
}

#[tokio::test]
async fn requests_that_other_sites_cause_are_not_counted() {
    let app = TestApp::with_limits(limits()).await;
    for _ in 0..200 {
        let mut request = from("192.0.2.1", nonsense());
        let headers = request.headers_mut();
        headers.insert("sec-fetch-site", "cross-site".parse().expect("a value"));
        let response = app.send(request).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
    }
    assert!(exhaust(&app, "192.0.2.1").await >= 100);
}

#[tokio::test]
async fn rate_of_zero_is_no_limit() {
    let app = TestApp::with_limits(Limits::default()).await;
    for _ in 0..200 {
        let response = app.send(from("192.0.2.1", nonsense())).await;
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}

#[tokio::test]
async fn a_forwarded_address_counts_only_if_the_operator_says_so() {
    let peer = "127.0.0.1";
    let forwarded = |addresses: &str| {
        let mut request = nonsense();
        let addresses = addresses.parse().expect("a value");
        request.headers_mut().insert(FORWARDED, addresses);
        request
    };
    let readable = || forwarded("127.0.0.1, 192.0.2.1");
    let unreadable = || forwarded("192.0.2.1, unknown");

    let app = TestApp::with_limits(limits()).await;
    refuse(&app, peer, readable).await;
    refuse(&app, peer, unreadable).await;

    let limits = Limits {
        client_address_header: Some(FORWARDED),
        ..limits()
    };
    let app = TestApp::with_limits(limits).await;
    exhaust(&app, peer).await;
    let response = app.send(from(peer, readable())).await;
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    refuse(&app, peer, unreadable).await;
}

/// Datastar ignores every answer whose status is not 200.
#[tokio::test]
async fn datastar_gets_every_problem_of_a_command_as_a_patch() {
    let app = TestApp::with_limits(limits()).await;
    let datastar = |path: &str| Request::post(path.to_owned()).header("datastar-request", "true");
    let peer = "192.0.2.1";
    let empty = || datastar("/").body(Body::empty()).expect("a request");
    let limited = refuse(&app, peer, empty).await;
    assert_eq!(limited.status(), StatusCode::OK);
    assert_eq!(limited.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert_eq!(seconds(&limited), 1);
    let patch = text(limited).await;
    assert!(
        patch.starts_with(
            "event: datastar-patch-elements\n\
             data: elements <p class=\"notice\" id=\"notice\" role=\"alert\">Too many commands "
        ),
        "{patch}"
    );

    for (request, expected) in [
        (datastar("/nowhere"), "nothing at this address"),
        (datastar("/notes/paint"), "nothing at this address"),
        (
            datastar("/api/notes"),
            "does not take requests of this method",
        ),
        (datastar("/notes"), "a form is sent with the header"),
        (
            datastar("/").header("sec-fetch-site", "cross-site"),
            "page of another site",
        ),
    ] {
        let response = app
            .send(request.body(Body::empty()).expect("a request"))
            .await;
        assert_eq!(response.status(), StatusCode::OK, "{expected}");
        let patch = text(response).await.to_lowercase();
        assert!(patch.contains(&expected.to_lowercase()), "{patch}");
    }
    let page = Request::get("/nowhere").header("datastar-request", "true");
    let page = app.send(page.body(Body::empty()).expect("a request")).await;
    assert_eq!(page.status(), StatusCode::NOT_FOUND, "a page is no command");
}

#[tokio::test]
async fn client_has_a_limited_number_of_streams_and_may_replace_them() {
    let app = TestApp::with_limits(limits()).await;
    let open = async |peer, path: &str| {
        let request = Request::get(path.to_owned()).body(Body::empty());
        app.send(from(peer, request.expect("a request"))).await
    };
    let first = open("192.0.2.1", STREAM).await;
    let second = open("192.0.2.1", "/api/events").await;
    assert_eq!(
        (first.status(), second.status()),
        (StatusCode::OK, StatusCode::OK)
    );
    for path in [STREAM, "/api/events"] {
        let refused = open("192.0.2.1", path).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(seconds(&refused), 5);
        assert_eq!(json(refused).await["type"], "/problems/too-many-streams");
    }
    assert_eq!(open("192.0.2.1", "/").await.status(), StatusCode::OK);
    let others = open("192.0.2.2", "/api/events").await;
    assert_eq!(others.status(), StatusCode::OK);

    drop(first);
    // A stream that is refused for another reason does not count.
    let malformed = open("192.0.2.1", "/api/events?after=x").await;
    assert_eq!(malformed.status(), StatusCode::BAD_REQUEST);
    let third = open("192.0.2.1", "/api/events").await;
    assert_eq!(third.status(), StatusCode::OK);
    let refused = open("192.0.2.1", "/api/events").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);

    // A stream that has ended does not count any more.
    app.shutdown.cancel();
    text(second).await;
    let fourth = open("192.0.2.1", "/api/events").await;
    assert_eq!(fourth.status(), StatusCode::OK);
}

#[tokio::test]
async fn client_without_a_limit_has_many_streams() {
    let app = TestApp::with_limits(Limits::default()).await;
    let mut open = Vec::new();
    for _ in 0..100 {
        let response = app.get("/api/events").await;
        assert_eq!(response.status(), StatusCode::OK);
        open.push(response);
    }
}

/// The clock of this test jumps to the next timer.
#[tokio::test(start_paused = true)]
async fn body_that_arrives_too_slowly_is_refused() {
    let app = TestApp::init().await;
    for path in [COMMAND, "/", "/notes"] {
        let content_type = if path == COMMAND {
            "application/json"
        } else {
            "application/x-www-form-urlencoded"
        };
        let trickle = stream::unfold((), async |()| {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
        });
        let start = tokio::time::Instant::now();
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, content_type)
            .body(Body::from_stream(trickle.boxed()))
            .expect("a request");
        let response = app.send(request).await;
        assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT, "{path}");
        assert_eq!(start.elapsed().as_secs(), 30, "{path}");
    }
    assert_eq!(app.head().await, Position::START);
}
