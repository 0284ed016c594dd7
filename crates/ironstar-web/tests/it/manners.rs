//! Details of HTTP: rules that a server must follow, and choices that it is free to make.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use ironstar_ports::Position;

use crate::app::{COMMAND, STREAM, TestApp, json, text};

const CREATE: &str = r#"{"type":"create","text":"Milk"}"#;

async fn command(app: &TestApp, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut request = Request::post(COMMAND).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.send(request.body(body.into()).expect("a request"))
        .await
}

#[tokio::test]
async fn compressed_body_is_refused_with_the_accepted_coding() {
    let app = TestApp::init().await;
    for coding in ["gzip", "br", "identity, gzip", "GZIP", "aes128gcm"] {
        let refused = command(&app, &[("content-encoding", coding)], CREATE).await;
        assert_eq!(
            refused.status(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{coding}"
        );
        assert_eq!(refused.headers()[header::ACCEPT_ENCODING], "identity");
        let problem = json(refused).await;
        assert_eq!(problem["type"], "/problems/unsupported-content-encoding");
    }
    let form = Request::post("/").header("content-encoding", "gzip");
    let refused = app.form(form, "text=Milk").await;
    assert_eq!(refused.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(app.head().await, Position::START);
    for coding in ["identity", "Identity", "", "identity, identity"] {
        let taken = command(&app, &[("content-encoding", coding)], CREATE).await;
        assert_eq!(taken.status(), StatusCode::OK, "{coding}");
    }
}

#[tokio::test]
async fn json_may_begin_with_a_byte_order_mark_and_with_one_only() {
    let app = TestApp::init().await;
    let marked = command(&app, &[], format!("\u{feff}{CREATE}")).await;
    assert_eq!(marked.status(), StatusCode::OK);
    for body in [
        format!("\u{feff}\u{feff}{CREATE}").into_bytes(),
        format!("{CREATE}\u{feff}").into_bytes(),
        b"\xff\xfe{\0}\0".to_vec(),
        "\u{feff}".into(),
    ] {
        let refused = command(&app, &[], body).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        assert_eq!(json(refused).await["type"], "/problems/malformed-json");
    }
}

#[tokio::test]
async fn form_that_is_not_utf_8_is_refused() {
    let app = TestApp::init().await;
    for body in [&b"text=caf\xe9"[..], b"text=caf%E9", b"te%FFxt=Milk"] {
        let refused = app.form(Request::post("/"), body).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        let page = text(refused).await;
        assert!(page.contains("A form must be UTF-8 text"), "{page}");
    }
    for path in ["/notes", "/theme"] {
        let refused = app.form(Request::post(path), "text=%E9&theme=%E9").await;
        let detail = json(refused).await["detail"].to_string();
        assert!(detail.contains("UTF-8"), "{path}: {detail}");
    }
    assert_eq!(app.head().await, Position::START);
    let taken = app.form(Request::post("/"), "text=caf%C3%A9").await;
    assert_eq!(taken.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn empty_last_event_id_counts_as_none() {
    let app = TestApp::init().await;
    app.create("One").await;
    app.create("Two").await;
    let mut events = app.stream("/api/events?after=1", Some("")).await;
    assert_eq!(events.next().await.id, "2");
    let mut events = app.stream("/api/events", Some("")).await;
    app.create("Three").await;
    assert_eq!(events.next().await.id, "3");
}

#[tokio::test]
async fn header_that_may_come_once_is_refused_if_it_is_repeated() {
    let app = TestApp::init().await;
    for (name, one, two) in [
        ("origin", "http://localhost", "http://localhost"),
        ("sec-fetch-site", "same-origin", "cross-site"),
        ("sec-fetch-site", "same-origin", "same-origin"),
        ("idempotency-key", "a", "b"),
        ("content-type", "application/json", "text/plain"),
        ("datastar-request", "true", "false"),
        ("last-event-id", "1", "2"),
        ("ironstar-drawn-for", "nobody", "nobody"),
        ("referer", "/", "/notes"),
    ] {
        let headers = [(name, one), (name, two)];
        for method in ["GET", "POST"] {
            let mut request = Request::builder().method(method).uri("/api/events");
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let refused = app
                .send(request.body(Body::empty()).expect("a request"))
                .await;
            let status = refused.status();
            // Datastar gets a refusal of its own request as a patch.
            if name == "datastar-request" && method == "POST" {
                assert_eq!(status, StatusCode::OK);
                continue;
            }
            assert_eq!(status, StatusCode::BAD_REQUEST, "{method} {name}");
            let problem = json(refused).await;
            assert_eq!(problem["type"], "/problems/malformed-request");
            let detail = problem["detail"].as_str().expect("text");
            assert!(detail.contains(name), "{detail}");
        }
    }
    let lists = [
        ("accept", "a/b"),
        ("accept", "c/d"),
        ("cookie", "a=b"),
        ("cookie", "c=d"),
    ];
    let taken = command(&app, &lists, CREATE).await;
    assert_eq!(taken.status(), StatusCode::OK);
}

#[tokio::test]
async fn repeated_request_id_is_left_out() {
    let app = TestApp::init().await;
    let headers = [("x-request-id", "a"), ("x-request-id", "b")];
    let taken = command(&app, &headers, CREATE).await;
    assert_eq!(taken.status(), StatusCode::OK);
    let log = app.store_log().await;
    assert_eq!(log[0].metadata.origin.correlation_id, None);
}

#[tokio::test]
async fn pages_of_other_origins_are_refused() {
    let app = TestApp::init().await;
    for (origin, expected) in [
        ("http://localhost:3000", StatusCode::OK),
        ("https://localhost:3000", StatusCode::FORBIDDEN),
        ("http://localhost:3001", StatusCode::FORBIDDEN),
        ("null", StatusCode::FORBIDDEN),
        ("", StatusCode::FORBIDDEN),
    ] {
        let headers = [("host", "localhost:3000"), ("origin", origin)];
        let answer = command(&app, &headers, CREATE).await;
        assert_eq!(answer.status(), expected, "{origin}");
    }
}

#[tokio::test]
async fn page_of_a_refusal_names_the_allowed_methods() {
    let app = TestApp::init().await;
    for accept in ["application/json", "text/html"] {
        let request = Request::get("/theme").header(header::ACCEPT, accept);
        let request = request.body(Body::empty()).expect("a request");
        let refused = app.send(request).await;
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.headers()[header::ALLOW], "POST", "{accept}");
    }
}

#[tokio::test]
async fn head_of_a_stream_states_no_length() {
    let app = TestApp::init().await;
    for path in [STREAM, "/api/events"] {
        let request = Request::head(path).body(Body::empty()).expect("a request");
        let head = app.send(request).await;
        assert_eq!(head.status(), StatusCode::OK);
        let length = head.headers().get(header::CONTENT_LENGTH);
        assert_eq!(length, None, "{path}");
    }
}

#[tokio::test]
async fn page_advises_to_sign_in_or_ask_only_where_a_note_may_be_hidden() {
    let app = TestApp::init().await;
    let unknown = "0190a5a1-0000-7000-8000-000000000001";
    for (path, advises) in [
        (format!("/notes/{unknown}"), true),
        ("/nowhere".to_owned(), false),
    ] {
        let request = Request::get(path).header(header::ACCEPT, "text/html");
        let page = app.form(request, "").await;
        assert_eq!(page.status(), StatusCode::NOT_FOUND);
        let page = text(page).await;
        assert_eq!(page.contains("ask for a new link"), advises, "{page}");
    }
}
