use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use ironstar_ports::{EventStore, Origin, Position};
use serde_json::{Value, json};

use crate::app::{COMMAND, TestApp, json, text};

const ID: &str = "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e";

#[tokio::test]
async fn every_command_answers_where_the_todo_is_now() {
    let app = TestApp::init().await;
    for (number, command) in [
        json!({"type": "create", "id": ID, "text": " Buy milk "}),
        json!({"type": "rename", "id": ID, "text": "Buy oat milk"}),
        json!({"type": "complete", "id": ID, "expected_sequence": 1}),
        json!({"type": "reopen", "id": ID}),
        json!({"type": "delete", "id": ID}),
    ]
    .into_iter()
    .enumerate()
    {
        let (status, answer) = app.command(command.to_string()).await;
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
async fn a_new_todo_gets_an_id() {
    let app = TestApp::init().await;
    assert_ne!(app.create("One").await, app.create("Two").await);
}

#[tokio::test]
async fn a_command_that_changes_nothing_is_fine_and_appends_nothing() {
    let app = TestApp::init().await;
    let id = app.create("Buy milk").await;
    let rename = json!({"type": "rename", "id": id, "text": "Buy milk"});
    let (status, answer) = app.command(rename.to_string()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&answer["sequence"], &answer["position"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(app.head().await, Position::new(1));
}

#[tokio::test]
async fn text_and_name_with_nothing_to_see_are_refused() {
    let app = TestApp::init().await;
    let on_list = async |body: Value| {
        let request = Request::post("/api/commands/list")
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_string().into());
        let response = app.send(request.expect("a request")).await;
        (response.status(), json(response).await)
    };
    for blank in "\u{3164}\u{115f}\u{2800}\u{fe0f}\u{34f}\u{fff9}\u{e0041}".chars() {
        let create = json!({"type": "create", "text": blank});
        let (status, problem) = app.command(create.to_string()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{blank:?}: {problem}");
        for name in [
            json!({"type": "create", "name": blank}),
            json!({"type": "rename", "id": ID, "name": blank}),
        ] {
            let (status, problem) = on_list(name).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{blank:?}: {problem}");
            assert_eq!(problem["detail"], "The name of a list must not be empty.");
        }
    }
    assert_eq!(app.head().await, Position::START);
}

#[tokio::test]
async fn texts_that_differ_in_their_unicode_form_only_are_one_text() {
    let app = TestApp::init().await;
    let id = app.create("Cafe\u{301}").await;
    let rename = json!({"type": "rename", "id": id, "text": "Café"});
    let (status, answer) = app.command(rename.to_string()).await;
    assert_eq!((status, &answer["sequence"]), (StatusCode::OK, &json!(0)));
    assert_eq!(app.head().await, Position::new(1));
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
#[tokio::test]
async fn bad_input_is_refused_and_appends_nothing() {
    let app = TestApp::init().await;
    let create = |text: &str| json!({"type": "create", "text": text});
    let cases: Vec<(Value, &str, &str)> = vec![
        (
            create(""),
            "invalid-value",
            "The text of a todo must not be empty.",
        ),
        (
            create(" \t\n "),
            "invalid-value",
            "The text of a todo must not be empty.",
        ),
        (
            create(&"ü".repeat(501)),
            "invalid-value",
            "The text of a todo has at most 500 characters; this one has 501.",
        ),
        (
            create("a\rid: 9"),
            "invalid-value",
            "The text of a todo must be one line without control characters; this one has U+000D.",
        ),
        (
            create("a\u{0}b"),
            "invalid-value",
            "The text of a todo must be one line without control characters; this one has U+0000.",
        ),
        (
            create("a\tb"),
            "invalid-value",
            "The text of a todo must be one line without control characters; this one has U+0009.",
        ),
        (
            create("a\u{2028}b"),
            "invalid-value",
            "The text of a todo must be one line without control characters; this one has U+2028.",
        ),
        (
            create("a\u{202e}b"),
            "invalid-value",
            "The text of a todo must not have hidden characters without a purpose; this one has U+202E.",
        ),
        (
            json!({"type": "rename", "id": ID, "text": "\u{2800}"}),
            "invalid-value",
            "The text of a todo must not be empty.",
        ),
        (
            json!({"type": "complete", "id": "42"}),
            "invalid-value",
            "In 'id': the id of a todo must be a UUID, such as 019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e.",
        ),
        (
            json!({"type": "complete"}),
            "invalid-value",
            "The 'id' of the todo is missing.",
        ),
        (
            json!({"type": "complete", "id": ID, "expected_sequence": -1}),
            "invalid-value",
            "",
        ),
        (json!({"type": "paint", "id": ID}), "invalid-value", ""),
        (json!({"id": ID}), "invalid-value", "Missing field `type`."),
        (
            json!({"type": "create"}),
            "invalid-value",
            "Missing field `text`.",
        ),
        (json!({"type": "create", "text": 7}), "invalid-value", ""),
        (
            json!({"type": "complete", "id": ID, "expectedSequence": 7}),
            "invalid-value",
            "In 'expectedSequence': a command of this type has no such field.",
        ),
        (
            json!({"type": "complete", "id": ID, "text": "x"}),
            "invalid-value",
            "In 'text': a command of this type has no such field.",
        ),
        (
            json!({"type": 0, "text": "x"}),
            "invalid-value",
            "In 'type': it must be a string.",
        ),
        (json!({"type": "complete", "id": 7}), "invalid-value", ""),
        (json!([]), "invalid-value", ""),
        (json!(null), "invalid-value", ""),
    ];
    for (body, code, detail) in cases {
        let (status, problem) = app.command(body.to_string()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {problem}");
        assert_eq!(problem["type"], format!("/problems/{code}"), "{body}");
        assert_eq!(problem["status"], 400);
        assert_eq!(problem["title"], "Bad Request");
        if !detail.is_empty() {
            assert_eq!(problem["detail"], detail, "{body}");
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
async fn refusal_by_the_todo_has_the_status_of_its_kind() {
    let app = TestApp::init().await;
    let id = app.create("Buy milk").await;
    let complete = json!({"type": "complete", "id": id});
    app.command(complete.to_string()).await;
    for (body, status, code) in [
        (
            json!({"type": "create", "id": id, "text": "Again"}),
            409,
            "todo-already-exists",
        ),
        (complete, 409, "todo-already-completed"),
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
        (json!({"type": "complete", "id": ID}), 404, "todo-not-found"),
        (
            json!({"type": "complete", "id": ID, "expected_sequence": 0}),
            404,
            "todo-not-found",
        ),
        // The answer to a create does not tell the sequence of another visitor's todo.
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
        let (actual, problem) = app.command(body.to_string()).await;
        assert_eq!(actual.as_u16(), status, "{body}: {problem}");
        assert_eq!(problem["type"], format!("/problems/{code}"), "{body}");
    }
    assert_eq!(app.head().await, Position::new(2));
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
        let request = Request::post("/todos")
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

    let complete = json!({"type": "complete", "id": first.1["id"], "command_id": "second"});
    let done = app.command(complete.to_string()).await;
    assert_eq!(done.0, StatusCode::OK, "{}", done.1);
    assert_eq!(app.command(complete.to_string()).await, done);
    assert_eq!(app.head().await, Position::new(2));

    let rename =
        json!({"type": "rename", "id": first.1["id"], "text": "Buy milk", "command_id": "third"});
    let unchanged = app.command(rename.to_string()).await;
    let reopen = json!({"type": "reopen", "id": first.1["id"]});
    app.command(reopen.to_string()).await;
    assert_eq!(app.command(rename.to_string()).await, unchanged);
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
        json!({"type": "complete", "id": ID}),
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
