//! Requests that are refused before an aggregate decides. They append nothing.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use ironstar_ports::Position;
use serde_json::{Value, json};

use crate::app::{COMMAND, TestApp, json, text};
use crate::commands::ID;
use crate::kinds::{Kind, NOTE};

#[tokio::test]
async fn bad_input_is_refused_and_appends_nothing() {
    expect_bad_input_is_refused(&NOTE).await;
    let not_an_id = json!({"type": "close", "id": "42"});
    let without_id = json!({"type": "close"});
    expect_refusals(
        &NOTE,
        &[
            (not_an_id, "In 'id': invalid length: found 2."),
            (without_id, "The field 'id' is missing."),
        ],
    )
    .await;
}

/// Checks that commands on a part with missing, unknown and wrong fields are refused.
pub(crate) async fn expect_bad_input_is_refused(kind: &Kind) {
    let (close, _) = kind.close;
    let cases = [
        (
            json!({"type": close, "id": ID, "expected_sequence": -1}),
            "",
        ),
        (json!({"type": "paint", "id": ID}), ""),
        (json!({"id": ID}), "Missing field `type`."),
        (json!({"type": "create"}), "Missing field `text`."),
        (json!({"type": "create", "text": 7}), ""),
        (
            json!({"type": close, "id": ID, "expectedSequence": 7}),
            "In 'expectedSequence': a command of this type has no such field.",
        ),
        (
            json!({"type": close, "id": ID, "text": "x"}),
            "In 'text': a command of this type has no such field.",
        ),
        (
            json!({"type": 0, "text": "x"}),
            "In 'type': it must be a string.",
        ),
        (json!({"type": close, "id": 7}), ""),
        (json!([]), ""),
        (json!(null), ""),
    ];
    expect_refusals(kind, &cases).await;
}

/// Checks that these commands on a part have an invalid value, and append nothing. An empty
/// sentence stands for any.
pub(crate) async fn expect_refusals(kind: &Kind, cases: &[(Value, &str)]) {
    let app = kind.app().await;
    for (command, detail) in cases {
        let (status, problem) = app.post(kind.part, command.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{command}: {problem}");
        assert_eq!(problem["type"], "/problems/invalid-value", "{command}");
        assert_eq!(problem["status"], 400);
        assert_eq!(problem["title"], "Bad Request");
        if !detail.is_empty() {
            assert_eq!(problem["detail"], *detail, "{command}");
        }
    }
    assert_eq!(app.head().await, Position::START);
}

#[tokio::test]
async fn repeated_field_is_refused() {
    let app = TestApp::init().await;
    let twice = r#"{"type":"create","text":"One","text":"Two"}"#;
    let (status, problem) = app.command(twice).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(problem["detail"], "The field 'text' occurs twice.");
}

#[tokio::test]
async fn malformed_json_is_refused_with_the_place() {
    let app = TestApp::init().await;
    for body in ["", "{", "{\"type\":\"create\",}", "buy milk", "\u{0}"] {
        let (status, problem) = app.command(body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body:?}");
        assert_eq!(problem["type"], "/problems/malformed-json", "{body:?}");
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(detail.contains("at line 1 column "), "{detail}");
    }
    let (status, _) = app
        .command(&b"{\"type\":\"create\",\"text\":\"\xff\"}"[..])
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(app.head().await, Position::START);
}

#[tokio::test]
async fn the_wrong_content_type_is_415_and_too_much_is_413() {
    let app = TestApp::init().await;
    let body = r#"{"type":"create","text":"Buy milk"}"#;
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
    ] {
        let mut request = Request::post(COMMAND);
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let response = app
            .send(request.body(body.into()).expect("a request"))
            .await;
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
        assert_eq!(
            json(response).await["type"],
            "/problems/unsupported-media-type"
        );
    }

    let padding = " ".repeat(64 * 1024 - body.len());
    let (status, _) = app.command(format!("{body}{padding}")).await;
    assert_eq!(status, StatusCode::OK, "64 KiB are not too much");
    let (status, problem) = app.command(format!("{body}{padding} ")).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(problem["type"], "/problems/payload-too-large");
    assert_eq!(app.head().await, Position::new(1));
}

#[tokio::test]
async fn other_sites_cannot_send_commands() {
    let app = TestApp::init().await;
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.example"),
    ] {
        let request = Request::post("/")
            .header(header::HOST, "localhost:3000")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(name, value)
            .body("text=Forged".into())
            .expect("a request");
        let response = app.send(request).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(json(response).await["type"], "/problems/cross-site-request");
    }
    assert_eq!(app.head().await, Position::START);
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_refused() {
    let app = TestApp::init().await;
    let response = app.get("/api/nothing").await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(json(response).await["type"], "/problems/no-such-page");
    let request = Request::get("/nowhere")
        .header(header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")
        .body(Body::empty())
        .expect("a request");
    let response = app.send(request).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(
        text(response)
            .await
            .contains("There is nothing at this address.")
    );
    let response = app.get(COMMAND).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    let request = Request::delete("/").body(Body::empty()).expect("a request");
    let response = app.send(request).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(json(response).await["type"], "/problems/method-not-allowed");
}
