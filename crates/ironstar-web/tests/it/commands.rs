//! Commands on remarks: their answers, keys and ids.

use axum::http::{Request, StatusCode, header};
use ironstar_ports::{EventStore, Origin, Position};
use serde_json::{Value, json};

use crate::app::{COMMAND, TestApp, json};
use crate::kinds::{Kind, NOTE};

pub(crate) const ID: &str = "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e";

#[tokio::test]
async fn every_command_answers_where_the_remark_is_now() {
    expect_answers_with_the_place(&NOTE).await;
}

/// Checks that each command on a part answers the sequence of the part and the place in the log.
pub(crate) async fn expect_answers_with_the_place(kind: &Kind) {
    let app = kind.app().await;
    let (close, _) = kind.close;
    for (number, command) in [
        json!({"type": "create", "id": ID, "text": " Buy milk "}),
        json!({"type": kind.rewrite, "id": ID, "text": "Buy oat milk"}),
        json!({"type": close, "id": ID, "expected_sequence": 1}),
        json!({"type": "reopen", "id": ID}),
        json!({"type": "delete", "id": ID}),
    ]
    .into_iter()
    .enumerate()
    {
        let (status, answer) = app.post(kind.part, command).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(
            answer,
            json!({
                "status": "ok",
                "id": ID,
                "sequence": number,
                "position": number + 1,
                "place": app.store_log().await[number].place().to_string(),
            })
        );
    }
}

#[tokio::test]
async fn a_new_remark_gets_an_id() {
    let app = TestApp::init().await;
    assert_ne!(app.create("One").await, app.create("Two").await);
}

#[tokio::test]
async fn a_command_that_changes_nothing_is_fine_and_appends_nothing() {
    expect_no_event_without_a_change(&NOTE).await;
}

/// Checks that a command which changes nothing of a part appends nothing.
pub(crate) async fn expect_no_event_without_a_change(kind: &Kind) {
    let app = kind.app().await;
    let id = app.create("Buy milk").await;
    let rewrite = json!({"type": kind.rewrite, "id": id, "text": "Buy milk"});
    let (status, answer) = app.post(kind.part, rewrite).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&answer["sequence"], &answer["position"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(app.head().await, Position::new(1));
}

#[tokio::test]
async fn refusal_by_the_remark_has_the_status_of_its_kind() {
    expect_refusals_by_a_part(&NOTE).await;
}

/// Checks that a part refuses commands with the right status and the right type of problem.
pub(crate) async fn expect_refusals_by_a_part(kind: &Kind) {
    let app = kind.app().await;
    let (close, already_closed) = kind.close;
    let not_found = format!("{}-not-found", kind.part);
    let already_exists = format!("{}-already-exists", kind.part);
    let id = app.create("Buy milk").await;
    let close_again = json!({"type": close, "id": id});
    app.post(kind.part, close_again.clone()).await;
    for (command, status, code) in [
        (
            json!({"type": "create", "id": id, "text": "Again"}),
            409,
            &*already_exists,
        ),
        (close_again, 409, already_closed),
        (
            json!({"type": "reopen", "id": id, "expected_sequence": 0}),
            409,
            "unexpected-sequence",
        ),
        (
            json!({"type": "reopen", "id": id, "expected_sequence": 7}),
            409,
            "unexpected-sequence",
        ),
        (json!({"type": close, "id": ID}), 404, &not_found),
        (
            json!({"type": close, "id": ID, "expected_sequence": 0}),
            404,
            &not_found,
        ),
        // The answer to a create does not tell the sequence of another visitor's part.
        (
            json!({"type": "create", "id": ID, "text": "New", "expected_sequence": 0}),
            400,
            "invalid-value",
        ),
        (
            json!({"type": "create", "id": id, "text": "New", "expected_sequence": 9}),
            400,
            "invalid-value",
        ),
    ] {
        let (actual, problem) = app.post(kind.part, command.clone()).await;
        assert_eq!(actual.as_u16(), status, "{command}: {problem}");
        assert_eq!(problem["type"], format!("/problems/{code}"), "{command}");
    }
    assert_eq!(app.head().await, Position::new(2));
}

/// Sends a command with these headers.
async fn with_headers(
    app: &TestApp,
    headers: &[(&str, &str)],
    body: &Value,
) -> (StatusCode, Value) {
    let mut request = Request::post(COMMAND).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body.to_string().into()).expect("a request");
    let response = app.send(request).await;
    (response.status(), json(response).await)
}

#[tokio::test]
async fn a_command_with_a_key_is_carried_out_once() {
    let app = TestApp::init().await;
    let create = json!({"type": "create", "text": "Buy milk"});
    let key = [("idempotency-key", "8e03978e-40d5-43dd-bc93-6894a57f9324")];
    let first = with_headers(&app, &key, &create).await;
    assert_eq!(first.0, StatusCode::OK);
    assert_eq!(with_headers(&app, &key, &create).await, first);
    assert_eq!(app.head().await, Position::new(1));
}

#[tokio::test]
async fn a_command_on_a_remark_with_a_key_is_carried_out_once() {
    expect_once_with_a_key(&NOTE).await;
}

/// Checks that commands on a part with a key in the body are carried out once.
pub(crate) async fn expect_once_with_a_key(kind: &Kind) {
    let app = kind.app().await;
    let once = async |command: Value| {
        let (status, answer) = app.post(kind.part, command.clone()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let again = app.post(kind.part, command.clone()).await;
        assert_eq!(again, (status, answer.clone()));
        (command, answer)
    };
    let create = json!({"type": "create", "text": "Buy milk", "command_id": "first"});
    let id = once(create).await.1["id"].clone();
    once(json!({"type": kind.close.0, "id": id, "command_id": "second"})).await;
    assert_eq!(app.head().await, Position::new(2));

    let rewrite =
        json!({"type": kind.rewrite, "id": id, "text": "Buy milk", "command_id": "third"});
    let (rewrite, unchanged) = once(rewrite).await;
    let reopen = json!({"type": "reopen", "id": id});
    assert_eq!(app.post(kind.part, reopen).await.0, StatusCode::OK);
    assert_eq!(
        app.post(kind.part, rewrite).await,
        (StatusCode::OK, unchanged)
    );
    assert_eq!(app.head().await, Position::new(3));
}

#[tokio::test]
async fn a_key_is_for_one_command() {
    let app = TestApp::init().await;
    let key = [("idempotency-key", "\"key\"")];
    with_headers(&app, &key, &json!({"type": "create", "text": "Milk"})).await;
    for other in [
        json!({"type": "create", "text": "Tea"}),
        json!({"type": "create", "text": "Milk", "id": ID}),
        json!({"type": "close", "id": ID}),
    ] {
        let (status, problem) = with_headers(&app, &key, &other).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{other}");
        assert_eq!(problem["type"], "/problems/command-key-reused");
    }
    assert_eq!(app.head().await, Position::new(1));
}

#[tokio::test]
async fn invalid_keys_are_refused() {
    let app = TestApp::init().await;
    let create = json!({"type": "create", "text": "Milk"});
    let mut two = create.clone();
    two["command_id"] = "one".into();
    let long = "x".repeat(256);
    for (key, body) in [
        ("", &create),
        ("a b", &create),
        (&*long, &create),
        ("two", &two),
    ] {
        let (status, problem) = with_headers(&app, &[("idempotency-key", key)], body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{key}");
        assert_eq!(problem["type"], "/problems/invalid-value");
    }
    assert_eq!(app.head().await, Position::START);
}

#[tokio::test]
async fn events_carry_the_ids_of_their_request() {
    let app = TestApp::init().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [
        ("x-request-id", "request-7"),
        ("traceparent", trace),
        ("idempotency-key", "command-7"),
    ];
    let create = json!({"type": "create", "text": "Milk"});
    with_headers(&app, &headers, &create).await;
    let nonsense = [("x-request-id", "a b"), ("traceparent", "nonsense")];
    with_headers(&app, &nonsense, &create).await;

    let log = app
        .store
        .load_after(Position::START, 9)
        .await
        .expect("read");
    let origin = &log[0].metadata.origin;
    assert_eq!(origin.correlation_id.as_deref(), Some("request-7"));
    assert_eq!(origin.causation_id.as_deref(), Some("command-7"));
    assert_eq!(origin.traceparent.as_deref(), Some(trace));
    // The sender is unknown, and the invalid ids are not stored.
    let anonymous = Origin {
        actor: Some("anonymous".to_owned()),
        ..Origin::default()
    };
    assert_eq!(log[1].metadata.origin, anonymous);
}
